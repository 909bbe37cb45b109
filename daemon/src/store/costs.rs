//! What layers cost by geometry, variant and bits: the table that predicts latencies.

use rusqlite::{Row, Transaction, params};

use super::{Db, StoreError};
use crate::types::{LayerCost, PredictionError};

/// Gives the layers of a measurement the geometries and variants that the episode's policy tells, and adds them to the costs. What has
/// geometries was added before: a measurement counts once, however many episodes reuse it.
pub(super) fn refresh(tx: &Transaction<'_>, measurement: i64, episode: i64) -> Result<(), StoreError> {
    let counted = "SELECT count(*) > 0 FROM layer_measurements WHERE measurement = ?1 AND geometry IS NOT NULL";
    if tx.query_row(counted, [measurement], |row| row.get(0))? {
        return Ok(());
    }
    tx.execute(
        "UPDATE layer_measurements AS l SET geometry = p.geometry, variant = p.variant
         FROM (SELECT key AS idx, value ->> '$.geometry' AS geometry, value ->> '$.variant' AS variant, value ->> '$.kind' AS kind
               FROM json_each((SELECT policy FROM episodes WHERE id = ?2), '$.layers')) AS p
         WHERE l.measurement = ?1 AND p.idx = l.idx AND p.kind = l.kind",
        params![measurement, episode],
    )?;
    tx.execute(
        "INSERT INTO layer_costs (board_type, runner_sha256, firmware_revision, geometry, variant, weight_bits, input_bits,
           output_bits, samples, ticks_sum, ticks_min, ticks_max)
         SELECT m.board_type, m.runner_sha256, m.firmware_revision, l.geometry, l.variant, l.weight_bits, l.input_bits,
           l.output_bits, 1, l.ticks, l.ticks, l.ticks
         FROM layer_measurements l JOIN measurements m ON m.id = l.measurement
         WHERE l.measurement = ?1 AND l.geometry IS NOT NULL
         ON CONFLICT (board_type, runner_sha256, geometry, coalesce(variant, ''), coalesce(weight_bits, 0), input_bits, output_bits)
         DO UPDATE SET samples = samples + 1, ticks_sum = ticks_sum + excluded.ticks_sum,
           ticks_min = min(ticks_min, excluded.ticks_min), ticks_max = max(ticks_max, excluded.ticks_max)",
        [measurement],
    )?;
    Ok(())
}

impl Db {
    /// What layers cost on a board type, with the runner that its boards have now, or had when they were last seen.
    pub fn layer_costs(&mut self, board_type: &str) -> Result<Vec<LayerCost>, StoreError> {
        let sql = "SELECT * FROM layer_costs WHERE board_type = ?1 AND runner_sha256 = (
                     SELECT runner_sha256 FROM boards WHERE board_type = ?1 AND runner_sha256 IS NOT NULL
                     ORDER BY last_seen DESC LIMIT 1)
                   ORDER BY geometry, weight_bits, input_bits, output_bits, variant";
        let mut query = self.conn.prepare_cached(sql)?;
        let rows = query.query_map([board_type], cost)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How far a campaign's predictions were off; `None` while there are none.
    pub fn prediction_error(&mut self, campaign: i64) -> Result<Option<PredictionError>, StoreError> {
        let mut query = self.conn.prepare_cached("SELECT * FROM prediction_error WHERE campaign_id = ?1")?;
        let error = |row: &Row<'_>| {
            Ok(PredictionError {
                candidates: row.get("candidates")?,
                median: row.get("median")?,
                max: row.get("max")?,
                bias: row.get("bias")?,
            })
        };
        Ok(query.query_map([campaign], error)?.next().transpose()?)
    }
}

fn cost(row: &Row<'_>) -> rusqlite::Result<LayerCost> {
    Ok(LayerCost {
        board_type: row.get("board_type")?,
        geometry: row.get("geometry")?,
        variant: row.get("variant")?,
        weight_bits: row.get("weight_bits")?,
        input_bits: row.get("input_bits")?,
        output_bits: row.get("output_bits")?,
        samples: row.get("samples")?,
        ticks: row.get("ticks_mean")?,
        ticks_min: row.get("ticks_min")?,
        ticks_max: row.get("ticks_max")?,
    })
}
