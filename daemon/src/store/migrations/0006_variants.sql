-- Which variant of its kernel computed a layer stands in a column of its own. So far it was the last word of the geometry, and only where
-- it was not the usual one. NULL for ops without weights, which have no variants; and in what was proposed before this migration
-- with the usual one, which nobody told: the general one where there is no other.
ALTER TABLE layer_measurements ADD COLUMN variant TEXT;
ALTER TABLE layer_costs ADD COLUMN variant TEXT;

DROP INDEX layer_costs_key;
WITH named (word) AS (VALUES ('general'), ('pixels'), ('rows'), ('map'))
UPDATE layer_measurements SET variant = word, geometry = substr(geometry, 1, length(geometry) - length(word) - 1)
FROM named WHERE geometry LIKE '% ' || word;
WITH named (word) AS (VALUES ('general'), ('pixels'), ('rows'), ('map'))
UPDATE layer_costs SET variant = word, geometry = substr(geometry, 1, length(geometry) - length(word) - 1)
FROM named WHERE geometry LIKE '% ' || word;
CREATE UNIQUE INDEX layer_costs_key ON layer_costs
  (board_type, runner_sha256, geometry, coalesce(variant, ''), coalesce(weight_bits, 0), input_bits, output_bits);

-- The policies that agents sent, in the same way.
WITH named (word) AS (VALUES ('general'), ('pixels'), ('rows'), ('map'))
UPDATE episodes SET policy = json_set(policy, '$.layers', json((
  SELECT json_group_array(json(CASE WHEN word IS NULL THEN l.value ELSE json_set(l.value, '$.variant', word,
           '$.geometry', substr(l.value ->> '$.geometry', 1, length(l.value ->> '$.geometry') - length(word) - 1)) END)
         ORDER BY l.key)
  FROM json_each(episodes.policy, '$.layers') AS l LEFT JOIN named ON l.value ->> '$.geometry' LIKE '% ' || word)))
WHERE EXISTS (SELECT 1 FROM json_each(episodes.policy, '$.layers') AS l JOIN named ON l.value ->> '$.geometry' LIKE '% ' || word);

-- As before, by variant.
DROP VIEW layer_latency;
CREATE VIEW layer_latency AS
SELECT m.board_type, i.model_id, l.idx, l.kind, l.variant, l.weight_bits, l.input_bits, l.output_bits, m.unit,
       count(*) AS samples, avg(l.ticks) AS ticks_mean, min(l.ticks) AS ticks_min, max(l.ticks) AS ticks_max
FROM layer_measurements l JOIN measurements m ON m.id = l.measurement JOIN images i ON i.sha256 = m.image_sha256
WHERE m.accepted = 1
GROUP BY m.board_type, i.model_id, l.idx, l.kind, l.variant, l.weight_bits, l.input_bits, l.output_bits, m.unit;

-- What the variants of a geometry take at the same bits, where more than one was measured with the same runner: the fastest has place 1,
-- and the others take so many times its ticks.
CREATE VIEW variant_costs AS
SELECT * FROM (
  SELECT board_type, runner_sha256, firmware_revision, geometry, weight_bits, input_bits, output_bits, variant, samples, ticks_mean,
         row_number() OVER (alike ORDER BY ticks_mean, variant) AS place,
         ticks_mean / min(ticks_mean) OVER alike AS times_fastest,
         count(*) OVER alike AS variants
  FROM layer_costs WHERE variant IS NOT NULL
  WINDOW alike AS (PARTITION BY board_type, runner_sha256, geometry, weight_bits, input_bits, output_bits))
WHERE variants > 1;
