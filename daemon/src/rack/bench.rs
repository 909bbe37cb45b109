//! One board's hardware on the bench: bringing it up, flashing it, running on it. Every call that blocks goes through
//! [`Hands`]; what the flash holds is noted in the store before and after.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitrack_image::Image;
use bitrack_wire::client::ClientError;
use tracing::{debug, info};

use super::Fault;
use super::blocking::Hands;
use super::conversation::{self, BOARD_TYPE, Counts, Run};
use super::flash_plan::{self, FlashPlan, sha256};
use super::line::{Line, open_line};
use super::probe::Attached;
use super::virtual_board::VirtualBoard;
use crate::config::{Board, BoardType, Link, Probe, Unit};
use crate::store::{Store, StoreError};
use crate::types::Identity;

/// Deadlines of the single steps: each is far above what a healthy board needs.
const START_WITHIN: Duration = Duration::from_secs(30);
const FLASH_WITHIN: Duration = Duration::from_secs(90);
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// One board's hardware.
pub struct Bench {
    pub board: Board,
    pub board_type: Arc<BoardType>,
    pub store: Arc<Store>,
    /// The runner's ELF.
    pub runner: PathBuf,
    /// Holds the flash of an emulated board across restarts.
    pub flash_file: PathBuf,
    hands: Hands,
    emulator: Option<VirtualBoard>,
    line: Option<Line>,
    identity: Option<Identity>,
    runner_sha256: Option<String>,
}

/// An image in flash.
#[derive(Debug, Clone)]
pub struct Flashed {
    pub plan: FlashPlan,
    pub took: Duration,
}

/// A finished measurement, with everything that says how it was taken.
#[derive(Debug, Clone)]
pub struct Measured {
    pub run: Run,
    pub flashed: Flashed,
    pub identity: Identity,
    pub unit: Unit,
    pub runner_sha256: String,
}

/// Where a board can be reached now.
#[derive(Clone)]
struct Address {
    probe: Probe,
    serial: PathBuf,
}

impl Bench {
    /// A board that nobody has touched yet.
    pub fn new(
        board: Board,
        board_type: Arc<BoardType>,
        store: Arc<Store>,
        runner: PathBuf,
        flash_file: PathBuf,
    ) -> Self {
        Self {
            board,
            board_type,
            store,
            runner,
            flash_file,
            hands: Hands::new(),
            emulator: None,
            line: None,
            identity: None,
            runner_sha256: None,
        }
    }

    /// Selector and port, for people.
    pub fn address(&self) -> (Option<String>, Option<String>) {
        let known = self.current_address();
        (known.as_ref().map(|a| a.probe.to_string()), known.map(|a| a.serial.display().to_string()))
    }

    /// Makes sure that the right board is there, with the right runner, and listens.
    ///
    /// # Errors
    /// [`Fault`]: what is not as it should be.
    pub async fn bring_up(&mut self) -> Result<Identity, Fault> {
        self.line = None;
        let elf = tokio::fs::read(&self.runner).await.map_err(|e| missing_runner(&self.runner, &e))?;
        let wanted = sha256(&elf);
        let address = self.connect().await?;
        let name = self.board.name.clone();
        let known = self.store.read(move |db| db.board_runner(&name)).await.map_err(rig)?;
        let mut found = None;
        if known.as_ref() == Some(&wanted) {
            found = self.greet_known(&address).await?;
        }
        let identity = match found {
            Some(identity) => identity,
            None => {
                self.flash_runner(&address, &wanted).await?;
                self.greet(&address).await?
            }
        };
        self.identity = Some(identity.clone());
        self.runner_sha256 = Some(wanted);
        Ok(identity)
    }

    /// Greets a board that should have its runner. `None` when somebody else has flashed it or put another chip in its
    /// place: it does not answer, or not as the last time.
    async fn greet_known(&mut self, address: &Address) -> Result<Option<Identity>, Fault> {
        let identity = match self.greet(address).await {
            Ok(identity) => identity,
            Err(Fault::Silent(why)) => {
                info!("the runner does not answer ({why}), flashing it again");
                return Ok(None);
            }
            // The chip is the right one, or attaching to it would have said so: it has been given other firmware.
            Err(Fault::Identity { what: BOARD_TYPE, found, .. }) => {
                info!("a runner for {found} answers, flashing ours");
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        let name = self.board.name.clone();
        let seen = self.store.read(move |db| db.board_last_seen(&name)).await.map_err(rig)?;
        let (chip, revision) = (identity.chip_id.clone(), identity.firmware_revision.clone());
        match seen {
            Some(seen) if seen != (chip, revision) => {
                info!(
                    "chip {} with runner {} is not what was left here (chip {}, runner {}): flashing all anew",
                    identity.chip_id, identity.firmware_revision, seen.0, seen.1
                );
                let name = self.board.name.clone();
                self.store.write(move |db| db.flash_forget(&name)).await.map_err(rig)?;
                Ok(None)
            }
            _ => Ok(Some(identity)),
        }
    }

    /// Makes the board's slots hold `image`, at the least cost to its flash.
    ///
    /// # Errors
    /// The image fits nowhere, the flash is worn out, or writing fails.
    pub async fn flash(&mut self, image: &Arc<Vec<u8>>) -> Result<Flashed, Fault> {
        let started = Instant::now();
        let name = self.board.name.clone();
        let known = self.store.read(move |db| db.flash_sectors(&name)).await.map_err(rig)?;
        let plan = flash_plan::plan(image, &self.board_type, &known)?;
        if !plan.writes.is_empty() {
            self.write_sectors(image, &plan).await?;
        }
        debug!(slot = plan.slot, sectors = plan.writes.len(), "flashed");
        Ok(Flashed { plan, took: started.elapsed() })
    }

    async fn write_sectors(&mut self, image: &Arc<Vec<u8>>, plan: &FlashPlan) -> Result<(), Fault> {
        let address = self.current_address().ok_or_else(|| Fault::Emulator("it is gone".into()))?;
        let line = self.line.take();
        let name = self.board.name.clone();
        let sectors: Vec<u32> = plan.writes.iter().map(|w| w.address).collect();
        self.store.write(move |db| db.flash_begin(&name, &sectors)).await.map_err(rig)?;
        let (image, writes, board_type) = (image.clone(), plan.writes.clone(), self.board_type.clone());
        let line = self.hands.call("flashing", FLASH_WITHIN, move || {
            let mut attached = Attached::open(&address.probe, &board_type)?;
            attached.flash(&image, &writes)?;
            let mut line = line.map_or_else(|| open_line(&address.serial, board_type.baud), Ok)?;
            attached.reset_and_detach(|| line.discard_input())?;
            line.hello(HELLO_WITHIN).map_err(Fault::Silent)?;
            Ok(line)
        });
        self.line = Some(line.await?);
        let name = self.board.name.clone();
        let done: Vec<_> = plan.writes.iter().map(|w| (w.address, w.sha256.clone())).collect();
        self.store.write(move |db| db.flash_done(&name, &done)).await.map_err(rig)
    }

    /// Runs the image that was flashed. `silence` is the longest that one inference may say nothing.
    ///
    /// # Errors
    /// See [`conversation::measure`].
    pub async fn run(
        &mut self,
        image: &Arc<Vec<u8>>,
        flashed: &Flashed,
        counts: Counts,
        silence: Duration,
    ) -> Result<Measured, Fault> {
        let vectors = u32::from(Image::parse(image)?.header().n_vectors);
        // Each run may be silent for as long as `silence` says, and so may the run that looks for the first wrong op.
        let deadline = silence * (counts.warmup + counts.repeats + vectors + 2) + Duration::from_secs(30);
        let mut line = self.line.take().ok_or(Fault::Silent(ClientError::Closed { waiting_for: "hello" }))?;
        let (image, slot) = (image.clone(), flashed.plan.slot);
        let measured = self.hands.call("measuring", deadline, move || {
            let measure = |image| conversation::measure(&mut line, &image, slot, counts, silence);
            let run = Image::parse(&image).map_err(Fault::from).and_then(measure);
            Ok((line, run))
        });
        // The line outlives a candidate's failure: the board is well.
        let (line, run) = measured.await?;
        self.line = Some(line);
        let run = run?;
        let unknown = || Fault::Rig("a board ran before it was identified".into());
        Ok(Measured {
            run,
            flashed: flashed.clone(),
            identity: self.identity.clone().ok_or_else(unknown)?,
            unit: self.board_type.unit,
            runner_sha256: self.runner_sha256.clone().ok_or_else(unknown)?,
        })
    }

    /// Forgets what the slots hold, so that everything is written anew.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_flash(&mut self) -> Result<(), Fault> {
        let name = self.board.name.clone();
        let runner = self.runner_sha256.clone();
        let forget = move |db: &mut crate::store::Db| {
            db.flash_forget(&name)?;
            db.set_board_runner(&name, runner.as_deref())
        };
        self.store.write(forget).await.map_err(rig)?;
        let address = self.connect().await?;
        self.greet(&address).await.map(drop)
    }

    /// Lets go of everything: what hangs on a dead probe or port ends with it.
    pub async fn disconnect(&mut self) {
        self.line = None;
        self.stop_emulator().await;
    }

    /// The end.
    pub async fn put_away(&mut self) {
        self.disconnect().await;
    }

    async fn stop_emulator(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            // Stopping waits for it to end; a panic there has left nothing behind to clean.
            let _ = tokio::task::spawn_blocking(move || drop(emulator)).await;
        }
    }

    fn current_address(&self) -> Option<Address> {
        match (&self.board.link, &self.emulator) {
            (Link::Wired { probe, serial }, _) => Some(Address { probe: probe.clone(), serial: serial.clone() }),
            (Link::Virtual, Some(e)) => Some(Address { probe: e.probe.clone(), serial: e.serial.clone() }),
            (Link::Virtual, None) => None,
        }
    }

    /// The board's address; an emulated board is started when it does not run.
    async fn connect(&mut self) -> Result<Address, Fault> {
        let runs = self.emulator.as_mut().is_some_and(VirtualBoard::is_alive);
        if self.board.link == Link::Virtual && !runs {
            self.stop_emulator().await;
            self.start_emulator().await?;
        }
        self.current_address().ok_or_else(|| Fault::Emulator("it is gone".into()))
    }

    async fn start_emulator(&mut self) -> Result<(), Fault> {
        if !self.flash_file.exists() {
            let name = self.board.name.clone();
            self.store.write(move |db| db.flash_forget(&name)).await.map_err(rig)?;
        }
        let machine = self.board_type.machine.clone().unwrap_or_default();
        let file = self.flash_file.clone();
        let start = move || VirtualBoard::start(&machine, &file);
        self.emulator = Some(self.hands.call("starting the emulated board", START_WITHIN, start).await?);
        Ok(())
    }

    /// Restarts the board and asks who it is. The port is opened first: nothing the board says is missed.
    async fn greet(&mut self, address: &Address) -> Result<Identity, Fault> {
        // A port is opened once at a time.
        self.line = None;
        let (address, board, board_type) = (address.clone(), self.board.clone(), self.board_type.clone());
        let greeted = self.hands.call("the handshake", START_WITHIN, move || {
            let mut line = open_line(&address.serial, board_type.baud)?;
            Attached::open(&address.probe, &board_type)?.reset_and_detach(|| line.discard_input())?;
            let hello = line.hello(HELLO_WITHIN).map_err(Fault::Silent)?;
            let identity = conversation::identify(&hello, &board, &board_type)?;
            Ok((line, identity))
        });
        let (line, identity) = greeted.await?;
        self.line = Some(line);
        Ok(identity)
    }

    async fn flash_runner(&mut self, address: &Address, sha256: &str) -> Result<(), Fault> {
        info!(runner = %self.runner.display(), "flashing the runner");
        let (probe, board_type, elf) = (address.probe.clone(), self.board_type.clone(), self.runner.clone());
        let (store, name) = (self.store.clone(), self.board.name.clone());
        let runtime = tokio::runtime::Handle::current();
        let flash = move || {
            let mut attached = Attached::open(&probe, &board_type)?;
            let firmware = attached.elf(&elf)?;
            let sectors = firmware.sectors(board_type.sector);
            let unknown = store.write(move |db| {
                db.set_board_runner(&name, None)?;
                db.flash_begin(&name, &sectors)
            });
            runtime.block_on(unknown).map_err(rig)?;
            attached.flash_firmware(&firmware)?;
            attached.reset_and_detach(|| ())
        };
        self.hands.call("flashing the runner", FLASH_WITHIN, flash).await?;
        let (name, sha256) = (self.board.name.clone(), sha256.to_owned());
        self.store.write(move |db| db.set_board_runner(&name, Some(&sha256))).await.map_err(rig)
    }
}

fn missing_runner(path: &std::path::Path, error: &std::io::Error) -> Fault {
    Fault::Rig(format!("cannot read the runner {}: {error}; build it: cargo xtask firmware", path.display()))
}

fn rig(error: StoreError) -> Fault {
    Fault::Rig(error.to_string())
}
