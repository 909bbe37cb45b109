//! Measurements: what is kept, reused and learned from them.

use super::*;

#[test]
fn a_measurement_is_reused_once_per_episode_and_only_for_the_same_runner() {
    let (mut db, campaign) = furnished();
    let first = db.add_measurement(&measurement(None, 100)).expect("stored");
    assert_eq!(db.reusable(IMAGE, "mps2-an386", "r1").expect("asked"), Some(first));
    assert_eq!(db.reusable(IMAGE, "mps2-an386", "r2").expect("asked"), None);
    assert_eq!(db.reusable(IMAGE, "nucleo-l4r5zi", "r1").expect("asked"), None);

    let id = new_episode(&mut db, campaign, 0);
    let again = db.reuse_measurement(first, id).expect("reused");
    assert_eq!(db.reuse_measurement(first, id).expect("reused"), again);
    let row = db.measurement(again).expect("there");
    assert_eq!((row.reused_from, row.layers.len(), row.ticks.map(|t| t.median)), (Some(first), 1, Some(101)));
    assert_eq!(db.board_measurements("v1").expect("counted"), 1);
}

/// Everything that the table of costs says, from the measurements themselves.
fn costs_from_scratch(db: &Db) -> Vec<(String, u8, u64, f64)> {
    let sql = "SELECT l.geometry, l.weight_bits, count(*), avg(l.ticks) FROM layer_measurements l
               JOIN measurements m ON m.id = l.measurement WHERE m.accepted = 1 AND l.geometry IS NOT NULL
               GROUP BY l.geometry, l.weight_bits ORDER BY 1, 2";
    let mut query = db.conn.prepare(sql).expect("SQL");
    let rows = query.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?))).expect("asked");
    rows.collect::<Result<_, _>>().expect("read")
}

fn costs(db: &mut Db) -> Vec<(String, u8, u64, f64)> {
    let costs = db.layer_costs("mps2-an386").expect("read").into_iter();
    costs.map(|c| (c.geometry, c.weight_bits.unwrap_or(0), c.samples, c.ticks)).collect()
}

#[test]
fn layer_costs_count_each_measurement_once_and_each_runner_for_itself() {
    let (mut db, campaign) = furnished();
    // Taken outside a campaign: nobody said what its layers work on.
    let first = db.add_measurement(&measurement(None, 100)).expect("stored");
    assert_eq!(costs(&mut db), []);
    db.set_board_runner("v1", Some("r1")).expect("set");
    db.board_seen("v1", "c1", "f1").expect("seen");

    let reuses = [new_episode(&mut db, campaign, 0), new_episode(&mut db, campaign, 1)];
    for episode in reuses {
        db.reuse_measurement(first, episode).expect("reused");
        db.reuse_measurement(first, episode).expect("reused");
    }
    assert_eq!(costs(&mut db), [("conv2d 4x4x3->4x4x8".into(), 4, 1, 100.0)]);
    let id = new_episode(&mut db, campaign, 2);
    let rejected = NewMeasurement { accepted: false, bit_exact: false, ..measurement(Some(id), 5) };
    db.add_measurement(&rejected).expect("stored");
    db.add_measurement(&measurement(Some(id), 103)).expect("stored");
    assert_eq!(costs(&mut db), [("conv2d 4x4x3->4x4x8".into(), 4, 2, 101.5)]);
    assert_eq!(costs(&mut db), costs_from_scratch(&db));

    let other = NewMeasurement { runner_sha256: "r2".into(), ..measurement(Some(id), 50) };
    db.add_measurement(&other).expect("stored");
    assert_eq!(costs(&mut db).len(), 1, "the board still has the old runner");
    db.set_board_runner("v1", Some("r2")).expect("set");
    assert_eq!(costs(&mut db), [("conv2d 4x4x3->4x4x8".into(), 4, 1, 50.0)]);
}

#[test]
fn a_prediction_is_kept_beside_the_measurement() {
    let (mut db, campaign) = furnished();
    assert_eq!(db.prediction_error(campaign).expect("asked"), None);
    for (index, predicted, ticks) in [(0, 110, 99), (1, 100, 199), (2, 303, 299), (3, 50, 99)] {
        let image = format!("image {index}");
        let row =
            ImageRow { sha256: image.clone(), bytes: 9, model_len: 8, arena: 64, ops: 1, vectors: 1, model_id: 7 };
        db.put_image(&row).expect("an image");
        let proposal = Proposal { predicted_ticks: Some(predicted), ..proposal(index, Some(&image)) };
        db.propose(campaign, &proposal).expect("accepted");
        let id = db.episode_id(EpisodeKey { campaign, index }).expect("there");
        assert_eq!(db.candidate(id).expect("there").prediction_error, None, "not measured yet");
        db.add_measurement(&NewMeasurement { image_sha256: image, ..measurement(Some(id), ticks) }).expect("stored");
    }
    let errors: Vec<_> = db.candidates(campaign, None).expect("read").iter().map(|c| c.prediction_error).collect();
    assert_eq!(errors, [Some(0.1), Some(-0.5), Some(0.01), Some(-0.5)], "the medians are 100, 200, 300 and 100");
    let error = db.prediction_error(campaign).expect("asked").expect("some");
    assert_eq!((error.candidates, error.median, error.max), (4, (0.1 + 0.5) / 2.0, 0.5));
    assert!((error.bias + 0.2225).abs() < 1e-12, "{error:?}");
}

#[test]
fn rejected_measurements_are_kept_and_never_reused() {
    let (mut db, campaign) = furnished();
    let id = new_episode(&mut db, campaign, 0);
    let rejected =
        NewMeasurement { accepted: false, bit_exact: false, output_crc: Some(1), ..measurement(Some(id), 50) };
    db.add_measurement(&rejected).expect("stored");
    assert_eq!(db.reusable(IMAGE, "mps2-an386", "r1").expect("asked"), None);
    db.add_measurement(&measurement(Some(id), 100)).expect("stored");
    let attempts: Vec<_> =
        db.episode_measurements(id).expect("there").iter().map(|m| (m.attempt, m.accepted)).collect();
    assert_eq!(attempts, [(1, false), (2, true)]);
    assert_eq!(db.candidate(id).expect("there").ticks, Some(101));
}

#[test]
fn variants_of_a_layer_are_counted_apart_and_told_beside_each_other() {
    let (mut db, campaign) = furnished();
    db.set_board_runner("v1", Some("r1")).expect("set");
    db.board_seen("v1", "c1", "f1").expect("seen");
    for (index, (variant, ticks)) in [("map", 100), ("rows", 90), ("rows", 92)].into_iter().enumerate() {
        let mut by = proposal(index as u32, Some(IMAGE));
        by.policy.layers[0].variant = Some(variant.into());
        db.propose(campaign, &by).expect("accepted");
        let id = db.episode_id(EpisodeKey { campaign, index: index as u32 }).expect("there");
        db.add_measurement(&measurement(Some(id), ticks)).expect("stored");
        let layers = db.episode_measurements(id).expect("there").remove(0).layers;
        assert_eq!(layers[0].variant.as_deref(), Some(variant));
    }
    let told = db.variant_costs(campaign).expect("read");
    let costs: Vec<_> = told[0].costs.iter().map(|cost| (cost.variant.as_str(), cost.samples, cost.ticks)).collect();
    assert_eq!(costs, [("rows", 2, 91.0), ("map", 1, 100.0)]);
    assert_eq!((told.len(), &told[0].layers, told[0].latest.as_deref()), (1, &vec!["conv1".to_owned()], Some("rows")));
}
