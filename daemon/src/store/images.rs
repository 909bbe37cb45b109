//! Images that the cache folder holds.

use rusqlite::{OptionalExtension, params};

use super::{Db, StoreError, now};

/// What an image's header says. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRow {
    pub sha256: String,
    pub bytes: u32,
    pub model_len: u32,
    pub arena: u32,
    pub ops: u16,
    pub vectors: u16,
    pub model_id: u64,
}

impl Db {
    /// Records an image; false when it was there.
    pub fn put_image(&mut self, image: &ImageRow) -> Result<bool, StoreError> {
        let added = self.conn.execute(
            "INSERT INTO images (sha256, bytes, model_len, arena, ops, vectors, model_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (sha256) DO NOTHING",
            params![
                image.sha256,
                image.bytes,
                image.model_len,
                image.arena,
                image.ops,
                image.vectors,
                format!("{:016x}", image.model_id),
                now()
            ],
        )?;
        Ok(added > 0)
    }

    /// Whether the image was put.
    pub fn has_image(&mut self, sha256: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM images WHERE sha256 = ?1";
        Ok(self.conn.query_row(sql, [sha256], |_| Ok(())).optional()?.is_some())
    }
}
