-- What layers cost, whatever network they stand in; what agents predicted from it; and campaigns that go on from another's
-- result.

-- The canonical text of what the op works on, such as `conv2d 25x5x64->25x5x64 k3x3 s1x1 p1,1,1,1`: ops of equal text and
-- equal bits cost the same. From the policy of the first episode that the measurement answers for; NULL where none tells, so
-- also in what was measured before this migration, until an episode reuses it.
ALTER TABLE layer_measurements ADD COLUMN geometry TEXT;

ALTER TABLE episodes ADD COLUMN predicted_ticks INTEGER;      -- what the agent expected, before it was measured

ALTER TABLE campaigns ADD COLUMN origin INTEGER REFERENCES campaigns (id);   -- whose candidates it goes on from
ALTER TABLE campaigns ADD COLUMN section TEXT;    -- the [campaign.NAME] of hil.toml it was started from

-- Ticks of a layer by board type and runner: other firmware, other costs. Refreshed by the transaction that accepts a
-- measurement; what reuses an earlier measurement adds nothing.
CREATE TABLE layer_costs (
  id                INTEGER PRIMARY KEY,
  board_type        TEXT NOT NULL REFERENCES board_types (name),
  runner_sha256     TEXT NOT NULL,
  firmware_revision TEXT NOT NULL,
  geometry          TEXT NOT NULL,
  weight_bits       INTEGER,            -- NULL for ops without weights
  input_bits        INTEGER NOT NULL,
  output_bits       INTEGER NOT NULL,
  samples           INTEGER NOT NULL,   -- layers measured
  ticks_sum         INTEGER NOT NULL,
  ticks_min         INTEGER NOT NULL,
  ticks_max         INTEGER NOT NULL,
  ticks_mean        REAL GENERATED ALWAYS AS (ticks_sum * 1.0 / samples) VIRTUAL
) STRICT;
-- NULLs are distinct to a unique index; ops without weights are one line all the same.
CREATE UNIQUE INDEX layer_costs_key ON layer_costs
  (board_type, runner_sha256, geometry, coalesce(weight_bits, 0), input_bits, output_bits);

-- As before, and what was predicted. `prediction_error` is the fraction by which the prediction was above the measurement.
DROP VIEW candidates;
CREATE VIEW candidates AS
SELECT e.id, c.name AS campaign, c.id AS campaign_id, e.idx, e.label, e.strategy, e.state, e.reason, e.accuracy,
       m.ticks_median AS ticks, m.unit,
       CASE m.unit WHEN 'cycles' THEN m.ticks_median * 1000.0 / m.clock_hz END AS latency_ms,
       e.predicted_ticks, CAST(e.predicted_ticks - m.ticks_median AS REAL) / m.ticks_median AS prediction_error,
       e.flash_bytes, e.ram_bytes,
       (SELECT avg(json_extract(value, '$.weight_bits')) FROM json_each(e.policy, '$.layers')) AS weight_bits_mean,
       CASE WHEN e.state = 'infeasible' THEN 0
            WHEN m.ticks_median IS NULL OR c.limits_known = 0 THEN NULL
            ELSE e.flash_bytes <= coalesce(c.limit_flash, e.flash_bytes)
             AND e.ram_bytes <= coalesce(c.limit_ram, e.ram_bytes)
             AND m.ticks_median <= coalesce(c.limit_latency, m.ticks_median) END AS feasible,
       e.reward, e.image_sha256, m.board, m.reused_from IS NOT NULL AS reused, e.created_at, e.finished_at,
       -- What a campaign's budget counts: not its baselines, which have a label; but picks of another campaign have one too.
       e.state IN ('measured', 'done') AND (e.label IS NULL OR (c.origin IS NOT NULL AND e.strategy = c.strategy)) AS searched
FROM episodes e JOIN campaigns c ON c.id = e.campaign
LEFT JOIN measurements m ON m.id = (SELECT id FROM measurements WHERE episode = e.id AND accepted = 1
                                    ORDER BY ticks_median DESC, id LIMIT 1);

-- How far predictions were off, per campaign, over its candidates that were predicted and measured for the first time:
-- of the rest the measurement was known. Fractions of the measurement; `bias` is signed, the others are not.
CREATE VIEW prediction_error AS
SELECT campaign, campaign_id, max(n) AS candidates,
       avg(CASE WHEN 2 * place IN (n, n + 1, n + 2) THEN error END) AS median,
       avg(error) AS mean, max(error) AS max, avg(signed) AS bias
FROM (SELECT campaign, campaign_id, prediction_error AS signed, abs(prediction_error) AS error,
             row_number() OVER (PARTITION BY campaign_id ORDER BY abs(prediction_error)) AS place,
             count(*) OVER (PARTITION BY campaign_id) AS n
      FROM candidates WHERE prediction_error IS NOT NULL AND NOT reused)
GROUP BY campaign_id;
