//! Episodes: from proposal to reward, forwards only, but for what failed and is tried again.

use proptest::prelude::*;

use super::*;

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

#[test]
fn what_boards_or_rig_failed_may_be_measured_again() {
    let (mut db, campaign) = furnished();
    let id = new_episode(&mut db, campaign, 0);
    db.episode_event(id, &EpisodeEvent::Measure).expect("legal");
    db.episode_event(id, &EpisodeEvent::Failed("no board answers".into())).expect("legal");
    assert_eq!(db.candidate(id).expect("there").reason.as_deref(), Some("no board answers"));
    assert_eq!(db.episode_event(id, &EpisodeEvent::Measure).expect("legal"), EpisodeState::Measuring);
    assert_eq!(db.candidate(id).expect("there").reason, None, "it may still become anything");
    assert_eq!(db.measuring_episodes().expect("read").len(), 1, "a restarted daemon takes it up");
    db.add_measurement(&measurement(Some(id), 100)).expect("stored");
    db.episode_event(id, &EpisodeEvent::Measured).expect("legal");
    assert_eq!(db.episode_event(id, &EpisodeEvent::Measure).expect("nothing happens"), EpisodeState::Measured);
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
    /// Whatever is asked in whatever order: states only move forward, unless boards or rig failed and a measurement is asked for once more;
    /// refusals change nothing, and a reward never changes.
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
            let is_tried_again = before.state == EpisodeState::Failed && event == EpisodeEvent::Measure;
            prop_assert_eq!(rank(after.state) < rank(before.state), is_tried_again);
            prop_assert!(accepted || after.state == before.state);
            prop_assert!(before.reward.is_none() || before.reward == after.reward);
            prop_assert_eq!(after.finished_at.is_some(), rank(after.state) >= 2);
        }
    }
}

#[test]
fn a_policy_keeps_its_json() {
    let policy: Policy = proposal(0, None).policy;
    assert_eq!(policy.layers[0].weight_bits, Some(4));
}
