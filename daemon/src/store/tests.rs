//! The store by itself: legal and illegal transitions, crashes in between, and a file that others hold, fill up or protect.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::{Board, BoardType, Campaign, Limits as Asked, Link, Unit};
use crate::types::{EpisodeState, Limits, MeasurementWall, Policy, Proposal, Reward};

const IMAGE: &str = "aa";

fn asked() -> Campaign {
    Campaign {
        name: "kws".into(),
        model: "/m".into(),
        data: "/d".into(),
        strategy: "ddpg".into(),
        seed: 1,
        budget: 10,
        board_types: vec!["mps2-an386".into()],
        limits: Asked::default(),
        window: None,
        warmup: 1,
        repeats: 3,
        options: json!({}),
    }
}

fn proposal(index: u32, image: Option<&str>) -> Proposal {
    let layer = json!({ "name": "conv1", "kind": "conv2d", "weight_bits": 4, "input_bits": 8, "output_bits": 2,
                        "geometry": "conv2d 4x4x3->4x4x8" });
    let step = json!({ "tensor": "conv1.weight", "state": [0.5], "raw_action": 0.3, "bits_asked": 4, "bits": 2 });
    serde_json::from_value(json!({
        "index": index, "client_key": format!("key {index}"), "strategy": "ddpg", "policy": { "layers": [layer] },
        "steps": [step], "accuracy": 0.9, "flash_bytes": 1000, "ram_bytes": 500, "image_sha256": image,
    }))
    .expect("a proposal")
}

fn measurement(episode: Option<i64>, ticks: u64) -> NewMeasurement {
    NewMeasurement {
        episode,
        board: "v1".into(),
        board_type: "mps2-an386".into(),
        image_sha256: IMAGE.into(),
        accepted: true,
        bit_exact: true,
        repeats: vec![ticks, ticks + 2, ticks + 1],
        unit: Unit::Instructions,
        clock_hz: 25_000_000,
        arena_planned: 64,
        arena_high_water: Some(60),
        stack_high_water: Some(900),
        output_crc: Some(0xab),
        expected_crc: Some(0xab),
        firmware_revision: "f1".into(),
        runner_sha256: "r1".into(),
        chip_id: "c1".into(),
        slot: 0,
        sectors_written: 1,
        bytes_written: 65536,
        wall: MeasurementWall::default(),
        layers: vec![crate::types::LayerTicks {
            index: 0,
            kind: "conv2d".into(),
            weight_bits: Some(4),
            input_bits: 8,
            output_bits: 2,
            ticks,
        }],
    }
}

/// A rack of one board, one image and one campaign.
fn furnish(db: &mut Db) -> i64 {
    let boards = [Board { name: "v1".into(), board_type: "mps2-an386".into(), chip_id: None, link: Link::Virtual }];
    db.begin_rack(&boards, &[BoardType::builtin("mps2-an386").expect("built in")]).expect("a rack");
    let image = ImageRow { sha256: IMAGE.into(), bytes: 9, model_len: 8, arena: 64, ops: 1, vectors: 1, model_id: 7 };
    db.put_image(&image).expect("an image");
    db.create_campaign(&CampaignSpec { name: "kws".into(), asked: asked(), unit: Unit::Instructions, origin: None })
        .expect("a campaign")
}

fn furnished() -> (Db, i64) {
    let mut db = Db::in_memory();
    let campaign = furnish(&mut db);
    (db, campaign)
}

/// A campaign whose only limit is this latency.
fn limited(ticks: u64) -> (Db, i64) {
    let (mut db, _) = furnished();
    let mut asked = asked();
    asked.limits.latency = Some(crate::config::Limit::Absolute(ticks));
    let spec = CampaignSpec { name: "limited".into(), asked, unit: Unit::Instructions, origin: None };
    let campaign = db.create_campaign(&spec).expect("a campaign");
    (db, campaign)
}

fn new_episode(db: &mut Db, campaign: i64, index: u32) -> i64 {
    match db.propose(campaign, &proposal(index, Some(IMAGE))).expect("accepted") {
        Proposed::New(id) => id,
        Proposed::Known(_) => panic!("episode {index} was there"),
    }
}

#[test]
fn an_episode_from_proposal_to_reward() {
    let (mut db, campaign) = furnished();
    let id = new_episode(&mut db, campaign, 0);
    db.episode_event(id, &EpisodeEvent::Measure).expect("legal");
    db.add_measurement(&measurement(Some(id), 100)).expect("stored");
    db.episode_event(id, &EpisodeEvent::Measured).expect("legal");
    let reward = Reward { reward: 0.5, step_rewards: Some(vec![0.25]), wall: json!({ "learn_ms": 4.0 }) };
    assert_eq!(db.reward(id, &reward).expect("legal"), EpisodeState::Done);

    let episode = db.episode(id).expect("there");
    assert_eq!(episode.steps[0].reward, Some(0.25));
    assert_eq!(episode.measurement.expect("measured").ticks.expect("ticks").median, 101);
    let detail = db.candidate_detail(id).expect("there");
    assert_eq!((detail.candidate.ticks, detail.candidate.feasible), (Some(101), Some(true)));
    assert_eq!(detail.layers[0].ticks, Some(100));
    assert_eq!(detail.wall["learn_ms"], 4.0);
    assert_eq!(db.campaign(campaign).expect("there").progress.measured, 1);
}

#[test]
fn the_same_proposal_is_one_episode_and_another_is_a_conflict() {
    let (mut db, campaign) = furnished();
    let id = new_episode(&mut db, campaign, 0);
    assert_eq!(db.propose(campaign, &proposal(0, Some(IMAGE))).expect("accepted"), Proposed::Known(id));
    let mut other = proposal(0, Some(IMAGE));
    other.client_key = "another".into();
    assert!(matches!(db.propose(campaign, &other), Err(StoreError::Conflict(_))));
    assert!(matches!(db.propose(campaign, &proposal(1, Some("never put"))), Err(StoreError::Invalid(_))));
}

#[test]
fn without_an_image_an_episode_is_infeasible_at_once_and_takes_one_reward() {
    let (mut db, campaign) = furnished();
    db.propose(campaign, &proposal(0, None)).expect("accepted");
    let id = db.episode_id(EpisodeKey { campaign, index: 0 }).expect("there");
    let candidate = db.candidate(id).expect("there");
    assert_eq!((candidate.state, candidate.feasible), (EpisodeState::Infeasible, Some(false)));
    let rewarded = |reward| EpisodeEvent::Rewarded(reward);
    assert!(db.episode_event(id, &rewarded(-1.0)).is_ok());
    assert!(db.episode_event(id, &rewarded(-1.0)).is_ok());
    assert!(matches!(db.episode_event(id, &rewarded(1.0)), Err(StoreError::Conflict(_))));
}

fn any_event() -> impl Strategy<Value = EpisodeEvent> {
    prop_oneof![
        Just(EpisodeEvent::Measure),
        Just(EpisodeEvent::Measured),
        Just(EpisodeEvent::Infeasible("why".into())),
        Just(EpisodeEvent::Failed("why".into())),
        (0..3i32).prop_map(|r| EpisodeEvent::Rewarded(f64::from(r))),
    ]
}

proptest! {
    /// Whatever is asked in whatever order: states only move forward, refusals change nothing, and a reward never changes.
    #[test]
    fn states_only_move_forward(events in prop::collection::vec(any_event(), 0..12)) {
        let rank = |s| match s {
            EpisodeState::Proposed => 0,
            EpisodeState::Measuring => 1,
            EpisodeState::Measured | EpisodeState::Infeasible | EpisodeState::Failed => 2,
            EpisodeState::Done => 3,
        };
        let (mut db, campaign) = furnished();
        let id = new_episode(&mut db, campaign, 0);
        for event in events {
            let before = db.candidate(id).expect("there");
            let accepted = db.episode_event(id, &event).is_ok();
            let after = db.candidate(id).expect("there");
            prop_assert!(rank(after.state) >= rank(before.state));
            prop_assert!(accepted || after.state == before.state);
            prop_assert!(before.reward.is_none() || before.reward == after.reward);
            prop_assert_eq!(after.finished_at.is_some(), rank(after.state) >= 2);
        }
    }
}

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
fn a_campaign_that_goes_on_from_another_counts_its_labelled_picks() {
    let (mut db, origin) = furnished();
    let finalists = Campaign { strategy: "finalists".into(), ..asked() };
    let spec = |origin: &str| CampaignSpec {
        name: "kws-finalists".into(),
        asked: finalists.clone(),
        unit: Unit::Instructions,
        origin: Some(origin.into()),
    };
    assert!(matches!(db.create_campaign(&spec("nobody")), Err(StoreError::NotFound(_))));
    let id = db.create_campaign(&spec(&origin.to_string())).expect("created");
    let found = db.campaign(id).expect("there");
    assert_eq!((found.origin.as_deref(), found.section.as_deref()), (Some("kws"), Some("kws")));
    for (index, strategy) in [(0, "uniform"), (1, "finalists")] {
        let label = Some("labelled".into());
        db.propose(id, &Proposal { label, strategy: strategy.into(), ..proposal(index, Some(IMAGE)) })
            .expect("accepted");
        let episode = db.episode_id(EpisodeKey { campaign: id, index }).expect("there");
        db.episode_event(episode, &EpisodeEvent::Measure).expect("legal");
        db.add_measurement(&measurement(Some(episode), 100)).expect("stored");
        db.episode_event(episode, &EpisodeEvent::Measured).expect("legal");
    }
    assert_eq!(db.campaign(id).expect("there").progress.measured, 1, "the pick counts, the baseline does not");
}

/// The formula of `docs/database.md` on a store that was filled like a campaign fills it: every reward, or the one that is wrong.
#[test]
fn every_reward_can_be_recomputed_from_the_database_alone() {
    let (mut db, campaign) = limited(200);
    let rewards: [(f64, u64, f64); 4] =
        [(0.9, 149, 0.0), (0.95, 199, 0.5), (0.85, 249, -0.5 - 1.0 - 2.5), (0.91, 399, 0.1 - 1.0 - 10.0)];
    for (index, (accuracy, ticks, reward)) in rewards.into_iter().enumerate() {
        let label = (index == 0).then(|| "uniform 8/8".to_owned());
        let index = index as u32;
        db.propose(campaign, &Proposal { accuracy: Some(accuracy), label, ..proposal(index, Some(IMAGE)) })
            .expect("new");
        let id = db.episode_id(EpisodeKey { campaign, index }).expect("there");
        db.episode_event(id, &EpisodeEvent::Measure).expect("legal");
        db.add_measurement(&measurement(Some(id), ticks)).expect("stored");
        db.episode_event(id, &EpisodeEvent::Measured).expect("legal");
        db.reward(id, &Reward { reward, step_rewards: None, wall: json!({}) }).expect("legal");
    }
    db.propose(campaign, &proposal(4, None)).expect("accepted");
    let infeasible = db.episode_id(EpisodeKey { campaign, index: 4 }).expect("there");
    db.reward(infeasible, &Reward { reward: -9.0, step_rewards: None, wall: json!({}) }).expect("legal");
    let wrong = "SELECT count(*), coalesce(sum(abs(reward - recomputed) > 1e-9 OR recomputed IS NULL), 0) FROM rewards_recomputed";
    let count = |db: &Db| db.conn.query_row(wrong, [], |r| Ok((r.get(0)?, r.get(1)?))).expect("asked");
    assert_eq!(count(&db), (5, 0));
    db.conn.execute("UPDATE episodes SET reward = reward + 0.01 WHERE idx = 2", []).expect("planted");
    assert_eq!(count(&db), (5, 1), "a wrong reward is found");
}

#[test]
fn a_search_converges_over_its_own_measurements() {
    let (mut db, campaign) = limited(200);
    let runs: [(Option<&str>, u64, f64); 5] =
        [(Some("uniform 8/8"), 100, 0.9), (None, 300, 0.95), (None, 150, 0.7), (None, 160, 0.8), (None, 100, 0.75)];
    for (index, (label, ticks, accuracy)) in runs.into_iter().enumerate() {
        let (index, label) = (index as u32, label.map(str::to_owned));
        db.propose(campaign, &Proposal { accuracy: Some(accuracy), label, ..proposal(index, Some(IMAGE)) })
            .expect("new");
        let id = db.episode_id(EpisodeKey { campaign, index }).expect("there");
        db.episode_event(id, &EpisodeEvent::Measure).expect("legal");
        db.add_measurement(&measurement(Some(id), ticks)).expect("stored");
        db.episode_event(id, &EpisodeEvent::Measured).expect("legal");
        db.reward(id, &Reward { reward: accuracy - 1.0, step_rewards: None, wall: json!({}) }).expect("legal");
    }
    let run = db.search_runs(&["limited".into()]).expect("read").remove(0);
    let accuracies: Vec<_> = run.measured.iter().map(|point| point.best_accuracy).collect();
    assert_eq!(accuracies, [None, Some(0.7), Some(0.8), Some(0.8)], "neither the baseline nor what is too slow counts");
    assert_eq!(run.best.map(|best| best.index), Some(3));
    assert!(matches!(db.search_runs(&["kws".into(), "nobody".into()]), Err(StoreError::NotFound(_))));
}

/// A database of the first release gets the columns, keeps its rows, and its views answer.
#[test]
fn an_older_database_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hil.sqlite");
    let old = Connection::open(&path).expect("created");
    old.execute_batch(include_str!("migrations/0001_base.sql")).expect("the first schema");
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
    assert_eq!(db.candidates(1, None).expect("read")[0].predicted_ticks, None);
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
fn limits_decide_what_is_feasible_best_and_on_the_front() {
    let (mut db, campaign) = furnished();
    let mut relative = asked();
    relative.limits.latency = Some(crate::config::Limit::Percent(50.0));
    let spec = CampaignSpec { name: "relative".into(), asked: relative, unit: Unit::Instructions, origin: None };
    let relative = db.create_campaign(&spec).expect("a campaign");
    assert_ne!(relative, campaign);
    for (index, (accuracy, ticks)) in
        [(0.9, 300), (0.8, 100), (0.7, 150), (0.8, 100), (0.6, 50)].into_iter().enumerate()
    {
        let mut p = proposal(index as u32, Some(IMAGE));
        p.accuracy = Some(accuracy);
        db.propose(relative, &p).expect("accepted");
        let id = db.episode_id(EpisodeKey { campaign: relative, index: index as u32 }).expect("there");
        db.episode_event(id, &EpisodeEvent::Measure).expect("legal");
        db.add_measurement(&measurement(Some(id), ticks)).expect("stored");
        db.episode_event(id, &EpisodeEvent::Measured).expect("legal");
    }
    assert!(db.best(relative).expect("asked").is_none(), "nothing is feasible while the limits are unknown");
    let limits = Limits { latency_ticks: Some(200), ..Limits::default() };
    db.set_limits(relative, limits).expect("set");
    db.set_limits(relative, limits).expect("the same again is fine");
    assert!(matches!(db.set_limits(relative, Limits::default()), Err(StoreError::Conflict(_))));
    assert_eq!(db.best(relative).expect("asked").map(|c| c.index), Some(1));
    let front: Vec<_> = db.pareto(relative).expect("asked").iter().map(|c| c.index).collect();
    assert_eq!(front, [4, 1], "dominated and duplicate points are not on the front");
}

#[test]
fn campaigns_stop_resume_and_end() {
    let (mut db, id) = furnished();
    let again = CampaignSpec { name: "kws".into(), asked: asked(), unit: Unit::Instructions, origin: None };
    assert!(matches!(db.create_campaign(&again), Err(StoreError::Conflict(_))));
    for event in [CampaignEvent::Stop, CampaignEvent::Stop, CampaignEvent::Resume, CampaignEvent::Finish("done".into())]
    {
        db.campaign_event(id, &event).expect("legal");
    }
    assert!(matches!(db.campaign_event(id, &CampaignEvent::Resume), Err(StoreError::Conflict(_))));
    assert_eq!(db.campaign_id("kws").expect("there"), id);
    assert_eq!(db.campaign_id(&id.to_string()).expect("there"), id);
    assert!(matches!(db.campaign_id("nobody"), Err(StoreError::NotFound(_))));
}

#[test]
fn flash_is_unknown_while_it_is_written_and_wear_is_never_forgotten() {
    let (mut db, _) = furnished();
    db.flash_begin("v1", &[0, 65536]).expect("noted");
    assert_eq!(db.flash_sectors("v1").expect("read")[&0], SectorState { sha256: None, erases: 1 });
    db.flash_done("v1", &[(0, "h0".into()), (65536, "h1".into())]).expect("noted");
    assert_eq!(db.flash_sectors("v1").expect("read")[&65536].sha256.as_deref(), Some("h1"));
    db.flash_begin("v1", &[0]).expect("noted");
    db.flash_forget("v1").expect("noted");
    let sectors = db.flash_sectors("v1").expect("read");
    assert!(sectors.values().all(|s| s.sha256.is_none()));
    assert_eq!(db.flash_wear("v1").expect("read"), 2);
}

#[test]
fn a_restart_closes_leases_and_finds_what_was_being_measured() {
    let (mut db, campaign) = furnished();
    db.lease_begin("v1", "somebody").expect("noted");
    let id = new_episode(&mut db, campaign, 3);
    db.episode_event(id, &EpisodeEvent::Measure).expect("legal");
    db.begin_rack(&[], &[]).expect("a rack");
    let open: i64 =
        db.conn.query_row("SELECT count(*) FROM leases WHERE until IS NULL", [], |r| r.get(0)).expect("counted");
    assert_eq!(open, 0);
    assert_eq!(db.measuring_episodes().expect("read"), [(EpisodeKey { campaign, index: 3 }, id)]);
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
        "layer_latency",
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

#[test]
fn a_policy_keeps_its_json() {
    let policy: Policy = proposal(0, None).policy;
    assert_eq!(policy.layers[0].weight_bits, Some(4));
}
