//! The rack: every board has one owner, and whoever wants a board leases it.
//!
//! Owns probes, ports, flash wear and emulated boards. Does not know campaigns, episodes or HTTP. [`probe`] alone knows
//! probe-rs, [`line`] alone opens serial ports.

mod bench;
mod blocking;
mod board;
mod canary;
mod conversation;
mod fault;
mod flash_plan;
mod lease;
mod line;
mod probe;
mod virtual_board;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::Instrument;

pub use bench::Measured;
pub use board::{Failed, Job, runner_path};
pub use canary::image as canary_image;
pub use conversation::Counts;
pub use fault::{Fault, WrongOutput};
pub use flash_plan::sha256;
pub use lease::{NoBoard, Want};
pub use probe::probe_is_there;

use crate::config::Config;
use crate::store::{Store, StoreError};
use crate::types::{self, Event, FailureClass};
use bench::Bench;
use board::{Goal, Owner, Status};
use lease::{Broker, Lease};

struct Handle {
    status: Status,
    goals: mpsc::Sender<Goal>,
}

/// All boards of this host.
pub struct Rack {
    boards: BTreeMap<String, Handle>,
    broker: Broker,
    store: Arc<Store>,
    shutdown: watch::Sender<bool>,
    owners: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Rack {
    /// Records the rack and gives every board its owner, who begins to clean it at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(
        config: &Config,
        store: Arc<Store>,
        events: broadcast::Sender<Event>,
    ) -> Result<Arc<Self>, StoreError> {
        let (boards, types) = (config.boards.clone(), config.board_types.clone());
        store.write(move |db| db.begin_rack(&boards, &types)).await?;
        let broker = Broker::default();
        let (shutdown, _) = watch::channel(false);
        let (mut handles, mut owners) = (BTreeMap::new(), Vec::new());
        for board in &config.boards {
            let board_type = config.board_type(&board.board_type).expect("the configuration was checked");
            let status = Status::new(board, board_type, broker.clone(), events.clone());
            let (goals, queue) = mpsc::channel(4);
            let runner = runner_path(board_type, &config.daemon.firmware);
            let flash_file = config.daemon.cache.join("virtual").join(format!("{}.flash", board.name));
            let bench = Bench::new(board.clone(), Arc::new(board_type.clone()), store.clone(), runner, flash_file);
            broker.add(&board.name, &board.board_type);
            let owner = Owner {
                bench,
                store: store.clone(),
                broker: broker.clone(),
                status: status.clone(),
                goals: queue,
                shutdown: shutdown.subscribe(),
            };
            let span = tracing::info_span!("board", board = %board.name);
            owners.push(tokio::spawn(owner.run().instrument(span)));
            handles.insert(board.name.clone(), Handle { status, goals });
        }
        let owners = tokio::sync::Mutex::new(owners);
        Ok(Arc::new(Self { boards: handles, broker, store, shutdown, owners }))
    }

    /// The boards, by name.
    pub fn boards(&self) -> Vec<types::Board> {
        self.boards.values().map(|h| h.status.get()).collect()
    }

    /// One board.
    pub fn board(&self, name: &str) -> Option<types::Board> {
        self.boards.get(name).map(|h| h.status.get())
    }

    /// Waits in line for a board.
    ///
    /// # Errors
    /// [`NoBoard`] when waiting is pointless.
    pub async fn lease(&self, want: Want) -> Result<BoardLease, NoBoard> {
        let holder = want.holder.clone();
        let lease = self.broker.lease(want).await?;
        let handle = &self.boards[lease.board()];
        handle.status.announce();
        let board = lease.board().to_owned();
        let row = self.store.write(move |db| db.lease_begin(&board, &holder)).await;
        let row = row.inspect_err(|e| tracing::warn!("a lease could not be recorded: {e}")).ok();
        let (goals, status) = (handle.goals.clone(), handle.status.clone());
        Ok(BoardLease { lease: Some(lease), goals, status, store: self.store.clone(), row })
    }

    /// Ends a board's quarantine. False when there is no such board.
    pub async fn recover(&self, name: &str) -> bool {
        match self.boards.get(name) {
            // A full queue means that the owner is awake already.
            Some(handle) => handle.goals.try_send(Goal::Recover).is_ok() || !handle.goals.is_closed(),
            None => false,
        }
    }

    /// Stops every owner and its board's emulator, and waits for them.
    pub async fn shut_down(&self) {
        self.shutdown.send_replace(true);
        for owner in self.owners.lock().await.drain(..) {
            if let Err(panic) = owner.await {
                tracing::error!("a board's owner died: {panic}");
            }
        }
    }
}

/// A leased board. Dropping it gives it back.
pub struct BoardLease {
    /// Always there until dropped.
    lease: Option<Lease>,
    goals: mpsc::Sender<Goal>,
    status: Status,
    store: Arc<Store>,
    row: Option<i64>,
}

impl BoardLease {
    /// The board, now.
    pub fn board(&self) -> types::Board {
        self.status.get()
    }

    /// Measures an image on the board.
    ///
    /// # Errors
    /// [`Failed`]: what happened, and whose fault it is.
    pub async fn measure(&self, job: Job) -> Result<Measured, Failed> {
        let (reply, answer) = oneshot::channel();
        let gone = || Failed { fault: Fault::ShuttingDown, class: FailureClass::Rig, certain: true };
        self.goals.send(Goal::Measure { job, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for BoardLease {
    fn drop(&mut self) {
        drop(self.lease.take());
        self.status.announce();
        if let (Some(row), Ok(runtime)) = (self.row, tokio::runtime::Handle::try_current()) {
            let store = self.store.clone();
            runtime.spawn(async move {
                if let Err(e) = store.write(move |db| db.lease_end(row)).await {
                    tracing::warn!("the end of a lease could not be recorded: {e}");
                }
            });
        }
    }
}
