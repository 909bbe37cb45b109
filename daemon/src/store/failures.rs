//! What went wrong, whose fault it was, and the evidence.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use super::row::{json_opt, to_word, word};
use super::{Db, StoreError, now};
use crate::types::{Failure, FailureClass};

/// A failure to record.
#[derive(Debug, Clone)]
pub struct NewFailure {
    pub class: FailureClass,
    /// What was being done, in a word: `flash`, `verify`, `run`.
    pub what: String,
    pub message: String,
    pub evidence: Option<Value>,
    pub board: Option<String>,
    pub episode: Option<i64>,
    pub measurement: Option<i64>,
    pub image_sha256: Option<String>,
}

impl Db {
    /// Keeps a failure.
    pub fn add_failure(&mut self, failure: &NewFailure) -> Result<i64, StoreError> {
        let f = failure;
        let evidence = f.evidence.as_ref().map(Value::to_string);
        self.conn.execute(
            "INSERT INTO failures (at, class, what, message, evidence, board, episode, measurement, image_sha256)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                now(),
                to_word(f.class),
                f.what,
                f.message,
                evidence,
                f.board,
                f.episode,
                f.measurement,
                f.image_sha256
            ],
        )?;
        Ok(self.conn.last_insert_rowid())
    }

    /// The failures of an episode, oldest first.
    pub fn episode_failures(&mut self, episode: i64) -> Result<Vec<Failure>, StoreError> {
        let mut query = self.conn.prepare_cached("SELECT * FROM failures WHERE episode = ?1 ORDER BY id")?;
        let rows = query.query_map([episode], failure)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The latest failure on a board.
    pub fn board_failure(&mut self, board: &str) -> Result<Option<Failure>, StoreError> {
        let sql = "SELECT * FROM failures WHERE board = ?1 ORDER BY id DESC LIMIT 1";
        Ok(self.conn.query_row(sql, [board], failure).optional()?)
    }
}

fn failure(row: &Row<'_>) -> rusqlite::Result<Failure> {
    Ok(Failure {
        id: row.get("id")?,
        class: word(row, "class")?,
        what: row.get("what")?,
        message: row.get("message")?,
        evidence: json_opt(row, "evidence")?,
        board: row.get("board")?,
        at: row.get("at")?,
    })
}
