//! The store: one SQLite file in WAL mode, written by this process alone and read by anybody.
//!
//! Owns all SQL: schema, migrations, queries, and the legal transitions of every state. Does not know boards as hardware,
//! HTTP or the agent. [`Store`] is the asynchronous handle; [`Db`] is what runs on its one writing and one reading thread.

mod boards;
mod campaigns;
mod candidates;
mod checkpoints;
mod comparison;
mod costs;
mod episodes;
mod error;
mod failures;
mod flash;
mod images;
mod measurements;
mod migrations;
mod query;
mod row;
mod variants;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

pub use campaigns::{CampaignEvent, CampaignSpec, Progress, StoredCampaign};
pub use comparison::{SearchPoint, SearchRun};
pub use episodes::{EpisodeEvent, EpisodeKey, Proposed};
pub use error::StoreError;
pub use failures::NewFailure;
pub use flash::SectorState;
pub use images::ImageRow;
pub use measurements::NewMeasurement;
pub use query::{QueryError, Rows, Value, read_only};

/// How long a write waits for somebody else's lock before it gives up. People's tools hold one for moments only.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Now, as every time in the store is written.
pub fn now() -> String {
    format_time(jiff::Timestamp::now())
}

/// `time` as RFC 3339 in UTC with exactly milliseconds, so that text order is time order.
pub fn format_time(time: jiff::Timestamp) -> String {
    format!("{time:.3}")
}

/// One connection, with the schema up to date.
pub struct Db {
    conn: Connection,
}

impl Db {
    /// Opens or creates the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError`]: not a database, not writable, or written by a newer daemon.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| StoreError::Open { path: path.to_owned(), reason: e.to_string() })?;
        }
        let opened = Connection::open(path).map_err(StoreError::from).and_then(Self::prepare);
        opened.map_err(|e| e.at(path))
    }

    /// A database in memory, for tests.
    #[cfg(test)]
    pub fn in_memory() -> Self {
        Self::prepare(Connection::open_in_memory().expect("memory")).expect("an up-to-date schema")
    }

    fn prepare(mut conn: Connection) -> Result<Self, StoreError> {
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.pragma_update(None, "journal_mode", "wal")?;
        // In WAL mode NORMAL loses the last commits when the power fails; a measurement accepted is never lost.
        conn.pragma_update(None, "synchronous", "full")?;
        conn.pragma_update(None, "foreign_keys", true)?;
        migrations::apply(&mut conn)?;
        Ok(Self { conn })
    }

    /// Opens the database to read, with or without a daemon that writes.
    ///
    /// # Errors
    /// No database, or not a readable one.
    pub fn open_reader(path: &Path) -> Result<Self, StoreError> {
        let conn =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        conn.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { conn })
    }

    /// Writes what changes nothing.
    ///
    /// # Errors
    /// Why nothing can be written just now.
    pub fn try_writing(&mut self) -> Result<(), StoreError> {
        let version: u32 = self.conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok(self.conn.pragma_update(None, "user_version", version)?)
    }

    /// A transaction that takes the write lock at once, so that what it reads stays true until it writes.
    fn immediate(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }
}

type Job = Box<dyn FnOnce(&mut Db) + Send>;

/// A thread that owns a connection and runs what it is sent, in order.
struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn new(name: &str, mut db: Db) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let work = move || queue.into_iter().for_each(|job| job(&mut db));
        let thread = std::thread::Builder::new().name(name.into()).spawn(work)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // Nobody waits for the answer any more when the caller was cancelled; the write counts all the same.
            let _ = reply.send(f(db));
        });
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(job));
        match sent {
            Some(Ok(())) => answer.await.map_err(|_| StoreError::Gone)?,
            _ => Err(StoreError::Gone),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported as `Gone` to whoever waited.
            let _ = thread.join();
        }
    }
}

/// The store's asynchronous handle.
pub struct Store {
    path: PathBuf,
    writer: Worker,
    reader: Worker,
}

impl Store {
    /// Opens or creates the database at `path`.
    ///
    /// # Errors
    /// What [`Db::open`] says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = Db::open(path)?;
        let reader = Db::open_reader(path).map_err(|e| e.at(path))?;
        let thread = |e: std::io::Error| StoreError::Open { path: path.to_owned(), reason: e.to_string() };
        Ok(Self {
            path: path.to_owned(),
            writer: Worker::new("store-writer", writer).map_err(thread)?,
            reader: Worker::new("store-reader", reader).map_err(thread)?,
        })
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `f` on the writing connection.
    ///
    /// # Errors
    /// `f`'s, or [`StoreError::Gone`].
    pub async fn write<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(f).await
    }

    /// Runs `f` on the reading connection, which sees what was committed before.
    ///
    /// # Errors
    /// `f`'s, or [`StoreError::Gone`].
    pub async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Db) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.reader.run(f).await
    }
}

#[cfg(test)]
mod tests;
