-- Times are RFC 3339 in UTC with milliseconds, so that text order is time order. Sizes are bytes, booleans 0 or 1.
-- A tick is what the board's timer counts; `unit` says 'instructions' or 'cycles', and only cycles are a time.

CREATE TABLE board_types (
  name       TEXT PRIMARY KEY,
  unit       TEXT NOT NULL CHECK (unit IN ('instructions', 'cycles')),
  clock_hz   INTEGER NOT NULL,
  sector     INTEGER NOT NULL,
  endurance  INTEGER NOT NULL,
  arena      INTEGER NOT NULL,
  slots      TEXT NOT NULL              -- JSON [{base, length}]
) STRICT;

CREATE TABLE boards (
  name              TEXT PRIMARY KEY,
  board_type        TEXT NOT NULL REFERENCES board_types (name),
  virtual           INTEGER NOT NULL,
  chip_id           TEXT,               -- as it last introduced itself
  firmware_revision TEXT,
  runner_sha256     TEXT,               -- of the runner's ELF in its flash; NULL while unknown
  first_seen        TEXT NOT NULL,
  last_seen         TEXT
) STRICT;

-- Who held which board. A row without `until` is a lease in force; the daemon closes what a crash left open.
CREATE TABLE leases (
  id     INTEGER PRIMARY KEY,
  board  TEXT NOT NULL REFERENCES boards (name),
  holder TEXT NOT NULL,
  since  TEXT NOT NULL,
  until  TEXT
) STRICT;

-- What each sector of a board's flash holds, and how often it was erased.
CREATE TABLE flash_sectors (
  board   TEXT NOT NULL REFERENCES boards (name),
  address INTEGER NOT NULL,
  sha256  TEXT,                         -- NULL: unknown (never written by us, or a write was cut short)
  erases  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (board, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
  id   INTEGER PRIMARY KEY,
  path TEXT NOT NULL UNIQUE
) STRICT;

-- The bytes lie in the cache folder under their SHA-256.
CREATE TABLE images (
  sha256    TEXT PRIMARY KEY,
  bytes     INTEGER NOT NULL,
  model_len INTEGER NOT NULL,           -- without test vectors: what counts against a flash limit
  arena     INTEGER NOT NULL,           -- planned
  ops       INTEGER NOT NULL,
  vectors   INTEGER NOT NULL,
  model_id  TEXT NOT NULL,              -- the importer's hash of the model, in hex
  created_at TEXT NOT NULL
) STRICT;

CREATE TABLE campaigns (
  id            INTEGER PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE,
  model         INTEGER NOT NULL REFERENCES models (id),
  data          TEXT NOT NULL,
  strategy      TEXT NOT NULL,
  seed          INTEGER NOT NULL,
  budget        INTEGER NOT NULL,       -- search episodes to measure
  board_types   TEXT NOT NULL,          -- JSON [name]
  unit          TEXT NOT NULL,
  warmup        INTEGER NOT NULL,
  repeats       INTEGER NOT NULL,
  limits_asked  TEXT NOT NULL,          -- JSON, absolute or in per cent
  limits_known  INTEGER NOT NULL DEFAULT 0,
  limit_flash   INTEGER,                -- resolved; NULL is unlimited
  limit_ram     INTEGER,
  limit_latency INTEGER,                -- ticks
  open_hours    TEXT,                   -- JSON {hours, days, zone}; NULL is always
  options       TEXT NOT NULL,          -- JSON, the agent's own
  state         TEXT NOT NULL CHECK (state IN ('active', 'stopped', 'finished', 'failed')),
  reason        TEXT,
  created_at    TEXT NOT NULL,
  finished_at   TEXT
) STRICT;

-- What an agent wants to find again after a crash. The daemon does not look inside.
CREATE TABLE checkpoints (
  campaign INTEGER PRIMARY KEY REFERENCES campaigns (id),
  episode  INTEGER NOT NULL,
  sha256   TEXT NOT NULL,
  saved_at TEXT NOT NULL,
  content  BLOB NOT NULL
) STRICT;

CREATE TABLE episodes (
  id               INTEGER PRIMARY KEY,
  campaign         INTEGER NOT NULL REFERENCES campaigns (id),
  idx              INTEGER NOT NULL,
  client_key       TEXT NOT NULL,       -- the agent's name for this proposal: the same key is the same proposal
  label            TEXT,                -- baselines have one
  strategy         TEXT NOT NULL,
  policy           TEXT NOT NULL,       -- JSON {layers: [{name, kind, weight_bits, input_bits, output_bits, macs}]}
  accuracy         REAL,
  accuracy_split   TEXT,
  accuracy_samples INTEGER,
  flash_bytes      INTEGER NOT NULL,
  ram_bytes        INTEGER NOT NULL,
  image_sha256     TEXT REFERENCES images (sha256),
  state            TEXT NOT NULL CHECK (state IN ('proposed', 'measuring', 'measured', 'done', 'infeasible', 'failed')),
  reason           TEXT,
  reward           REAL,
  wall             TEXT NOT NULL,       -- JSON, milliseconds by phase
  created_at       TEXT NOT NULL,
  finished_at      TEXT,                -- measured, infeasible or failed
  UNIQUE (campaign, idx)
) STRICT;
CREATE INDEX episodes_by_image ON episodes (image_sha256);

-- Each decision of the strategy: what it saw, what it wanted, and what the projection made of it.
CREATE TABLE steps (
  episode    INTEGER NOT NULL REFERENCES episodes (id),
  step       INTEGER NOT NULL,
  tensor     TEXT NOT NULL,
  state      TEXT NOT NULL,             -- JSON [number]
  raw_action REAL,
  bits_asked INTEGER,
  bits       INTEGER NOT NULL,
  reward     REAL,
  PRIMARY KEY (episode, step)
) STRICT, WITHOUT ROWID;

-- Attempts, never overwritten. `accepted` ones are measurements; the others are evidence.
CREATE TABLE measurements (
  id                INTEGER PRIMARY KEY,
  episode           INTEGER REFERENCES episodes (id),
  attempt           INTEGER NOT NULL,
  at                TEXT NOT NULL,
  board             TEXT NOT NULL REFERENCES boards (name),
  board_type        TEXT NOT NULL REFERENCES board_types (name),
  image_sha256      TEXT NOT NULL REFERENCES images (sha256),
  accepted          INTEGER NOT NULL,
  reused_from       INTEGER REFERENCES measurements (id),   -- the same image, measured before
  bit_exact         INTEGER NOT NULL,
  ticks_median      INTEGER,
  ticks_min         INTEGER,
  ticks_max         INTEGER,
  ticks_repeats     TEXT NOT NULL,      -- JSON [ticks], in order
  unit              TEXT NOT NULL,
  clock_hz          INTEGER NOT NULL,
  arena_planned     INTEGER NOT NULL,
  arena_high_water  INTEGER,
  stack_high_water  INTEGER,
  output_crc        INTEGER,
  expected_crc      INTEGER,
  firmware_revision TEXT NOT NULL,
  runner_sha256     TEXT NOT NULL,
  chip_id           TEXT NOT NULL,
  tool_revision     TEXT NOT NULL,
  slot              INTEGER NOT NULL,
  sectors_written   INTEGER NOT NULL,
  bytes_written     INTEGER NOT NULL,
  queue_ms          REAL NOT NULL,
  flash_ms          REAL NOT NULL,
  load_ms           REAL NOT NULL,
  run_ms            REAL NOT NULL,
  store_ms          REAL NOT NULL
) STRICT;
CREATE INDEX measurements_by_episode ON measurements (episode);
CREATE INDEX measurements_by_image ON measurements (image_sha256, board_type);

CREATE TABLE layer_measurements (
  measurement INTEGER NOT NULL REFERENCES measurements (id),
  idx         INTEGER NOT NULL,         -- the op's index in the image
  kind        TEXT NOT NULL,
  weight_bits INTEGER,
  input_bits  INTEGER NOT NULL,
  output_bits INTEGER NOT NULL,
  ticks       INTEGER NOT NULL,
  PRIMARY KEY (measurement, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE failures (
  id           INTEGER PRIMARY KEY,
  at           TEXT NOT NULL,
  class        TEXT NOT NULL CHECK (class IN ('candidate', 'board', 'rig')),
  what         TEXT NOT NULL,
  message      TEXT NOT NULL,
  evidence     TEXT,                    -- JSON
  board        TEXT REFERENCES boards (name),
  episode      INTEGER REFERENCES episodes (id),
  measurement  INTEGER REFERENCES measurements (id),
  image_sha256 TEXT
) STRICT;
CREATE INDEX failures_by_episode ON failures (episode);

-- One row per episode with what was measured for it: the table to begin with. On several board types, the slowest counts.
CREATE VIEW candidates AS
SELECT e.id, c.name AS campaign, c.id AS campaign_id, e.idx, e.label, e.strategy, e.state, e.reason, e.accuracy,
       m.ticks_median AS ticks, m.unit,
       CASE m.unit WHEN 'cycles' THEN m.ticks_median * 1000.0 / m.clock_hz END AS latency_ms,
       e.flash_bytes, e.ram_bytes,
       (SELECT avg(json_extract(value, '$.weight_bits')) FROM json_each(e.policy, '$.layers')) AS weight_bits_mean,
       CASE WHEN e.state = 'infeasible' THEN 0
            WHEN m.ticks_median IS NULL OR c.limits_known = 0 THEN NULL
            ELSE e.flash_bytes <= coalesce(c.limit_flash, e.flash_bytes)
             AND e.ram_bytes <= coalesce(c.limit_ram, e.ram_bytes)
             AND m.ticks_median <= coalesce(c.limit_latency, m.ticks_median) END AS feasible,
       e.reward, e.image_sha256, m.board, m.reused_from IS NOT NULL AS reused, e.created_at, e.finished_at
FROM episodes e JOIN campaigns c ON c.id = e.campaign
LEFT JOIN measurements m ON m.id = (SELECT id FROM measurements WHERE episode = e.id AND accepted = 1
                                    ORDER BY ticks_median DESC, id LIMIT 1);

-- The best feasible candidate of each campaign: highest accuracy, then fewest ticks.
CREATE VIEW best AS
SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY campaign_id ORDER BY accuracy DESC, ticks, idx) AS place
               FROM candidates WHERE feasible = 1 AND accuracy IS NOT NULL)
WHERE place = 1;

-- Feasible candidates that no other of their campaign beats in accuracy and ticks.
CREATE VIEW pareto AS
SELECT a.* FROM candidates a
WHERE a.feasible = 1 AND a.accuracy IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM candidates b
  WHERE b.campaign_id = a.campaign_id AND b.feasible = 1 AND b.accuracy >= a.accuracy AND b.ticks <= a.ticks
    AND (b.accuracy > a.accuracy OR b.ticks < a.ticks OR b.idx < a.idx));

-- What a layer costs at which bit widths, per board type and model: the table that predicts latencies.
CREATE VIEW layer_latency AS
SELECT m.board_type, i.model_id, l.idx, l.kind, l.weight_bits, l.input_bits, l.output_bits, m.unit,
       count(*) AS samples, avg(l.ticks) AS ticks_mean, min(l.ticks) AS ticks_min, max(l.ticks) AS ticks_max
FROM layer_measurements l JOIN measurements m ON m.id = l.measurement JOIN images i ON i.sha256 = m.image_sha256
WHERE m.accepted = 1
GROUP BY m.board_type, i.model_id, l.idx, l.kind, l.weight_bits, l.input_bits, l.output_bits, m.unit;

-- How fast campaigns get on, by hour of the clock (UTC).
CREATE VIEW candidates_per_hour AS
SELECT campaign, strftime('%Y-%m-%dT%H:00:00Z', finished_at) AS hour,
       sum(state IN ('measured', 'done')) AS measured, sum(reused) AS reused,
       sum(state = 'infeasible') AS infeasible, sum(state = 'failed') AS failed
FROM candidates WHERE finished_at IS NOT NULL
GROUP BY campaign, hour;
