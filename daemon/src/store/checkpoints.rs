//! What agents want to find again: their searches, and the training they are at. Nobody here looks inside.

use rusqlite::{OptionalExtension, Row, params};

use super::{Db, EpisodeKey, StoreError, now};
use crate::types::CheckpointInfo;

impl Db {
    /// Replaces the campaign's checkpoint.
    pub fn put_checkpoint(&mut self, id: i64, episode: u32, sha256: &str, content: &[u8]) -> Result<(), StoreError> {
        self.conn.execute(
            "INSERT INTO checkpoints (campaign, episode, sha256, saved_at, content) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (campaign) DO UPDATE SET episode = ?2, sha256 = ?3, saved_at = ?4, content = ?5",
            params![id, episode, sha256, now(), content],
        )?;
        Ok(())
    }

    /// The campaign's checkpoint, if there is one.
    pub fn checkpoint(&mut self, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT content FROM checkpoints WHERE campaign = ?1";
        Ok(self.conn.query_row(sql, [id], |row| row.get(0)).optional()?)
    }

    /// What is known of the campaign's checkpoint without reading it.
    pub fn checkpoint_info(&mut self, id: i64) -> Result<Option<CheckpointInfo>, StoreError> {
        let sql = "SELECT length(content) AS bytes, sha256, saved_at, episode FROM checkpoints WHERE campaign = ?1";
        Ok(self.conn.query_row(sql, [id], info).optional()?)
    }

    /// Replaces the checkpoint of the campaign's training, which is that of an episode yet to be proposed.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the episode is there: its training is over.
    pub fn put_training(&mut self, key: EpisodeKey, sha256: &str, content: &[u8]) -> Result<(), StoreError> {
        self.not_proposed(key)?;
        self.conn.execute(
            "INSERT INTO trainings (campaign, episode, sha256, saved_at, content) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (campaign) DO UPDATE SET episode = ?2, sha256 = ?3, saved_at = ?4, content = ?5",
            params![key.campaign, key.index, sha256, now(), content],
        )?;
        Ok(())
    }

    /// Refuses what only makes sense before an episode is proposed.
    ///
    /// # Errors
    /// [`StoreError::Conflict`].
    pub fn not_proposed(&mut self, key: EpisodeKey) -> Result<(), StoreError> {
        match self.episode_id(key) {
            Err(StoreError::NotFound(_)) => Ok(()),
            Ok(_) => {
                let index = key.index;
                Err(StoreError::Conflict(format!("episode {index} was proposed before: its training is over")))
            }
            Err(error) => Err(error),
        }
    }

    /// The checkpoint of the training of this episode, if there is one.
    pub fn training(&mut self, key: EpisodeKey) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT content FROM trainings WHERE campaign = ?1 AND episode = ?2";
        Ok(self.conn.query_row(sql, params![key.campaign, key.index], |row| row.get(0)).optional()?)
    }

    /// What is known of the campaign's training without reading its checkpoint.
    pub fn training_info(&mut self, id: i64) -> Result<Option<CheckpointInfo>, StoreError> {
        let sql = "SELECT length(content) AS bytes, sha256, saved_at, episode FROM trainings WHERE campaign = ?1";
        Ok(self.conn.query_row(sql, [id], info).optional()?)
    }
}

fn info(row: &Row<'_>) -> rusqlite::Result<CheckpointInfo> {
    Ok(CheckpointInfo {
        bytes: row.get("bytes")?,
        sha256: row.get("sha256")?,
        saved_at: row.get("saved_at")?,
        episode: row.get("episode")?,
    })
}
