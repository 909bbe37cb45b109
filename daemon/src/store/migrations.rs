//! The schema's history. Numbered and append-only: what was released once is never edited.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Number N is at index N - 1; `PRAGMA user_version` says how many a file has had.
const MIGRATIONS: [&str; 6] = [
    include_str!("migrations/0001_base.sql"),
    include_str!("migrations/0002_predictions.sql"),
    include_str!("migrations/0003_comparison.sql"),
    include_str!("migrations/0004_training.sql"),
    include_str!("migrations/0005_objective.sql"),
    include_str!("migrations/0006_variants.sql"),
];

/// Brings the schema up to date, each step in its own transaction.
pub fn apply(conn: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as u32;
    loop {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        let Some(sql) = MIGRATIONS.get(found as usize) else { return Ok(()) };
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", found + 1)?;
        tx.commit()?;
    }
}
