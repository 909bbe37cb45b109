//! Campaigns: what was asked for, how far they got, their limits and checkpoints.

use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::Value;

use super::row::{json, json_opt};
use super::{Db, StoreError, now};
use crate::config::{Campaign as Asked, Unit, WindowText};
use crate::types::{Candidate, Limits, PredictionError};

/// A campaign to create: what `hil.toml` asks for (`asked.name` there), under a name.
#[derive(Debug, Clone)]
pub struct CampaignSpec {
    pub name: String,
    pub asked: Asked,
    /// What its board types count.
    pub unit: Unit,
    /// Name or id of the campaign whose candidates it goes on from.
    pub origin: Option<String>,
}

/// A campaign as stored. `state` is `active`, `stopped`, `finished` or `failed`.
#[derive(Debug, Clone)]
pub struct StoredCampaign {
    pub id: i64,
    pub name: String,
    pub model: String,
    pub data: String,
    pub strategy: String,
    /// `reward` or `front`.
    pub objective: String,
    pub seed: u64,
    /// The campaign of `hil.toml` it was started from.
    pub section: Option<String>,
    /// Name of the campaign it goes on from.
    pub origin: Option<String>,
    pub budget: u32,
    pub board_types: Vec<String>,
    pub unit: String,
    pub warmup: u32,
    pub repeats: u32,
    pub limits_asked: Value,
    pub limits: Option<Limits>,
    pub window: Option<WindowText>,
    pub options: Value,
    pub state: String,
    pub reason: Option<String>,
    pub created_at: String,
    pub finished_at: Option<String>,
    pub progress: Progress,
    pub best: Option<Candidate>,
    pub prediction_error: Option<PredictionError>,
}

/// Counts of a campaign's episodes.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub episodes: u32,
    /// Search episodes with a measurement: what the budget counts.
    pub measured: u32,
    pub infeasible: u32,
    pub failed: u32,
    pub reused: u32,
    pub started_at: Option<String>,
    /// Over the latest twenty measured candidates.
    pub per_hour: Option<f64>,
}

/// What may happen to a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CampaignEvent {
    Stop,
    Resume,
    Finish(String),
    Fail(String),
}

impl Db {
    /// Creates an active campaign.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name is taken, [`StoreError::NotFound`] when its origin is not there.
    pub fn create_campaign(&mut self, spec: &CampaignSpec) -> Result<i64, StoreError> {
        let origin = spec.origin.as_deref().map(|name| self.campaign_id(name)).transpose()?;
        let tx = self.immediate()?;
        let taken: Option<String> =
            tx.query_row("SELECT state FROM campaigns WHERE name = ?1", [&spec.name], |r| r.get(0)).optional()?;
        if let Some(state) = taken {
            return Err(StoreError::Conflict(format!("campaign {} exists and is {state}", spec.name)));
        }
        let id = insert(&tx, spec, origin)?;
        tx.commit()?;
        Ok(id)
    }

    /// The id behind a name or a number.
    pub fn campaign_id(&mut self, name_or_id: &str) -> Result<i64, StoreError> {
        let sql = "SELECT id FROM campaigns WHERE name = ?1 OR id = ?2";
        let id: Option<i64> = self
            .conn
            .query_row(sql, params![name_or_id, name_or_id.parse::<i64>().unwrap_or(-1)], |row| row.get(0))
            .optional()?;
        id.ok_or_else(|| StoreError::NotFound(format!("campaign {name_or_id}")))
    }

    /// One campaign with its progress.
    pub fn campaign(&mut self, id: i64) -> Result<StoredCampaign, StoreError> {
        let sql = "SELECT c.*, m.path AS model_path, o.name AS origin_name FROM campaigns c
                   JOIN models m ON m.id = c.model LEFT JOIN campaigns o ON o.id = c.origin WHERE c.id = ?1";
        let row = self.conn.query_row(sql, [id], campaign).optional()?;
        let mut row = row.ok_or_else(|| StoreError::NotFound(format!("campaign {id}")))?;
        row.progress = self.progress(id)?;
        row.best = self.best(id)?;
        row.prediction_error = self.prediction_error(id)?;
        Ok(row)
    }

    /// All campaigns, newest first.
    pub fn campaigns(&mut self) -> Result<Vec<StoredCampaign>, StoreError> {
        let ids = self.ids("SELECT id FROM campaigns ORDER BY id DESC")?;
        ids.into_iter().map(|id| self.campaign(id)).collect()
    }

    /// The campaigns that want to run.
    pub fn active_campaigns(&mut self) -> Result<Vec<i64>, StoreError> {
        self.ids("SELECT id FROM campaigns WHERE state = 'active' ORDER BY id")
    }

    /// Every legal change of a campaign's state. Asking for the state it has is no change and no error.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for any other change.
    pub fn campaign_event(&mut self, id: i64, event: &CampaignEvent) -> Result<(), StoreError> {
        let tx = self.immediate()?;
        let found: Option<(String, String)> = tx
            .query_row("SELECT name, state FROM campaigns WHERE id = ?1", [id], |r| Ok((r.get(0)?, r.get(1)?)))
            .optional()?;
        let (name, state) = found.ok_or_else(|| StoreError::NotFound(format!("campaign {id}")))?;
        let (to, reason) = match (state.as_str(), event) {
            ("active", CampaignEvent::Stop) => ("stopped", None),
            ("stopped" | "failed", CampaignEvent::Resume) => ("active", None),
            ("active" | "stopped", CampaignEvent::Finish(reason)) => ("finished", Some(reason)),
            ("active", CampaignEvent::Fail(reason)) => ("failed", Some(reason)),
            ("stopped", CampaignEvent::Stop)
            | ("active", CampaignEvent::Resume)
            | ("finished", CampaignEvent::Finish(_))
            | ("failed", CampaignEvent::Fail(_)) => return Ok(()),
            _ => return Err(StoreError::Conflict(format!("campaign {name} is {state}"))),
        };
        let finished = (to == "finished").then(now);
        let sql = "UPDATE campaigns SET state = ?2, reason = ?3, finished_at = ?4 WHERE id = ?1";
        tx.execute(sql, params![id, to, reason, finished])?;
        Ok(tx.commit()?)
    }

    /// Sets the limits that were relative. They hold for the whole campaign: the same again is fine, others are not.
    pub fn set_limits(&mut self, id: i64, limits: Limits) -> Result<(), StoreError> {
        let before = self.campaign(id)?.limits;
        match before {
            Some(before) if before == limits => return Ok(()),
            Some(_) => return Err(StoreError::Conflict("the limits are known already, and they are others".into())),
            None => {}
        }
        self.conn.execute(
            "UPDATE campaigns SET limits_known = 1, limit_flash = ?2, limit_ram = ?3, limit_latency = ?4
             WHERE id = ?1 AND limits_known = 0",
            params![id, limits.flash_bytes, limits.ram_bytes, limits.latency_ticks],
        )?;
        Ok(())
    }

    fn progress(&mut self, id: i64) -> Result<Progress, StoreError> {
        let sql = "SELECT count(*) AS episodes,
                     coalesce(sum(searched), 0) AS measured,
                     coalesce(sum(state = 'infeasible'), 0) AS infeasible, coalesce(sum(state = 'failed'), 0) AS failed,
                     coalesce(sum(reused), 0) AS reused, min(created_at) AS started_at
                   FROM candidates WHERE campaign_id = ?1";
        let mut progress = self.conn.query_row(sql, [id], |row| {
            Ok(Progress {
                episodes: row.get("episodes")?,
                measured: row.get("measured")?,
                infeasible: row.get("infeasible")?,
                failed: row.get("failed")?,
                reused: row.get("reused")?,
                started_at: row.get("started_at")?,
                per_hour: None,
            })
        })?;
        progress.per_hour = self.rate(id)?;
        Ok(progress)
    }

    fn rate(&mut self, id: i64) -> Result<Option<f64>, StoreError> {
        let sql = "SELECT (count(*) - 1) / ((julianday(max(finished_at)) - julianday(min(finished_at))) * 24.0)
                   FROM (SELECT finished_at FROM episodes WHERE campaign = ?1 AND state IN ('measured', 'done')
                         ORDER BY finished_at DESC LIMIT 20)";
        Ok(self.conn.query_row(sql, [id], |row| row.get(0))?)
    }

    fn ids(&mut self, sql: &str) -> Result<Vec<i64>, StoreError> {
        let mut query = self.conn.prepare_cached(sql)?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn insert(tx: &Transaction<'_>, spec: &CampaignSpec, origin: Option<i64>) -> Result<i64, StoreError> {
    let asked = &spec.asked;
    let model = asked.model.display().to_string();
    tx.execute("INSERT INTO models (path) VALUES (?1) ON CONFLICT DO NOTHING", [&model])?;
    let limits = asked.limits.resolved();
    let known = limits.unwrap_or_default();
    tx.execute(
        "INSERT INTO campaigns (name, model, data, strategy, seed, budget, board_types, unit, warmup, repeats, limits_asked,
           limits_known, limit_flash, limit_ram, limit_latency, open_hours, options, state, created_at,
           origin, section, objective)
         VALUES (?1, (SELECT id FROM models WHERE path = ?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
           ?17, 'active', ?18, ?19, ?20, ?21)",
        params![
            spec.name,
            model,
            asked.data,
            asked.strategy,
            asked.seed,
            asked.budget,
            serde_json::to_string(&asked.board_types)?,
            spec.unit.name(),
            asked.warmup,
            asked.repeats,
            asked.limits.to_json().to_string(),
            limits.is_some(),
            known.flash_bytes,
            known.ram_bytes,
            known.latency_ticks,
            asked.window.as_ref().map(|w| serde_json::to_string(w.text())).transpose()?,
            asked.options.to_string(),
            now(),
            origin,
            asked.name,
            asked.objective.name(),
        ],
    )?;
    Ok(tx.last_insert_rowid())
}

fn campaign(row: &Row<'_>) -> rusqlite::Result<StoredCampaign> {
    let limits = Limits {
        flash_bytes: row.get("limit_flash")?,
        ram_bytes: row.get("limit_ram")?,
        latency_ticks: row.get("limit_latency")?,
    };
    Ok(StoredCampaign {
        id: row.get("id")?,
        name: row.get("name")?,
        model: row.get("model_path")?,
        data: row.get("data")?,
        strategy: row.get("strategy")?,
        objective: row.get("objective")?,
        seed: row.get("seed")?,
        section: row.get("section")?,
        origin: row.get("origin_name")?,
        budget: row.get("budget")?,
        board_types: json(row, "board_types")?,
        unit: row.get("unit")?,
        warmup: row.get("warmup")?,
        repeats: row.get("repeats")?,
        limits_asked: json(row, "limits_asked")?,
        limits: row.get::<_, bool>("limits_known")?.then_some(limits),
        window: json_opt(row, "open_hours")?,
        options: json(row, "options")?,
        state: row.get("state")?,
        reason: row.get("reason")?,
        created_at: row.get("created_at")?,
        finished_at: row.get("finished_at")?,
        progress: Progress::default(),
        best: None,
        prediction_error: None,
    })
}
