//! Why the store refuses, cut by what the caller should do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {}: {reason}", path.display())]
    Open { path: PathBuf, reason: String },
    /// Worth trying again: nothing was written.
    #[error("the database is locked by another program (is somebody writing to it by hand?)")]
    Locked,
    /// Worth trying again once there is room: nothing was written.
    #[error("the disk that holds the database is full")]
    Full,
    #[error("the database is read-only")]
    ReadOnly,
    #[error("the database has schema version {found}, this daemon knows {known}: use the newer daemon")]
    NewerSchema { found: u32, known: u32 },
    #[error("no {0}")]
    NotFound(String),
    /// The transition asked for is not legal from the present state.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    #[error("database: {0}")]
    Sqlite(rusqlite::Error),
    /// The store's thread has ended.
    #[error("the store has stopped")]
    Gone,
}

impl StoreError {
    /// Whether the same write may succeed later without anybody changing the request.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Locked | Self::Full)
    }

    /// The same error, naming the file when it was found on opening.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            Self::NewerSchema { .. } | Self::Open { .. } => self,
            other => Self::Open { path: path.to_owned(), reason: other.to_string() },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::ToSqlConversionFailure(reason) = &error {
            return Self::Invalid(format!("the database cannot hold a value: {reason}"));
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            _ => Self::Sqlite(error),
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Sqlite(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    }
}
