//! Boards, their types, and who held them.

use rusqlite::{OptionalExtension, params};

use super::{Db, StoreError, now};
use crate::config::{Board, BoardType, Link};

impl Db {
    /// Records the configured rack, and closes the leases that a crash left open: no board is held when a daemon starts.
    pub fn begin_rack(&mut self, boards: &[Board], types: &[BoardType]) -> Result<(), StoreError> {
        let tx = self.immediate()?;
        for t in types {
            tx.execute(
                "INSERT INTO board_types (name, unit, clock_hz, sector, endurance, arena, slots)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (name) DO UPDATE SET unit = ?2, clock_hz = ?3, sector = ?4, endurance = ?5, arena = ?6, slots = ?7",
                params![t.name, t.unit.name(), t.clock_hz, t.sector, t.endurance, t.arena, serde_json::to_string(&t.slots)?],
            )?;
        }
        for b in boards {
            tx.execute(
                "INSERT INTO boards (name, board_type, virtual, first_seen) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET board_type = ?2, virtual = ?3",
                params![b.name, b.board_type, b.link == Link::Virtual, now()],
            )?;
        }
        tx.execute("UPDATE leases SET until = ?1 WHERE until IS NULL", [now()])?;
        Ok(tx.commit()?)
    }

    /// What the board said of itself.
    pub fn board_seen(&mut self, board: &str, chip_id: &str, firmware_revision: &str) -> Result<(), StoreError> {
        self.conn.execute(
            "UPDATE boards SET chip_id = ?2, firmware_revision = ?3, last_seen = ?4 WHERE name = ?1",
            params![board, chip_id, firmware_revision, now()],
        )?;
        Ok(())
    }

    /// Chip id and firmware revision that the board last introduced itself with.
    pub fn board_last_seen(&mut self, board: &str) -> Result<Option<(String, String)>, StoreError> {
        let sql = "SELECT chip_id, firmware_revision FROM boards WHERE name = ?1 AND chip_id NOT NULL AND firmware_revision NOT NULL";
        Ok(self.conn.query_row(sql, [board], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// SHA-256 of the runner in the board's flash; `None` while unknown.
    pub fn board_runner(&mut self, board: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT runner_sha256 FROM boards WHERE name = ?1";
        let row: Option<Option<String>> = self.conn.query_row(sql, [board], |row| row.get(0)).optional()?;
        Ok(row.flatten())
    }

    /// Notes the runner in the board's flash; `None` before it is written, so that a crash in between is noticed.
    pub fn set_board_runner(&mut self, board: &str, sha256: Option<&str>) -> Result<(), StoreError> {
        self.conn.execute("UPDATE boards SET runner_sha256 = ?2 WHERE name = ?1", params![board, sha256])?;
        Ok(())
    }

    /// Accepted, not reused measurements taken on the board.
    pub fn board_measurements(&mut self, board: &str) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM measurements WHERE board = ?1 AND accepted = 1 AND reused_from IS NULL";
        Ok(self.conn.query_row(sql, [board], |row| row.get(0))?)
    }

    /// Begins a lease and gives its id.
    pub fn lease_begin(&mut self, board: &str, holder: &str) -> Result<i64, StoreError> {
        let sql = "INSERT INTO leases (board, holder, since) VALUES (?1, ?2, ?3)";
        self.conn.execute(sql, params![board, holder, now()])?;
        Ok(self.conn.last_insert_rowid())
    }

    /// Ends a lease.
    pub fn lease_end(&mut self, id: i64) -> Result<(), StoreError> {
        self.conn.execute("UPDATE leases SET until = ?2 WHERE id = ?1 AND until IS NULL", params![id, now()])?;
        Ok(())
    }
}
