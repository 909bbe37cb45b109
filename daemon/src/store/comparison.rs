//! Searches as they got on, through the view `convergence`.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use super::candidates::candidate;
use super::{Db, StoreError};
use crate::types::{Candidate, Limits};

/// A campaign's search, measurement by measurement.
#[derive(Debug, Clone)]
pub struct SearchRun {
    pub campaign: String,
    /// `active`, `stopped`, `finished` or `failed`.
    pub state: String,
    pub strategy: String,
    pub objective: String,
    pub seed: u64,
    pub options: Value,
    pub model: String,
    pub data: String,
    pub unit: String,
    pub limits: Option<Limits>,
    pub measured: Vec<SearchPoint>,
    /// Feasible, highest reward, then highest accuracy, then fewest ticks.
    pub best: Option<Candidate>,
}

/// Best feasible results up to a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SearchPoint {
    pub best_reward: Option<f64>,
    pub best_accuracy: Option<f64>,
}

impl Db {
    /// The searches of these campaigns, by names or ids, in this order.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] names the one that is missing.
    pub fn search_runs(&mut self, campaigns: &[String]) -> Result<Vec<SearchRun>, StoreError> {
        campaigns.iter().map(|name| self.campaign_id(name).and_then(|id| self.search_run(id))).collect()
    }

    fn search_run(&mut self, id: i64) -> Result<SearchRun, StoreError> {
        let c = self.campaign(id)?;
        Ok(SearchRun {
            campaign: c.name,
            state: c.state,
            strategy: c.strategy,
            objective: c.objective,
            seed: c.seed,
            options: c.options,
            model: c.model,
            data: c.data,
            unit: c.unit,
            limits: c.limits,
            measured: self.convergence(id)?,
            best: self.best_searched(id)?,
        })
    }

    fn convergence(&mut self, id: i64) -> Result<Vec<SearchPoint>, StoreError> {
        let sql = "SELECT best_reward, best_accuracy FROM convergence WHERE campaign_id = ?1 ORDER BY measurement";
        let mut query = self.conn.prepare_cached(sql)?;
        let point = |row: &Row<'_>| {
            Ok(SearchPoint { best_reward: row.get("best_reward")?, best_accuracy: row.get("best_accuracy")? })
        };
        let rows = query.query_map([id], point)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn best_searched(&mut self, id: i64) -> Result<Option<Candidate>, StoreError> {
        let sql =
            "SELECT * FROM candidates WHERE campaign_id = ?1 AND searched AND feasible = 1 AND accuracy IS NOT NULL
                   ORDER BY reward DESC, accuracy DESC, ticks, idx LIMIT 1";
        Ok(self.conn.query_row(sql, params![id], candidate).optional()?)
    }
}
