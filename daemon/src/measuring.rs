//! From an image to an accepted measurement: reuse, boards in turn, and the verdict on failures.
//!
//! Knows the rack's leases and the store's rows; knows neither probes nor HTTP. A measurement counts when its row is
//! committed, and not before; a store that cannot be written just now is waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bitrack_image::Header;
use tokio::sync::broadcast;
use tracing::{info, warn};

use crate::config::Unit;
use crate::images::Images;
use crate::rack::{Counts, Failed, Fault, Job, Measured, NoBoard, Rack, Want, WrongOutput};
use crate::store::{Db, EpisodeEvent, NewFailure, NewMeasurement, Store, StoreError};
use crate::types::{Board, Event, FailureClass, Identity, MeasurementWall};

/// Boards' and rig's failures after which a measurement is given up.
const ATTEMPTS: usize = 4;
/// Doubtful failures, each with a healthy canary, that make it the candidate's fault.
const VOTES: usize = 2;
/// How long a temporary refusal of the store is waited for between two tries.
const STORE_PAUSE: Duration = Duration::from_millis(500);
/// How often it is said meanwhile.
const STORE_WARNING: Duration = Duration::from_secs(60);

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Order {
    pub image: String,
    /// This board, or any of this type.
    pub board: Option<String>,
    pub board_type: Option<String>,
    pub counts: Counts,
    /// The episode's id, and how people call it.
    pub episode: Option<i64>,
    pub holder: String,
    /// Measure also what was measured before.
    pub fresh: bool,
    /// Wait even while every board is quarantined: somebody may recover one.
    pub patient: bool,
}

/// Why there is no measurement.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotMeasured {
    #[error("{message}")]
    Failed { class: FailureClass, message: String },
    /// Nothing is wrong; the next daemon will do it.
    #[error("the daemon is shutting down")]
    ShuttingDown,
}

/// What measuring needs.
#[derive(Clone)]
pub struct Measuring {
    pub rack: Arc<Rack>,
    pub store: Arc<Store>,
    pub images: Images,
    pub events: broadcast::Sender<Event>,
}

impl Measuring {
    /// Gets an accepted measurement: an earlier one of the same image by the same runner, or a new one.
    ///
    /// # Errors
    /// [`NotMeasured`]: whose fault it is.
    #[tracing::instrument(skip_all, fields(candidate = %order.holder, image = %&order.image[..12.min(order.image.len())]))]
    pub async fn measure(&self, order: &Order) -> Result<i64, NotMeasured> {
        let image = self.read_image(&order.image).await?;
        let (mut avoid, mut votes) = (Vec::new(), 0);
        let mut last = (FailureClass::Rig, String::new());
        for _ in 0..ATTEMPTS {
            let queued = Instant::now();
            let lease = self.lease(order, &avoid).await?;
            let board = lease.board();
            if let Some(id) = self.reuse(order, &board).await? {
                return Ok(id);
            }
            let queue_ms = ms(queued.elapsed());
            let job = Job { image: image.clone(), counts: order.counts, candidate: order.holder.clone() };
            let failed = match lease.measure(job).await {
                Ok(measured) => return self.accept(order, &board.name, &image, measured, queue_ms).await,
                Err(failed) => failed,
            };
            if matches!(failed.fault, Fault::ShuttingDown) {
                return Err(NotMeasured::ShuttingDown);
            }
            self.note(order, &board, &image, &failed).await?;
            votes += usize::from(failed.class == FailureClass::Candidate);
            let guilty = failed.class == FailureClass::Candidate && (failed.certain || votes >= VOTES);
            last = (failed.class, failed.fault.to_string());
            if guilty {
                return Err(NotMeasured::Failed { class: last.0, message: last.1 });
            }
            avoid.push(board.name);
        }
        // A suspicion that did not harden is the rig's: only what is certain may be held against a candidate.
        let class = if last.0 == FailureClass::Candidate { FailureClass::Rig } else { last.0 };
        Err(NotMeasured::Failed { class, message: last.1 })
    }

    /// Measures an episode on each of its campaign's board types, and settles its state.
    ///
    /// # Errors
    /// The store's, when it refuses for good; the episode stays `measuring` and is taken up again by the next daemon.
    pub async fn measure_episode(&self, id: i64) -> Result<(), StoreError> {
        let (episode, campaign, done) = self
            .store
            .read(move |db| {
                let episode = db.episode(id)?;
                let campaign = db.campaign_id(&episode.candidate.campaign)?;
                Ok((episode, db.campaign(campaign)?, db.measured_types(id)?))
            })
            .await?;
        let candidate = &episode.candidate;
        let holder = format!("campaign {}, episode {}", candidate.campaign, candidate.index);
        let mut event = EpisodeEvent::Measured;
        for board_type in campaign.board_types.iter().filter(|t| !done.contains(t)) {
            let order = Order {
                image: candidate.image_sha256.clone().unwrap_or_default(),
                board: None,
                board_type: Some(board_type.clone()),
                counts: Counts { warmup: campaign.warmup, repeats: campaign.repeats },
                episode: Some(id),
                holder: holder.clone(),
                fresh: false,
                patient: true,
            };
            match self.measure(&order).await {
                Ok(_) => {}
                Err(NotMeasured::ShuttingDown) => return Ok(()),
                Err(NotMeasured::Failed { class: FailureClass::Candidate, message }) => {
                    event = EpisodeEvent::Infeasible(message);
                }
                Err(NotMeasured::Failed { message, .. }) => event = EpisodeEvent::Failed(message),
            }
            if event != EpisodeEvent::Measured {
                break;
            }
        }
        self.settle(id, event).await
    }

    async fn settle(&self, id: i64, event: EpisodeEvent) -> Result<(), StoreError> {
        let state = self.persist(move |db| db.episode_event(id, &event)).await?;
        info!(?state, "episode settled");
        let candidate = self.store.read(move |db| db.candidate(id)).await?;
        // Nobody listening is fine.
        let _ = self.events.send(Event::Candidate(Box::new(candidate)));
        Ok(())
    }

    async fn read_image(&self, sha256: &str) -> Result<Arc<Vec<u8>>, NotMeasured> {
        let (images, name) = (self.images.clone(), sha256.to_owned());
        let read = tokio::task::spawn_blocking(move || images.read(&name)).await;
        let bytes = read.map_err(|e| rig(e.to_string()))?.map_err(|e| rig(format!("image {sha256}: {e}")))?;
        Ok(Arc::new(bytes))
    }

    async fn lease(&self, order: &Order, avoid: &[String]) -> Result<crate::rack::BoardLease, NotMeasured> {
        let mut events = self.events.subscribe();
        loop {
            let want = Want {
                board: order.board.clone(),
                board_type: order.board_type.clone(),
                avoid: avoid.to_vec(),
                holder: order.holder.clone(),
            };
            match self.rack.lease(want).await {
                Ok(lease) => return Ok(lease),
                Err(NoBoard::Quarantined(boards)) if order.patient => {
                    warn!("waiting: quarantined boards only ({})", boards.join(", "));
                    next_board_event(&mut events).await;
                }
                Err(e) => return Err(rig(e.to_string())),
            }
        }
    }

    /// An earlier measurement of the image by the runner that this board has, linked to the episode if there is one.
    async fn reuse(&self, order: &Order, board: &Board) -> Result<Option<i64>, NotMeasured> {
        if order.fresh {
            return Ok(None);
        }
        let (image, board, episode) = (order.image.clone(), board.clone(), order.episode);
        let reused = self.persist(move |db| {
            let Some(runner) = db.board_runner(&board.name)? else { return Ok(None) };
            match (db.reusable(&image, &board.board_type, &runner)?, episode) {
                (Some(id), Some(episode)) => db.reuse_measurement(id, episode).map(Some),
                (found, _) => Ok(found),
            }
        });
        reused.await.map_err(refused)
    }

    async fn accept(
        &self,
        order: &Order,
        board: &str,
        image: &[u8],
        measured: Measured,
        queue_ms: f64,
    ) -> Result<i64, NotMeasured> {
        let row = row(order, board, image, &measured, queue_ms);
        info!(board, ticks = ?row.repeats, sectors = row.sectors_written, "measured");
        self.persist(move |db| db.add_measurement(&row)).await.map_err(refused)
    }

    /// Keeps a failure; what a board computed wrongly is kept as a rejected measurement besides.
    async fn note(&self, order: &Order, board: &Board, image: &[u8], failed: &Failed) -> Result<(), NotMeasured> {
        let rejected = match &failed.fault {
            Fault::WrongOutput(wrong) => Some(rejected_row(order, board, image, wrong)),
            _ => None,
        };
        let failure = NewFailure {
            class: failed.class,
            what: failed.fault.what().to_owned(),
            message: failed.fault.to_string(),
            evidence: failed.fault.evidence(),
            board: Some(board.name.clone()),
            episode: order.episode,
            measurement: None,
            image_sha256: Some(order.image.clone()),
        };
        let write = move |db: &mut Db| {
            let measurement = match &rejected {
                Some(row) => {
                    let runner_sha256 = db.board_runner(&row.board)?.unwrap_or_default();
                    Some(db.add_measurement(&NewMeasurement { runner_sha256, ..row.clone() })?)
                }
                None => None,
            };
            db.add_failure(&NewFailure { measurement, ..failure.clone() })
        };
        self.persist(write).await.map(drop).map_err(refused)
    }

    /// Writes, however long the store is locked or full: what was measured is not measured again for that.
    async fn persist<T: Send + 'static>(
        &self,
        f: impl Fn(&mut Db) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let (f, started) = (Arc::new(f), Instant::now());
        let mut warned: Option<Instant> = None;
        loop {
            let once = f.clone();
            match self.store.write(move |db| once(db)).await {
                Err(e) if e.is_temporary() => {
                    if warned.is_none_or(|at| at.elapsed() >= STORE_WARNING) {
                        warn!("{e}; what was measured is kept, and written as soon as that is possible");
                        warned = Some(Instant::now());
                    }
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                result => {
                    if warned.is_some() {
                        info!("the store can be written again, after {:.1} s", started.elapsed().as_secs_f64());
                    }
                    return result;
                }
            }
        }
    }
}

fn row(order: &Order, board: &str, image: &[u8], m: &Measured, queue_ms: f64) -> NewMeasurement {
    let identity = &m.identity;
    NewMeasurement {
        episode: order.episode,
        board: board.to_owned(),
        board_type: identity.board_type.clone(),
        image_sha256: order.image.clone(),
        accepted: true,
        bit_exact: m.run.output_crc == m.run.expected_crc,
        repeats: m.run.repeats.clone(),
        unit: m.unit,
        clock_hz: identity.clock_hz,
        arena_planned: Header::parse(image).map_or(0, |h| h.arena_len),
        arena_high_water: Some(m.run.arena_high_water),
        stack_high_water: Some(m.run.stack_high_water),
        output_crc: Some(m.run.output_crc),
        expected_crc: Some(m.run.expected_crc),
        firmware_revision: identity.firmware_revision.clone(),
        runner_sha256: m.runner_sha256.clone(),
        chip_id: identity.chip_id.clone(),
        slot: m.flashed.plan.slot as u32,
        sectors_written: m.flashed.plan.writes.len() as u32,
        bytes_written: m.flashed.plan.bytes() as u32,
        wall: MeasurementWall {
            queue_ms,
            flash_ms: ms(m.flashed.took),
            load_ms: ms(m.run.load),
            run_ms: ms(m.run.run),
            store_ms: 0.0,
        },
        layers: m.run.layers.clone(),
    }
}

/// What is known of a run whose output was wrong.
fn rejected_row(order: &Order, board: &Board, image: &[u8], wrong: &WrongOutput) -> NewMeasurement {
    let identity = board.identity.as_ref();
    let said = |f: fn(&Identity) -> &String| identity.map(f).cloned().unwrap_or_default();
    NewMeasurement {
        episode: order.episode,
        board: board.name.clone(),
        board_type: board.board_type.clone(),
        image_sha256: order.image.clone(),
        accepted: false,
        bit_exact: false,
        repeats: wrong.repeats.clone(),
        unit: identity.and_then(|i| Unit::from_name(&i.unit)).unwrap_or(Unit::Cycles),
        clock_hz: identity.map_or(0, |i| i.clock_hz),
        arena_planned: Header::parse(image).map_or(0, |h| h.arena_len),
        arena_high_water: None,
        stack_high_water: None,
        output_crc: Some(wrong.found),
        expected_crc: Some(wrong.expected),
        firmware_revision: said(|i| &i.firmware_revision),
        runner_sha256: String::new(),
        chip_id: said(|i| &i.chip_id),
        slot: 0,
        sectors_written: 0,
        bytes_written: 0,
        wall: MeasurementWall::default(),
        layers: Vec::new(),
    }
}

async fn next_board_event(events: &mut broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Board(_)) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(_) => {}
            // The daemon is going down.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn refused(error: StoreError) -> NotMeasured {
    rig(error.to_string())
}

fn rig(message: String) -> NotMeasured {
    NotMeasured::Failed { class: FailureClass::Rig, message }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
