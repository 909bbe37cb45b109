//! What every sector of every board's flash holds, and how worn it is.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Db, StoreError};

/// One erase sector of a board.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SectorState {
    /// SHA-256 of its content; `None` when unknown.
    pub sha256: Option<String>,
    pub erases: u32,
}

impl Db {
    /// The sectors that were ever written, by address.
    pub fn flash_sectors(&mut self, board: &str) -> Result<BTreeMap<u32, SectorState>, StoreError> {
        let mut query =
            self.conn.prepare_cached("SELECT address, sha256, erases FROM flash_sectors WHERE board = ?1")?;
        let rows = query
            .query_map([board], |row| Ok((row.get(0)?, SectorState { sha256: row.get(1)?, erases: row.get(2)? })))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Before erasing: the sectors' content becomes unknown and their erases are counted, so that neither a crash nor a
    /// failed write is forgotten.
    pub fn flash_begin(&mut self, board: &str, addresses: &[u32]) -> Result<(), StoreError> {
        let tx = self.immediate()?;
        for address in addresses {
            tx.execute(
                "INSERT INTO flash_sectors (board, address, erases) VALUES (?1, ?2, 1)
                 ON CONFLICT (board, address) DO UPDATE SET sha256 = NULL, erases = erases + 1",
                params![board, address],
            )?;
        }
        Ok(tx.commit()?)
    }

    /// After a verified write.
    pub fn flash_done(&mut self, board: &str, sectors: &[(u32, String)]) -> Result<(), StoreError> {
        let tx = self.immediate()?;
        for (address, sha256) in sectors {
            let sql = "UPDATE flash_sectors SET sha256 = ?3 WHERE board = ?1 AND address = ?2";
            tx.execute(sql, params![board, address, sha256])?;
        }
        Ok(tx.commit()?)
    }

    /// Forgets what the flash holds, runner included; wear is kept.
    pub fn flash_forget(&mut self, board: &str) -> Result<(), StoreError> {
        let tx = self.immediate()?;
        tx.execute("UPDATE flash_sectors SET sha256 = NULL WHERE board = ?1", [board])?;
        tx.execute("UPDATE boards SET runner_sha256 = NULL WHERE name = ?1", [board])?;
        Ok(tx.commit()?)
    }

    /// Erases of the board's most worn sector.
    pub fn flash_wear(&mut self, board: &str) -> Result<u32, StoreError> {
        let sql = "SELECT coalesce(max(erases), 0) FROM flash_sectors WHERE board = ?1";
        Ok(self.conn.query_row(sql, [board], |row| row.get(0))?)
    }
}
