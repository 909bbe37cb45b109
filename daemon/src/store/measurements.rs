//! Attempts at measuring: rows that are only ever added.

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::row::{crc_hex, json};
use super::{Db, StoreError, costs, now};
use crate::config::Unit;
use crate::types::{LayerTicks, Measurement, MeasurementWall, Ticks};

/// An attempt to record. See the schema for each column's meaning.
#[derive(Debug, Clone)]
pub struct NewMeasurement {
    pub episode: Option<i64>,
    pub board: String,
    pub board_type: String,
    pub image_sha256: String,
    pub accepted: bool,
    pub bit_exact: bool,
    /// Ticks of the counted runs, in order.
    pub repeats: Vec<u64>,
    pub unit: Unit,
    pub clock_hz: u32,
    pub arena_planned: u32,
    pub arena_high_water: Option<u32>,
    pub stack_high_water: Option<u32>,
    pub output_crc: Option<u32>,
    pub expected_crc: Option<u32>,
    pub firmware_revision: String,
    pub runner_sha256: String,
    pub chip_id: String,
    pub slot: u32,
    pub sectors_written: u32,
    pub bytes_written: u32,
    pub wall: MeasurementWall,
    pub layers: Vec<LayerTicks>,
}

impl Db {
    /// Adds an attempt with its layers, all or nothing, and gives its id.
    pub fn add_measurement(&mut self, new: &NewMeasurement) -> Result<i64, StoreError> {
        let started = std::time::Instant::now();
        let tx = self.immediate()?;
        let attempt = next_attempt(&tx, new.episode, &new.image_sha256)?;
        let id = insert(&tx, new, attempt)?;
        for l in &new.layers {
            tx.execute(
                "INSERT INTO layer_measurements (measurement, idx, kind, weight_bits, input_bits, output_bits, ticks)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![id, l.index, l.kind, l.weight_bits, l.input_bits, l.output_bits, l.ticks],
            )?;
        }
        if let (Some(episode), true) = (new.episode, new.accepted) {
            costs::refresh(&tx, id, episode)?;
        }
        tx.commit()?;
        // How long a commit took is known only after it; a crash here leaves the measurement, and a zero.
        let store_ms = started.elapsed().as_secs_f64() * 1e3;
        let timed = self.conn.execute("UPDATE measurements SET store_ms = ?2 WHERE id = ?1", params![id, store_ms]);
        timed.map(|_| id).or_else(|e| if StoreError::from(e).is_temporary() { Ok(id) } else { Err(StoreError::Gone) })
    }

    /// An accepted measurement of this image on this board type by this runner, if there is one.
    pub fn reusable(&mut self, image: &str, board_type: &str, runner: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT id FROM measurements WHERE image_sha256 = ?1 AND board_type = ?2 AND runner_sha256 = ?3
                   AND accepted = 1 AND reused_from IS NULL ORDER BY id DESC LIMIT 1";
        Ok(self.conn.query_row(sql, [image, board_type, runner], |row| row.get(0)).optional()?)
    }

    /// Records for `episode` that measurement `of` answers for it too.
    pub fn reuse_measurement(&mut self, of: i64, episode: i64) -> Result<i64, StoreError> {
        let tx = self.immediate()?;
        let sql = "SELECT id FROM measurements WHERE episode = ?1 AND reused_from = ?2";
        let before: Option<i64> = tx.query_row(sql, [episode, of], |row| row.get(0)).optional()?;
        if let Some(id) = before {
            return Ok(id);
        }
        let image: String = tx.query_row("SELECT image_sha256 FROM measurements WHERE id = ?1", [of], |r| r.get(0))?;
        let attempt = next_attempt(&tx, Some(episode), &image)?;
        tx.execute(
            "INSERT INTO measurements (episode, attempt, at, board, board_type, image_sha256, accepted, reused_from, bit_exact,
               ticks_median, ticks_min, ticks_max, ticks_repeats, unit, clock_hz, arena_planned, arena_high_water,
               stack_high_water, output_crc, expected_crc, firmware_revision, runner_sha256, chip_id, tool_revision, slot,
               sectors_written, bytes_written, queue_ms, flash_ms, load_ms, run_ms, store_ms)
             SELECT ?2, ?3, ?4, board, board_type, image_sha256, 1, id, bit_exact, ticks_median, ticks_min, ticks_max,
               ticks_repeats, unit, clock_hz, arena_planned, arena_high_water, stack_high_water, output_crc, expected_crc,
               firmware_revision, runner_sha256, chip_id, tool_revision, slot, 0, 0, 0, 0, 0, 0, 0
             FROM measurements WHERE id = ?1",
            params![of, episode, attempt, now()],
        )?;
        let id = tx.last_insert_rowid();
        costs::refresh(&tx, of, episode)?;
        tx.commit()?;
        Ok(id)
    }

    /// One measurement with its layers.
    pub fn measurement(&mut self, id: i64) -> Result<Measurement, StoreError> {
        let row = self.conn.query_row("SELECT * FROM measurements WHERE id = ?1", [id], measurement).optional()?;
        let row = row.ok_or_else(|| StoreError::NotFound(format!("measurement {id}")))?;
        self.with_layers(row)
    }

    /// The attempts of an episode, oldest first.
    pub fn episode_measurements(&mut self, episode: i64) -> Result<Vec<Measurement>, StoreError> {
        let rows = {
            let mut query = self.conn.prepare_cached("SELECT * FROM measurements WHERE episode = ?1 ORDER BY id")?;
            let rows = query.query_map([episode], measurement)?;
            rows.collect::<Result<Vec<_>, _>>()?
        };
        rows.into_iter().map(|row| self.with_layers(row)).collect()
    }

    /// The board types on which an episode has an accepted measurement.
    pub fn measured_types(&mut self, episode: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT board_type FROM measurements WHERE episode = ?1 AND accepted = 1";
        let mut query = self.conn.prepare_cached(sql)?;
        let rows = query.query_map([episode], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A reused measurement has the layers of the one it reuses.
    fn with_layers(&mut self, mut row: Measurement) -> Result<Measurement, StoreError> {
        let sql = "SELECT * FROM layer_measurements WHERE measurement = ?1 ORDER BY idx";
        let mut query = self.conn.prepare_cached(sql)?;
        let layers = query.query_map([row.reused_from.unwrap_or(row.id)], layer)?;
        row.layers = layers.collect::<Result<_, _>>()?;
        Ok(row)
    }
}

fn next_attempt(tx: &Transaction<'_>, episode: Option<i64>, image: &str) -> Result<u32, StoreError> {
    let sql = "SELECT count(*) + 1 FROM measurements WHERE episode IS ?1 AND image_sha256 = ?2";
    Ok(tx.query_row(sql, params![episode, image], |row| row.get(0))?)
}

fn insert(tx: &Transaction<'_>, m: &NewMeasurement, attempt: u32) -> Result<i64, StoreError> {
    let ticks = Ticks::of(&m.repeats);
    tx.execute(
        "INSERT INTO measurements (episode, attempt, at, board, board_type, image_sha256, accepted, bit_exact,
           ticks_median, ticks_min, ticks_max, ticks_repeats, unit, clock_hz, arena_planned, arena_high_water,
           stack_high_water, output_crc, expected_crc, firmware_revision, runner_sha256, chip_id, tool_revision, slot,
           sectors_written, bytes_written, queue_ms, flash_ms, load_ms, run_ms, store_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23,
           ?24, ?25, ?26, ?27, ?28, ?29, ?30, 0)",
        params![
            m.episode,
            attempt,
            now(),
            m.board,
            m.board_type,
            m.image_sha256,
            m.accepted,
            m.bit_exact,
            ticks.as_ref().map(|t| t.median),
            ticks.as_ref().map(|t| t.min),
            ticks.as_ref().map(|t| t.max),
            serde_json::to_string(&m.repeats)?,
            m.unit.name(),
            m.clock_hz,
            m.arena_planned,
            m.arena_high_water,
            m.stack_high_water,
            m.output_crc,
            m.expected_crc,
            m.firmware_revision,
            m.runner_sha256,
            m.chip_id,
            crate::revision(),
            m.slot,
            m.sectors_written,
            m.bytes_written,
            m.wall.queue_ms,
            m.wall.flash_ms,
            m.wall.load_ms,
            m.wall.run_ms,
        ],
    )?;
    Ok(tx.last_insert_rowid())
}

fn measurement(row: &Row<'_>) -> rusqlite::Result<Measurement> {
    let (unit, clock_hz): (String, u32) = (row.get("unit")?, row.get("clock_hz")?);
    let ticks = Ticks::of(&json::<Vec<u64>>(row, "ticks_repeats")?);
    let latency = |t: &Ticks| Unit::from_name(&unit).and_then(|u| u.latency_ms(t.median, clock_hz));
    Ok(Measurement {
        id: row.get("id")?,
        episode: row.get("episode")?,
        attempt: row.get("attempt")?,
        at: row.get("at")?,
        board: row.get("board")?,
        board_type: row.get("board_type")?,
        image_sha256: row.get("image_sha256")?,
        accepted: row.get("accepted")?,
        reused_from: row.get("reused_from")?,
        bit_exact: row.get("bit_exact")?,
        latency_ms: ticks.as_ref().and_then(latency),
        ticks,
        unit,
        clock_hz,
        arena_planned_bytes: row.get("arena_planned")?,
        arena_high_water_bytes: row.get("arena_high_water")?,
        stack_high_water_bytes: row.get("stack_high_water")?,
        output_crc: crc_hex(row, "output_crc")?,
        expected_crc: crc_hex(row, "expected_crc")?,
        firmware_revision: row.get("firmware_revision")?,
        runner_sha256: row.get("runner_sha256")?,
        chip_id: row.get("chip_id")?,
        tool_revision: row.get("tool_revision")?,
        slot: row.get("slot")?,
        sectors_written: row.get("sectors_written")?,
        bytes_written: row.get("bytes_written")?,
        wall: MeasurementWall {
            queue_ms: row.get("queue_ms")?,
            flash_ms: row.get("flash_ms")?,
            load_ms: row.get("load_ms")?,
            run_ms: row.get("run_ms")?,
            store_ms: row.get("store_ms")?,
        },
        layers: Vec::new(),
    })
}

fn layer(row: &Row<'_>) -> rusqlite::Result<LayerTicks> {
    Ok(LayerTicks {
        index: row.get("idx")?,
        kind: row.get("kind")?,
        variant: row.get("variant")?,
        weight_bits: row.get("weight_bits")?,
        input_bits: row.get("input_bits")?,
        output_bits: row.get("output_bits")?,
        ticks: row.get("ticks")?,
    })
}
