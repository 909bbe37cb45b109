//! The file: of another release, held by others, full, protected, and read by people.

use super::*;

/// A database of the first release gets the columns, keeps its rows, and its views answer.
#[test]
fn an_older_database_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hil.sqlite");
    let old = Connection::open(&path).expect("created");
    old.execute_batch(include_str!("../migrations/0001_base.sql")).expect("the first schema");
    old.execute_batch(
        "INSERT INTO models VALUES (1, '/m');
         INSERT INTO campaigns VALUES (1, 'old', 1, '/d', 'ddpg', 1, 9, '[]', 'cycles', 1, 3, '{}', 1, NULL, NULL, NULL, NULL,
           '{}', 'finished', NULL, '', NULL);
         INSERT INTO episodes VALUES (1, 1, 0, 'k', NULL, 'ddpg', '{\"layers\": []}', 0.5, NULL, NULL, 1, 1, NULL,
           'infeasible', NULL, NULL, '{}', '', NULL);
         PRAGMA user_version = 1;",
    )
    .expect("rows");
    drop(old);
    let mut db = Db::open(&path).expect("brought up to date");
    let campaign = db.campaign(1).expect("kept");
    assert_eq!((campaign.origin, campaign.section, campaign.prediction_error), (None, None, None));
    assert_eq!(campaign.objective, "reward");
    assert_eq!(db.candidates(1, None).expect("read")[0].predicted_ticks, None);
}

/// A database whose variants were the last words of geometries: they get a column of their own, and nothing is lost.
#[test]
fn variants_that_were_words_of_a_geometry_become_a_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hil.sqlite");
    let old = Connection::open(&path).expect("created");
    for sql in [
        include_str!("../migrations/0001_base.sql"),
        include_str!("../migrations/0002_predictions.sql"),
        include_str!("../migrations/0003_comparison.sql"),
        include_str!("../migrations/0004_training.sql"),
        include_str!("../migrations/0005_objective.sql"),
    ] {
        old.execute_batch(sql).expect("the schema of then");
    }
    old.pragma_update(None, "user_version", 5).expect("set");
    let layers = [
        json!({ "name": "dw", "kind": "depthwise", "weight_bits": 4, "input_bits": 8, "output_bits": 2, "geometry": "depthwise 6x6x8->6x6x8 k3x3 rows" }),
        json!({ "name": "pool", "kind": "average_pool", "weight_bits": null, "input_bits": 2, "output_bits": 8, "geometry": "average_pool 6x6x8->1x1x8" }),
        json!({ "name": "pw", "kind": "conv2d", "weight_bits": 4, "input_bits": 8, "output_bits": 2, "geometry": "conv2d 1x1x8->1x1x8 k1x1 general" }),
    ];
    let policy = json!({ "layers": layers }).to_string();
    old.execute_batch(&format!(
        "PRAGMA foreign_keys = 0;
         INSERT INTO models VALUES (1, '/m');
         INSERT INTO campaigns (id, name, model, data, strategy, seed, budget, board_types, unit, warmup, repeats, limits_asked,
           options, state, created_at)
         VALUES (1, 'old', 1, '/d', 'ddpg', 1, 9, '[\"mps2-an386\"]', 'instructions', 1, 3, '{{}}', '{{}}', 'finished', '');
         INSERT INTO episodes (id, campaign, idx, client_key, strategy, policy, flash_bytes, ram_bytes, state, wall, created_at)
         VALUES (1, 1, 0, 'k', 'ddpg', '{policy}', 1, 1, 'infeasible', '{{}}', '');
         INSERT INTO layer_measurements (measurement, idx, kind, weight_bits, input_bits, output_bits, ticks, geometry) VALUES
           (1, 0, 'depthwise', 4, 8, 2, 70, 'depthwise 6x6x8->6x6x8 k3x3 rows'), (1, 1, 'average_pool', NULL, 2, 8, 5, NULL);
         INSERT INTO layer_costs (board_type, runner_sha256, firmware_revision, geometry, weight_bits, input_bits, output_bits,
           samples, ticks_sum, ticks_min, ticks_max) VALUES
           ('mps2-an386', 'r1', 'f1', 'depthwise 6x6x8->6x6x8 k3x3 rows', 4, 8, 2, 2, 140, 69, 71),
           ('mps2-an386', 'r1', 'f1', 'depthwise 6x6x8->6x6x8 k3x3 general', 4, 8, 2, 1, 200, 200, 200),
           ('mps2-an386', 'r1', 'f1', 'depthwise 6x6x8->6x6x8 k3x3', 4, 8, 2, 1, 60, 60, 60);"
    ))
    .expect("rows of then");
    drop(old);
    let db = Db::open(&path).expect("brought up to date");
    let rows = |sql: &str| -> Vec<(String, Option<String>, u64)> {
        let mut query = db.conn.prepare(sql).expect("SQL");
        let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?))).expect("asked");
        rows.collect::<Result<_, _>>().expect("read")
    };
    let (dw, word) = ("depthwise 6x6x8->6x6x8 k3x3".to_owned(), |word: &str| Some(word.to_owned()));
    assert_eq!(
        rows("SELECT geometry, variant, ticks_sum FROM layer_costs ORDER BY id"),
        [(dw.clone(), word("rows"), 140), (dw.clone(), word("general"), 200), (dw.clone(), None, 60)]
    );
    assert_eq!(
        rows("SELECT coalesce(geometry, '-'), variant, ticks FROM layer_measurements ORDER BY idx"),
        [(dw.clone(), word("rows"), 70), ("-".into(), None, 5)]
    );
    assert_eq!(
        rows("SELECT geometry, variant, place FROM variant_costs ORDER BY place"),
        [(dw.clone(), word("rows"), 1), (dw.clone(), word("general"), 2)]
    );
    let policy: String = db.conn.query_row("SELECT policy FROM episodes", [], |row| row.get(0)).expect("kept");
    let policy: Policy = serde_json::from_str(&policy).expect("a policy");
    let told: Vec<_> = policy.layers.iter().map(|layer| (layer.geometry.clone(), layer.variant.clone())).collect();
    let pool = Some("average_pool 6x6x8->1x1x8".to_owned());
    assert_eq!(told, [(Some(dw), word("rows")), (pool, None), (word("conv2d 1x1x8->1x1x8 k1x1"), word("general"))]);
    assert_eq!(policy.layers[1].weight_bits, None, "the rest is as it was");
}

#[test]
fn a_newer_schema_and_a_file_that_is_no_database_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hil.sqlite");
    Db::open(&path).expect("created").conn.pragma_update(None, "user_version", 999).expect("set");
    assert!(matches!(Db::open(&path), Err(StoreError::NewerSchema { found: 999, .. })));
    std::fs::write(&path, "not a database, but long enough to look like something").expect("written");
    let error = Db::open(&path).err().expect("refused").to_string();
    assert!(error.contains("hil.sqlite"), "{error}");
}

#[test]
fn a_writer_elsewhere_is_an_error_to_retry_and_readers_are_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hil.sqlite");
    let mut db = Db::open(&path).expect("created");
    db.conn.busy_timeout(Duration::ZERO).expect("set");
    let campaign = furnish(&mut db);
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN; SELECT count(*) FROM episodes").expect("reading");
    let id = new_episode(&mut db, campaign, 0);
    other.execute_batch("COMMIT; BEGIN IMMEDIATE").expect("writing");
    let error = db.episode_event(id, &EpisodeEvent::Measure).expect_err("locked");
    assert!(matches!(error, StoreError::Locked) && error.is_temporary());
    other.execute_batch("ROLLBACK").expect("released");
    db.episode_event(id, &EpisodeEvent::Measure).expect("the same write succeeds afterwards");
}

#[test]
fn a_full_disk_loses_nothing_that_was_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut db = Db::open(&folder.path().join("hil.sqlite")).expect("created");
    let campaign = furnish(&mut db);
    let id = new_episode(&mut db, campaign, 0);
    db.add_measurement(&measurement(Some(id), 100)).expect("stored");
    let pages: u32 = db.conn.pragma_query_value(None, "page_count", |r| r.get(0)).expect("asked");
    db.conn.pragma_update(None, "max_page_count", pages).expect("set");
    let error = db.put_checkpoint(campaign, 0, "x", &[0; 100_000]).expect_err("full");
    assert!(matches!(error, StoreError::Full) && error.is_temporary(), "{error}");
    assert_eq!(db.episode_measurements(id).expect("there").len(), 1);
    db.conn.pragma_update(None, "max_page_count", pages + 1000).expect("set");
    db.put_checkpoint(campaign, 0, "x", &[0; 100_000]).expect("the same write succeeds afterwards");
}

#[test]
fn a_read_only_database_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hil.sqlite");
    furnish(&mut Db::open(&path).expect("created"));
    let mut reader = Db::open_reader(&path).expect("opened");
    let error = reader.set_board_runner("v1", Some("x")).expect_err("read-only");
    assert!(matches!(error, StoreError::ReadOnly), "{error}");
}

#[tokio::test]
async fn the_handle_writes_and_reads_what_it_wrote() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("deep/er/hil.sqlite")).expect("created");
    let campaign = store.write(|db| Ok(furnish(db))).await.expect("written");
    let read = store.read(move |db| db.campaign(campaign)).await.expect("read");
    assert_eq!(read.name, "kws");
}

#[test]
fn sql_that_writes_is_refused_and_sql_that_reads_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hil.sqlite");
    furnish(&mut Db::open(&path).expect("created"));
    let rows = read_only(&path, "SELECT name, seed, 0.5, NULL FROM campaigns").expect("answered");
    assert_eq!(rows.columns[..2], ["name", "seed"]);
    assert_eq!(rows.rows, [[Value::Text("kws".into()), Value::Integer(1), Value::Real(0.5), Value::Null]]);
    for view in [
        "best",
        "pareto",
        "front",
        "layer_latency",
        "variant_costs",
        "candidates_per_hour",
        "candidates",
        "prediction_error",
        "convergence",
        "rewards_recomputed",
    ] {
        read_only(&path, &format!("SELECT * FROM {view}")).expect(view);
    }
    let elsewhere = format!("ATTACH '{}' AS x", folder.path().join("other").display());
    let writes = [
        "DELETE FROM campaigns",
        "INSERT INTO models (path) VALUES ('x')",
        "DROP TABLE campaigns",
        "PRAGMA user_version = 3",
        "PRAGMA journal_mode = delete",
        "VACUUM",
        "BEGIN IMMEDIATE",
        "WITH x AS (SELECT 1) UPDATE campaigns SET seed = 2",
        elsewhere.as_str(),
    ];
    for sql in writes {
        assert!(matches!(read_only(&path, sql), Err(QueryError::Writes)), "{sql}");
    }
    assert!(matches!(read_only(&path, "SELECT 1; SELECT 2"), Err(QueryError::Several)));
    assert!(matches!(read_only(&path, "SELEKT"), Err(QueryError::Sql(_))));
    assert!(matches!(read_only(&folder.path().join("none"), "SELECT 1"), Err(QueryError::NoDatabase(_))));
}
