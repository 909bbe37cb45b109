//! Candidates: episodes as people look at them, through the views.

use rusqlite::{OptionalExtension, Params, Row, params};

use super::row::word;
use super::{Db, StoreError};
use crate::types::{Candidate, CandidateDetail, Layer};

impl Db {
    /// The candidates of a campaign by index, from behind `after` on.
    pub fn candidates(&mut self, campaign: i64, after: Option<u32>) -> Result<Vec<Candidate>, StoreError> {
        let sql = "SELECT * FROM candidates WHERE campaign_id = ?1 AND idx > ?2 ORDER BY idx";
        self.rows(sql, params![campaign, after.map_or(-1, i64::from)])
    }

    /// The Pareto front of a campaign, by ticks.
    pub fn pareto(&mut self, campaign: i64) -> Result<Vec<Candidate>, StoreError> {
        self.rows("SELECT * FROM pareto WHERE campaign_id = ?1 ORDER BY ticks", [campaign])
    }

    /// What nothing of a campaign beats in accuracy, ticks, flash and RAM, by ticks.
    pub fn front(&mut self, campaign: i64) -> Result<Vec<Candidate>, StoreError> {
        self.rows("SELECT * FROM front WHERE campaign_id = ?1 ORDER BY ticks, accuracy DESC, idx", [campaign])
    }

    /// The best feasible candidate of a campaign.
    pub fn best(&mut self, campaign: i64) -> Result<Option<Candidate>, StoreError> {
        Ok(self.rows("SELECT * FROM best WHERE campaign_id = ?1", [campaign])?.pop())
    }

    /// One candidate.
    pub fn candidate(&mut self, id: i64) -> Result<Candidate, StoreError> {
        let found = self.conn.query_row("SELECT * FROM candidates WHERE id = ?1", [id], candidate).optional()?;
        found.ok_or_else(|| StoreError::NotFound(format!("candidate {id}")))
    }

    /// One candidate with everything known of it.
    pub fn candidate_detail(&mut self, id: i64) -> Result<CandidateDetail, StoreError> {
        let episode = self.episode(id)?;
        let ticks = episode.measurement.iter().flat_map(|m| &m.layers);
        let ticks: std::collections::HashMap<u32, u64> = ticks.map(|l| (l.index, l.ticks)).collect();
        let layers = (0u32..).zip(episode.policy.layers);
        Ok(CandidateDetail {
            layers: layers.map(|(index, bits)| Layer { index, bits, ticks: ticks.get(&index).copied() }).collect(),
            steps: episode.steps,
            measurements: self.episode_measurements(id)?,
            failures: self.episode_failures(id)?,
            wall: self.episode_wall(id)?,
            candidate: episode.candidate,
        })
    }

    fn rows(&mut self, sql: &str, params: impl Params) -> Result<Vec<Candidate>, StoreError> {
        let mut query = self.conn.prepare_cached(sql)?;
        let rows = query.query_map(params, candidate)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

pub(super) fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        id: row.get("id")?,
        campaign: row.get("campaign")?,
        index: row.get("idx")?,
        label: row.get("label")?,
        strategy: row.get("strategy")?,
        state: word(row, "state")?,
        reason: row.get("reason")?,
        accuracy: row.get("accuracy")?,
        ticks: row.get("ticks")?,
        unit: row.get("unit")?,
        latency_ms: row.get("latency_ms")?,
        predicted_ticks: row.get("predicted_ticks")?,
        prediction_error: row.get("prediction_error")?,
        flash_bytes: row.get("flash_bytes")?,
        ram_bytes: row.get("ram_bytes")?,
        weight_bits_mean: row.get("weight_bits_mean")?,
        feasible: row.get("feasible")?,
        reward: row.get("reward")?,
        image_sha256: row.get("image_sha256")?,
        board: row.get("board")?,
        reused: row.get("reused")?,
        created_at: row.get("created_at")?,
        finished_at: row.get("finished_at")?,
    })
}
