//! A night of searches with known figures, as table and as chart.

use serde_json::json;

use super::*;
use crate::types::Candidate;

/// A run whose best reward after `n` measurements is `reward(n)`; `None` while nothing is feasible.
fn run(campaign: &str, options: Value, measured: u32, reward: impl Fn(u32) -> Option<f64>) -> SearchRun {
    let points = (1..=measured).map(|n| {
        let best_reward = reward(n);
        SearchPoint { best_reward, best_accuracy: best_reward.map(|r| 0.9 + r / 10.0) }
    });
    let measured: Vec<_> = points.collect();
    let (strategy, seed) = campaign.split_once('-').expect("STRATEGY-SEED");
    let best = measured.last().and_then(|point| Some(candidate(campaign, point.best_reward?)));
    SearchRun {
        campaign: campaign.into(),
        state: "finished".into(),
        strategy: strategy.into(),
        objective: "reward".into(),
        seed: seed.trim_start_matches('w').parse().expect("a seed"),
        options,
        model: "/m".into(),
        data: "/d".into(),
        unit: "instructions".into(),
        limits: None,
        measured,
        best,
    }
}

fn candidate(campaign: &str, reward: f64) -> Candidate {
    serde_json::from_value(json!({
        "id": 1, "campaign": campaign, "index": 42, "strategy": "any", "state": "done", "accuracy": 0.9 + reward / 10.0,
        "ticks": 3_000_000, "unit": "instructions", "flash_bytes": 51_200, "ram_bytes": 20_480, "feasible": true,
        "reward": reward, "reused": false, "created_at": "",
    }))
    .expect("a candidate")
}

/// Three seeds of a learner, one of them late; the same warm-started, its second seed stopped early; and a rule with four ideas.
pub fn night() -> Vec<SearchRun> {
    let learner = |late: u32, top: f64| move |n: u32| (n >= late).then(|| top - 2.0 / f64::from(n - late + 1));
    let warm = json!({ "warm-start": "ilp" });
    vec![
        run("ddpg-1", json!({}), 100, learner(3, 0.1)),
        run("ddpg-2", json!({}), 100, learner(20, -0.05)),
        run("ddpg-3", json!({}), 100, learner(1, 0.2)),
        run("ddpg-w1", warm.clone(), 60, |n| Some(if n < 30 { 0.05 } else { 0.25 })),
        SearchRun { state: "stopped".into(), ..run("ddpg-w2", warm, 30, |_| Some(0.15)) },
        run("rule-1", json!({}), 4, |_| Some(-0.3)),
    ]
}

#[test]
fn campaigns_that_differ_only_by_seed_are_one_strategy() {
    let comparison = compare(&night()).expect("comparable");
    let names: Vec<_> = comparison.strategies.iter().map(|s| (s.name.as_str(), s.campaigns.len())).collect();
    assert_eq!(names, [("ddpg (no warm-start)", 3), ("ddpg (warm-start ilp)", 2), ("rule", 1)]);
    assert_eq!(comparison.notes, ["campaign ddpg-w2 is stopped: it counts up to its 30 measurements"]);
}

#[test]
fn who_has_found_nothing_is_the_worst_and_who_has_ended_stays_at_his_best() {
    let comparison = compare(&night()).expect("comparable");
    let [cold, warm, rule] = &comparison.strategies[..] else { panic!("three") };
    let spread = |median: Option<f64>, low, high| Spread { median, low, high };
    let ten = &cold.milestones[0];
    assert_eq!((ten.measurements, ten.campaigns), (10, 3));
    assert_eq!(ten.reward, spread(Some(0.1 - 2.0 / 8.0), None, Some(0.0)), "the second seed has found nothing yet");
    assert_eq!(cold.curve[1].reward, spread(None, None, Some(0.2 - 2.0 / 2.0)), "nor has the first");
    let fifty = warm.milestones.iter().find(|after| after.measurements == 50).expect("reached");
    assert_eq!((fifty.campaigns, fifty.reward.median), (1, Some(0.25)), "a stopped search says nothing of later");
    assert_eq!(rule.milestones.len(), 4, "a finished one is as good after 100 measurements as after its last");
    assert_eq!(rule.curve.len(), 4);
    assert_eq!(warm.best.as_ref().map(|best| best.campaign.as_str()), Some("ddpg-w1"));
}

#[test]
fn medians_are_those_of_the_seeds() {
    assert_eq!(spread(vec![Some(3.0), Some(1.0), Some(2.0)]).median, Some(2.0));
    assert_eq!(spread(vec![Some(4.0), Some(1.0), None, Some(2.0)]).median, Some(1.5));
    assert_eq!(spread(vec![None, Some(1.0)]), Spread { median: None, low: None, high: Some(1.0) });
}

#[test]
fn what_cannot_be_compared_is_refused() {
    assert_eq!(compare(&[]).expect_err("nothing"), NotComparable::Nothing);
    let mut runs = night();
    runs[1].model = "/another".into();
    let error = compare(&runs).expect_err("two models").to_string();
    assert_eq!(error, "campaigns ddpg-1 and ddpg-2 differ in model: /m and /another");
    let mut runs = night();
    runs[2].limits = Some(crate::types::Limits::default());
    assert!(compare(&runs).expect("comparable").notes[0].contains("different limits"));
}

#[test]
fn the_chart_in_a_file_a_terminal_and_a_picture() {
    let chart = Chart::of(&compare(&night()).expect("comparable")).expect("something feasible");
    insta::assert_snapshot!("chart_plain", text(&chart, Look::Plain, 80, 14));
    let coloured = text(&chart, Look::Braille, 80, 10);
    assert!(coloured.contains("\u{1b}[94m") && coloured.contains("\u{1b}[92m"), "each strategy has its colour");
    let without =
        ["94", "93", "92", "0"].iter().fold(coloured, |text, code| text.replace(&format!("\u{1b}[{code}m"), ""));
    insta::assert_snapshot!("chart_braille", without);
    insta::assert_snapshot!("chart_svg", svg(&chart));
}

#[test]
fn the_smallest_charts_can_be_drawn() {
    let one = compare(&[run("rule-1", json!({}), 1, |_| Some(0.5))]).expect("comparable");
    let chart = Chart::of(&one).expect("a point");
    assert!(text(&chart, Look::Plain, 10, 2).contains('a'));
    assert!(svg(&chart).contains("<path"));
    let nothing = compare(&[run("rule-1", json!({}), 5, |_| None)]).expect("comparable");
    assert_eq!(Chart::of(&nothing), None);
    assert_eq!(Chart::of(&compare(&[run("rule-1", json!({}), 0, |_| None)]).expect("comparable")), None);
}

#[test]
fn campaigns_of_another_objective_are_another_strategy() {
    let mut front = run("evolution-2", json!({}), 5, |_| Some(0.1));
    front.objective = "front".into();
    let both = compare(&[run("evolution-1", json!({}), 5, |_| Some(0.2)), front]).expect("comparable");
    let names: Vec<_> = both.strategies.iter().map(|strategy| strategy.name.as_str()).collect();
    assert_eq!(names, ["evolution (objective reward)", "evolution (objective front)"]);
}
