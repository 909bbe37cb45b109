//! Campaigns: their states, their counts, and what follows from their rows.

use proptest::prelude::*;

use super::*;

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

/// Small integers make ties, equal candidates and every kind of domination common.
fn any_candidate() -> impl Strategy<Value = (f64, u64, u64, u64, bool)> {
    (0..4u32, 0..4u64, 0..4u64, 0..4u64, any::<bool>())
        .prop_map(|(accuracy, ticks, flash, ram, fits)| (f64::from(accuracy) / 4.0, 100 + ticks, flash, ram, fits))
}

proptest! {
    #[test]
    fn the_front_is_what_nothing_beats_in_all_four(rows in prop::collection::vec(any_candidate(), 1..20)) {
        let (mut db, campaign) = limited(1000);
        for (index, &(accuracy, ticks, flash_bytes, ram_bytes, fits)) in (0..).zip(&rows) {
            let row = Proposal { accuracy: Some(accuracy), flash_bytes, ram_bytes, ..proposal(index, Some(IMAGE)) };
            db.propose(campaign, &row).expect("accepted");
            let id = db.episode_id(EpisodeKey { campaign, index }).expect("there");
            db.add_measurement(&measurement(Some(id), if fits { ticks } else { 2000 })).expect("stored");
        }
        let beats = |a: usize, b: usize| {
            let ((x, t, f, r, _), (y, u, g, s, _)) = (rows[a], rows[b]);
            let better = x > y || t < u || f < g || r < s;
            rows[a].4 && x >= y && t <= u && f <= g && r <= s && (better || a < b)
        };
        let on_front = |&i: &usize| rows[i].4 && !(0..rows.len()).any(|other| beats(other, i));
        let expected: Vec<u32> = (0..rows.len()).filter(on_front).map(|i| i as u32).collect();
        let mut found: Vec<u32> = db.front(campaign).expect("read").iter().map(|c| c.index).collect();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}
