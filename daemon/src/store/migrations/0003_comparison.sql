-- How a search got on, measurement by measurement: its candidates in the order of their episodes, baselines left out, with the
-- best feasible reward and accuracy up to each. What compares strategies at an equal number of measurements.
CREATE VIEW convergence AS
SELECT campaign, campaign_id, row_number() OVER search AS measurement, id, idx, accuracy, ticks, reward, feasible,
       max(CASE WHEN feasible = 1 THEN reward END) OVER search AS best_reward,
       max(CASE WHEN feasible = 1 THEN accuracy END) OVER search AS best_accuracy
FROM candidates WHERE searched
WINDOW search AS (PARTITION BY campaign_id ORDER BY idx);

-- Every reward from what else is in the database. One percentage point of accuracy above the same network with 8 bits
-- everywhere is worth 0.1; a candidate that is too slow loses 1, and 10 per full multiple of the limit above it; one that
-- cannot run counts as accuracy 0:
--
--   10 * (accuracy - reference)  -  [ticks > limit] * (1 + 10 * (ticks / limit - 1))
CREATE VIEW rewards_recomputed AS
SELECT e.campaign, e.campaign_id, e.idx, e.state, e.reward, r.accuracy AS reference,
       10.0 * (CASE e.state WHEN 'infeasible' THEN 0.0 ELSE e.accuracy END - r.accuracy)
         - CASE WHEN e.state <> 'infeasible' AND e.ticks > c.limit_latency
                THEN 1.0 + 10.0 * (CAST(e.ticks AS REAL) / c.limit_latency - 1.0) ELSE 0.0 END AS recomputed
FROM candidates e JOIN campaigns c ON c.id = e.campaign_id
JOIN episodes r ON r.campaign = e.campaign_id AND r.label = 'uniform 8/8'
WHERE e.reward IS NOT NULL;
