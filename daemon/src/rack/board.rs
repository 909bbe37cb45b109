//! The owner of one board: the only one who touches its probe, port and flash. Others tell it what they want; it steps
//! through its states and answers. It begins knowing nothing and cleans before it trusts.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bitrack_image::Image;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::{info, warn};

use super::bench::{Bench, Measured};
use super::canary;
use super::conversation::Counts;
use super::fault::{Blame, Fault};
use super::lease::{Availability, Broker};
use crate::config::{Board, BoardType};
use crate::store::{NewFailure, Store, now};
use crate::types::{self, BoardState, Event, FailureClass};

/// Failures in a row after which a board is left alone.
const QUARANTINE_AFTER: u32 = 3;
/// The canary is one op on 64 bytes.
const CANARY: Counts = Counts { warmup: 0, repeats: 1 };
/// Longest that it may say nothing: it is tiny.
const CANARY_SILENCE: Duration = Duration::from_secs(10);

/// An image to measure.
#[derive(Debug, Clone)]
pub struct Job {
    pub image: Arc<Vec<u8>>,
    pub counts: Counts,
    /// The episode, for the log.
    pub candidate: String,
}

/// A measurement that did not come about, and whose fault that is.
#[derive(Debug)]
pub struct Failed {
    pub fault: Fault,
    /// [`FailureClass::Candidate`] after a doubtful run means that a canary ran on the same board: a suspicion.
    pub class: FailureClass,
    /// Whether the fault alone proves it.
    pub certain: bool,
}

/// What an owner can be told.
pub enum Goal {
    Measure {
        job: Job,
        reply: oneshot::Sender<Result<Measured, Failed>>,
    },
    /// Try again although quarantined.
    Recover,
}

/// What everybody may know of a board, and how they are told.
#[derive(Clone)]
pub struct Status {
    board: Arc<Mutex<types::Board>>,
    broker: Broker,
    events: broadcast::Sender<Event>,
}

impl Status {
    /// A board of which nothing is known.
    pub fn new(board: &Board, board_type: &BoardType, broker: Broker, events: broadcast::Sender<Event>) -> Self {
        let board = types::Board {
            name: board.name.clone(),
            board_type: board_type.name.clone(),
            r#virtual: board.link == crate::config::Link::Virtual,
            probe: None,
            serial: None,
            state: BoardState::Unknown,
            since: now(),
            holder: None,
            identity: None,
            measurements: 0,
            failures_in_a_row: 0,
            erases_max: 0,
            endurance: board_type.endurance,
            last_failure: None,
        };
        Self { board: Arc::new(Mutex::new(board)), broker, events }
    }

    /// The board, now.
    pub fn get(&self) -> types::Board {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner).clone();
        board.holder = self.broker.holder(&board.name);
        board
    }

    /// Changes something and tells everybody.
    pub fn change(&self, f: impl FnOnce(&mut types::Board)) {
        f(&mut self.board.lock().unwrap_or_else(PoisonError::into_inner));
        self.announce();
    }

    /// Tells everybody how the board is.
    pub fn announce(&self) {
        // Nobody listening is fine.
        let _ = self.events.send(Event::Board(Box::new(self.get())));
    }

    fn enter(&self, state: BoardState) {
        self.change(|b| {
            b.state = state;
            b.since = now();
        });
    }
}

/// The owner.
pub struct Owner {
    pub bench: Bench,
    pub store: Arc<Store>,
    pub broker: Broker,
    pub status: Status,
    pub goals: mpsc::Receiver<Goal>,
    pub shutdown: watch::Receiver<bool>,
}

impl Owner {
    /// Lives until the rack shuts down, then puts the board's things away.
    pub async fn run(mut self) {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            _ = shutdown.wait_for(|down| *down) => {}
            () = self.live() => {}
        }
        self.bench.put_away().await;
    }

    async fn live(&mut self) {
        loop {
            let result = match self.clean().await {
                Ok(()) => self.work().await,
                Err(fault) => Err(Trouble::new(self.name(), class_of(&fault), &fault)),
            };
            match result {
                Ok(()) => return,
                Err(trouble) => self.recover(trouble).await,
            }
        }
    }

    fn name(&self) -> &str {
        &self.bench.board.name
    }

    fn available(&self, availability: Availability) {
        let failures = self.status.get().failures_in_a_row;
        self.broker.set(self.name(), availability, failures);
    }

    /// From whatever state to one in which the board is the right one and runs the right runner.
    async fn clean(&mut self) -> Result<(), Fault> {
        self.available(Availability::NotYet);
        self.status.enter(BoardState::Cleaning);
        let identity = self.bench.bring_up().await?;
        info!(chip = %identity.chip_id, firmware = %identity.firmware_revision, "board is up");
        self.note_identity(identity).await;
        Ok(())
    }

    async fn note_identity(&mut self, identity: types::Identity) {
        let name = self.name().to_owned();
        let seen = identity.clone();
        let counted = self.store.write(move |db| {
            db.board_seen(&name, &seen.chip_id, &seen.firmware_revision)?;
            Ok((db.board_measurements(&name)?, db.flash_wear(&name)?, db.board_failure(&name)?))
        });
        let counted = counted.await.inspect_err(|e| warn!("board's record: {e}")).ok();
        let (probe, serial) = self.bench.address();
        self.status.change(|b| {
            b.identity = Some(identity);
            (b.probe, b.serial) = (probe, serial);
            if let Some((measurements, erases, failure)) = counted {
                (b.measurements, b.erases_max, b.last_failure) = (measurements, erases, failure);
            }
        });
    }

    /// Takes goals until one shows that the board needs cleaning. `Ok` when there will be no more goals.
    async fn work(&mut self) -> Result<(), Trouble> {
        loop {
            self.status.enter(BoardState::Ready);
            self.available(Availability::Ready);
            match self.goals.recv().await {
                None => return Ok(()),
                Some(Goal::Recover) => {}
                Some(Goal::Measure { job, reply }) => {
                    let result = self.measure(&job).await;
                    // Candidates and the rig fail without the board being any worse for it.
                    let guilty = result.as_ref().err().filter(|f| f.class == FailureClass::Board);
                    let trouble = guilty.map(|f| Trouble::new(self.name(), f.class, &f.fault));
                    if trouble.is_some() {
                        self.available(Availability::NotYet);
                    }
                    self.settle(&result).await;
                    // Whoever asks records what comes of it; only when it is gone the owner does.
                    let recorded = reply.send(result).is_ok();
                    if let Some(trouble) = trouble {
                        return Err(Trouble { recorded, ..trouble });
                    }
                }
            }
        }
    }

    async fn settle(&mut self, result: &Result<Measured, Failed>) {
        let name = self.name().to_owned();
        let wear = self.store.read(move |db| db.flash_wear(&name)).await.unwrap_or(0);
        self.status.change(|b| {
            b.erases_max = wear.max(b.erases_max);
            if result.is_ok() {
                b.measurements += 1;
                b.failures_in_a_row = 0;
            }
        });
    }

    #[tracing::instrument(skip_all, fields(board = %self.bench.board.name, candidate = %job.candidate))]
    async fn measure(&mut self, job: &Job) -> Result<Measured, Failed> {
        let fault = match self.attempt(&job.image, job.counts, self.bench.board_type.run_timeout).await {
            Ok(measured) => return Ok(measured),
            Err(fault) => fault,
        };
        warn!("measurement failed: {fault}");
        match fault.blame() {
            Blame::Certain(class) => Err(Failed { fault, class, certain: true }),
            Blame::InDoubt => {
                let class = self.ask_canary().await;
                Err(Failed { fault, class, certain: false })
            }
        }
    }

    async fn attempt(&mut self, image: &Arc<Vec<u8>>, counts: Counts, silence: Duration) -> Result<Measured, Fault> {
        Image::parse(image)?;
        self.status.enter(BoardState::Flashing);
        let flashed = self.bench.flash(image).await?;
        self.status.enter(BoardState::Running);
        match self.bench.run(image, &flashed, counts, silence).await {
            // What the store believes about the flash is wrong: write it once more before blaming the board.
            Err(Fault::CorruptFlash(why)) => {
                warn!("flash is not what was written, writing it again: {why}");
                self.bench.forget_flash().await?;
                let flashed = self.bench.flash(image).await?;
                self.bench.run(image, &flashed, counts, silence).await
            }
            other => other,
        }
    }

    /// Cleans the board and runs what every board runs right.
    async fn ask_canary(&mut self) -> FailureClass {
        let canary = Arc::new(canary::image());
        let result = match self.clean().await {
            Ok(()) => {
                self.attempt(&canary, CANARY, CANARY_SILENCE.min(self.bench.board_type.run_timeout)).await.map(drop)
            }
            Err(fault) => Err(fault),
        };
        match result {
            Ok(()) => {
                info!("the canary runs: the board is well");
                FailureClass::Candidate
            }
            Err(fault) => {
                warn!("the canary fails too: {fault}");
                FailureClass::Board
            }
        }
    }

    /// Notes a failure and waits before the next try, longer each time; after too many, until somebody asks for it.
    async fn recover(&mut self, trouble: Trouble) {
        self.available(Availability::NotYet);
        warn!(board = %self.name(), "{}", trouble.failure.message);
        self.note(&trouble).await;
        self.bench.disconnect().await;
        let failures = self.status.get().failures_in_a_row;
        if trouble.permanent || failures >= QUARANTINE_AFTER {
            self.status.enter(BoardState::Quarantined);
            self.available(Availability::Quarantined);
            self.until_recover().await;
            self.status.change(|b| b.failures_in_a_row = 0);
        } else {
            self.status.enter(BoardState::Recovering);
            let pause = Duration::from_millis(200) * 4u32.pow(failures.min(4));
            // A request to recover ends the pause.
            let _ = tokio::time::timeout(pause, self.until_recover()).await;
        }
    }

    async fn until_recover(&mut self) {
        while let Some(goal) = self.goals.recv().await {
            match goal {
                Goal::Recover => return,
                Goal::Measure { reply, .. } => {
                    let fault = Fault::Rig("the board became unavailable".into());
                    // The asker may be gone, which is as well.
                    let _ = reply.send(Err(Failed { fault, class: FailureClass::Board, certain: true }));
                }
            }
        }
        std::future::pending().await
    }

    async fn note(&mut self, trouble: &Trouble) {
        let (name, failure) = (self.name().to_owned(), trouble.failure.clone());
        let recorded = trouble.recorded;
        let stored = self.store.write(move |db| {
            if !recorded {
                db.add_failure(&failure)?;
            }
            db.board_failure(&name)
        });
        let last = stored.await.inspect_err(|e| warn!("a failure could not be recorded: {e}")).ok().flatten();
        self.status.change(|b| {
            b.failures_in_a_row += 1;
            b.identity = None;
            b.last_failure = last;
        });
    }
}

/// Why a board cannot go on as it is.
struct Trouble {
    failure: NewFailure,
    /// Trying again is pointless until somebody has looked.
    permanent: bool,
    /// Somebody else keeps the failure.
    recorded: bool,
}

impl Trouble {
    fn new(board: &str, class: FailureClass, fault: &Fault) -> Self {
        let failure = NewFailure {
            class,
            what: fault.what().to_owned(),
            message: fault.to_string(),
            evidence: fault.evidence(),
            board: Some(board.to_owned()),
            episode: None,
            measurement: None,
            image_sha256: None,
        };
        Self { failure, permanent: fault.is_permanent(), recorded: false }
    }
}

/// Whose fault it is when no candidate is involved.
fn class_of(fault: &Fault) -> FailureClass {
    match fault.blame() {
        Blame::Certain(FailureClass::Rig) => FailureClass::Rig,
        _ => FailureClass::Board,
    }
}

/// The runner's ELF for a board type.
pub fn runner_path(board_type: &BoardType, firmware: &std::path::Path) -> PathBuf {
    board_type.runner.clone().unwrap_or_else(|| firmware.join(format!("{}.elf", board_type.name)))
}
