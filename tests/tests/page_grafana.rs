//! Grafana is not here to ask; but each query of its dashboard must run on the daemon's schema, and find what is there.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::Value;

const CONTENT: &str = "
  INSERT INTO board_types VALUES ('mps2-an386', 'instructions', 25000000, 4096, 100000, 1000000, '[]');
  INSERT INTO boards VALUES ('v1', 'mps2-an386', 1, 'chip', 'rev', NULL, '2026-05-01T20:00:00.000Z', '2026-05-01T21:00:00.000Z');
  INSERT INTO flash_sectors VALUES ('v1', 0, NULL, 10), ('v1', 4096, NULL, 25000);
  INSERT INTO models VALUES (1, '/model');
  INSERT INTO images VALUES ('aa', 100, 90, 50, 2, 1, 'model', '2026-05-01T20:00:00.000Z'), ('bb', 100, 90, 50, 2, 1, 'model', '2026-05-01T20:00:00.000Z');
  INSERT INTO campaigns (id, name, model, data, strategy, seed, budget, board_types, unit, warmup, repeats, limits_asked, limits_known, limit_latency,
                         options, state, created_at)
    VALUES (1, 'it''s a demo', 1, '/data', 'ddpg', 1, 60, '[]', 'instructions', 1, 3, '{}', 1, 1000, '{}', 'active', '2026-05-01T20:00:00.000Z');
  INSERT INTO episodes (id, campaign, idx, client_key, strategy, policy, accuracy, flash_bytes, ram_bytes, image_sha256, state, wall, created_at, finished_at, predicted_ticks)
    VALUES (1, 1, 0, 'a', 'ddpg', '{\"layers\": [{\"weight_bits\": 4}]}', 0.8, 100, 50, 'aa', 'done', '{}', '2026-05-01T20:00:00.000Z', '2026-05-01T20:01:00.000Z', 891),
           (2, 1, 1, 'b', 'ddpg', '{\"layers\": [{\"weight_bits\": 8}]}', 0.9, 100, 50, 'bb', 'done', '{}', '2026-05-01T20:00:00.000Z', '2026-05-01T20:02:00.000Z', NULL),
           (3, 1, 2, 'c', 'ddpg', '{\"layers\": []}', NULL, 100, 50, NULL, 'failed', '{}', '2026-05-01T20:00:00.000Z', '2026-05-01T20:03:00.000Z', NULL);
  INSERT INTO measurements (id, episode, attempt, at, board, board_type, image_sha256, accepted, bit_exact, ticks_median, ticks_min, ticks_max, ticks_repeats, unit,
                            clock_hz, arena_planned, firmware_revision, runner_sha256, chip_id, tool_revision, slot, sectors_written, bytes_written,
                            queue_ms, flash_ms, load_ms, run_ms, store_ms)
    VALUES (1, 1, 1, '2026-05-01T20:01:00.000Z', 'v1', 'mps2-an386', 'aa', 1, 1, 900, 900, 900, '[900]', 'instructions', 25000000, 50, 'r', 'r', 'c', 't', 0, 1, 100, 1, 2, 3, 4, 5),
           (2, 2, 1, '2026-05-01T20:02:00.000Z', 'v1', 'mps2-an386', 'bb', 1, 1, 1100, 1100, 1100, '[1100]', 'instructions', 25000000, 50, 'r', 'r', 'c', 't', 0, 1, 100, 1, 2, 3, 4, 5);
  INSERT INTO layer_measurements (measurement, idx, kind, weight_bits, input_bits, output_bits, ticks) VALUES (1, 0, 'conv2d', 4, 8, 8, 900), (2, 0, 'conv2d', 8, 8, 8, 1100);
  INSERT INTO failures (at, class, what, message, board, episode) VALUES ('2026-05-01T20:03:00.000Z', 'rig', 'serial', 'gone', 'v1', 3);
";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn database() -> Connection {
    let connection = Connection::open_in_memory().expect("a database");
    let folder = root().join("daemon/src/store/migrations");
    let mut migrations: Vec<_> =
        std::fs::read_dir(folder).expect("the migrations").flatten().map(|entry| entry.path()).collect();
    migrations.sort();
    for path in migrations {
        connection.execute_batch(&std::fs::read_to_string(path).expect("text")).expect("a migration that works");
    }
    connection.execute_batch(CONTENT).expect("content that fits the schema");
    connection
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(root().join("dashboards/grafana/bitrack.json")).expect("the dashboard");
    serde_json::from_str(&text).expect("JSON")
}

/// What Grafana puts for the variables before the plugin sees the query.
fn interpolated(sql: &str) -> String {
    sql.replace("${campaign:sqlstring}", "'it''s a demo'")
        .replace("$__from", "1777600000000")
        .replace("$__to", "1777700000000")
}

/// Column names and rows.
fn rows(connection: &Connection, sql: &str) -> (Vec<String>, Vec<Vec<Cell>>) {
    let mut statement = connection.prepare(sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
    let names: Vec<String> = statement.column_names().map(String::from).collect();
    let read = |row: &rusqlite::Row<'_>| (0..names.len()).map(|i| row.get(i)).collect();
    let rows = statement.query_map([], read).expect("a query without parameters");
    let rows = rows.collect::<Result<_, _>>().unwrap_or_else(|e| panic!("{e}\n{sql}"));
    (names, rows)
}

fn panel(dashboard: &Value, title: &str) -> String {
    let panels = dashboard["panels"].as_array().expect("panels");
    let panel = panels.iter().find(|panel| panel["title"] == title).expect("a panel of this title");
    interpolated(panel["targets"][0]["rawQueryText"].as_str().expect("a query"))
}

#[test]
fn each_query_runs_and_finds_something() {
    let (connection, dashboard) = (database(), dashboard());
    let mut checked = 0;
    for panel in dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row") {
        let target = &panel["targets"][0];
        let (names, rows) = rows(&connection, &interpolated(target["rawQueryText"].as_str().expect("a query")));
        assert!(!rows.is_empty(), "{}", panel["title"]);
        assert_eq!(panel["type"] == "timeseries", names.contains(&"time".to_owned()), "{}", panel["title"]);
        assert_eq!(target["timeColumns"], serde_json::json!(["time"]));
        for column in overridden(panel) {
            assert!(names.contains(&column), "{} styles {column}, which its query does not have", panel["title"]);
        }
        checked += 1;
    }
    assert_eq!(checked, 12);
    let variable = &dashboard["templating"]["list"][0];
    let (_, campaigns) = rows(&connection, variable["query"].as_str().expect("a query"));
    assert_eq!(campaigns, [[Cell::from("it's a demo".to_owned())]]);
}

fn overridden(panel: &Value) -> Vec<String> {
    let overrides = panel["fieldConfig"]["overrides"].as_array().cloned().unwrap_or_default();
    overrides.iter().filter_map(|one| one["matcher"]["options"].as_str().map(String::from)).collect()
}

#[test]
fn figures_are_the_databases() {
    let (connection, dashboard) = (database(), dashboard());
    let (_, best) = rows(&connection, &panel(&dashboard, "Best feasible candidate"));
    assert_eq!(
        best,
        [[Cell::Real(0.8), Cell::Integer(900), Cell::Integer(100), Cell::Integer(50)]],
        "0.9 takes too long"
    );
    let (names, points) = rows(&connection, &panel(&dashboard, "Accuracy against ticks"));
    assert_eq!(names, ["ticks", "feasible", "over a limit", "Pareto front"]);
    assert_eq!(points[0], [Cell::Integer(900), Cell::Null, Cell::Null, Cell::Real(0.8)]);
    assert_eq!(points[1], [Cell::Integer(1100), Cell::Null, Cell::Real(0.9), Cell::Null]);
    let (_, errors) = rows(&connection, &panel(&dashboard, "Error of predicted ticks"));
    assert_eq!(errors[0][1], Cell::Real(0.01), "891 were predicted, 900 measured");
    let (names, boards) = rows(&connection, &panel(&dashboard, "Boards"));
    let wear = names.iter().position(|name| name == "wear").expect("a column");
    assert_eq!(boards[0][wear], Cell::Real(0.25));
}

#[test]
fn panels_do_not_overlap() {
    let dashboard = dashboard();
    let mut taken = std::collections::HashSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a grid position");
        assert!(side("x") + side("w") <= 24, "{}", panel["title"]);
        for cell in
            (side("y")..side("y") + side("h")).flat_map(|y| (side("x")..side("x") + side("w")).map(move |x| (x, y)))
        {
            assert!(taken.insert(cell), "{} overlaps at {cell:?}", panel["title"]);
        }
    }
}
