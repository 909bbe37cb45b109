//! Candidates that are trained before they are measured: in a search, and as finalists.

use super::fake_daemon::{Campaign, FakeDaemon};
use super::toy::{BASELINES, BUDGET, campaign, images, outcome, run_through_deaths, run_to_end};
use bitrack_search::agent::{Client, run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Steps of a training here, and between two of its checkpoints: four checkpoints, the last at the end.
const STEPS: u64 = 7;
const EVERY: u64 = 2;

/// A search whose candidates are trained.
fn tuned(folder: &TempDir) -> Campaign {
    let mut campaign = campaign(folder, "random");
    campaign.start["options"]["fine-tune"] = json!({"steps": STEPS, "batch": 16, "learning-rate": 0.05});
    campaign.start["options"]["training-checkpoint-every"] = EVERY.into();
    campaign
}

/// How often training checkpoints of each episode arrived.
fn kept(campaign: &Campaign) -> Vec<usize> {
    let count = |index: &u64| campaign.kept.iter().filter(|kept| *kept == index).count();
    campaign.episodes.keys().map(count).collect()
}

/// The last word about the training of each episode that was trained.
fn trained(campaign: &Campaign) -> Vec<u64> {
    let over = campaign.told.iter().filter(|(_, told)| told["share"] == 1.0);
    over.map(|(index, _)| *index).collect()
}

#[test]
fn a_training_goes_on_where_it_died_and_ends_in_the_same_image() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = FakeDaemon::new(campaign(&folder, "random"));
    run_to_end(&plain);
    let undisturbed = FakeDaemon::new(tuned(&folder));
    run_to_end(&undisturbed);
    assert!(images(&plain.lock()).is_disjoint(&images(&undisturbed.lock())), "fine-tuning changes every image");
    let daemon = FakeDaemon::new(tuned(&folder));
    let deaths = run_through_deaths(&daemon, 12);
    assert!(deaths > 3, "died {deaths} times");
    assert_eq!(outcome(&daemon.lock()), outcome(&undisturbed.lock()));
    assert_eq!(images(&daemon.lock()), images(&undisturbed.lock()));
    // Steps 2, 4, 6 and 7, each once whatever the number of lives: no step was taken again.
    assert_eq!(kept(&daemon.lock()), vec![STEPS.div_ceil(EVERY) as usize; (BASELINES + BUDGET) as usize]);
    assert_eq!(daemon.lock().training, None, "nothing is kept of what was proposed");
}

#[test]
fn everybody_hears_how_far_a_training_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(tuned(&folder));
    run_to_end(&daemon);
    let campaign = daemon.lock();
    assert_eq!(trained(&campaign), campaign.episodes.keys().copied().collect::<Vec<_>>());
    let (_, told) = &campaign.told[0];
    assert_eq!((&told["label"], &told["step"], &told["steps"]), (&json!("uniform 8/8"), &json!(STEPS), &json!(STEPS)));
    assert!(told["loss"].as_f64().is_some_and(f64::is_finite) && told["remaining_s"] == 0.0, "{told}");
}

#[test]
fn a_damaged_training_checkpoint_costs_time_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let undisturbed = FakeDaemon::new(tuned(&folder));
    run_to_end(&undisturbed);
    let daemon = FakeDaemon::new(tuned(&folder));
    while daemon.lock().training.is_none() {
        let left = daemon.lock().kept.len() as u32 + 3;
        daemon.lock().requests_left = Some(left);
        run(Client::new(&daemon.url, "toy")).expect_err("it dies");
    }
    let (index, mut bytes) = daemon.lock().training.clone().expect("kept");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    daemon.lock().training = Some((index, bytes));
    daemon.lock().requests_left = None;
    run_to_end(&daemon);
    assert_eq!(images(&daemon.lock()), images(&undisturbed.lock()));
}

#[test]
fn a_wrong_fine_tuning_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut campaign = campaign(&folder, "random");
    campaign.start["options"]["fine-tune"] = json!({"learning-rate": 0.1});
    let error = run(Client::new(&FakeDaemon::new(campaign).url, "toy")).expect_err("refused").to_string();
    assert_eq!(error, "[campaign.toy.agent]: fine-tune: give steps or seconds");
}

#[test]
fn a_training_that_diverges_is_an_episode_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut campaign = tuned(&folder);
    campaign.start["options"]["fine-tune"]["learning-rate"] = 1e30.into();
    campaign.start["limits_asked"]["latency"] = Value::Null;
    let daemon = FakeDaemon::new(campaign);
    let error = run(Client::new(&daemon.url, "toy")).expect_err("no reference").to_string();
    assert!(error.contains("rewards are relative to its accuracy, and it has none: fine-tuning diverged"), "{error}");
    let row = daemon.lock().episodes[&0]["candidate"].clone();
    assert_eq!(row["state"], "infeasible");
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("lower the learning rate")), "{row}");
}

/// A finished search, and the campaign of its finalists.
struct Finalists {
    search: Campaign,
    campaign: Campaign,
}

impl Finalists {
    fn new(folder: &TempDir, top: u64) -> Self {
        let first = FakeDaemon::new(campaign(folder, "random"));
        run_to_end(&first);
        let mut campaign = tuned(folder);
        campaign.start["strategy"] = "finalists".into();
        campaign.start["budget"] = top.into();
        campaign.start["origin"] = "first".into();
        campaign.start["limits_asked"] = json!({"flash": null, "ram": null, "latency": null});
        campaign.other = Some(first.lock().agent_start());
        let search = first.lock().clone();
        Self { search, campaign }
    }

    /// The search's feasible candidates, best first.
    fn expected(&self) -> Vec<u64> {
        let mut feasible: Vec<(f64, i64, u64)> = Vec::new();
        for (&index, episode) in &self.search.episodes {
            let row = &episode["candidate"];
            if row["feasible"] == true {
                let (accuracy, ticks) = (row["accuracy"].as_f64(), row["ticks"].as_i64());
                feasible.push((-accuracy.expect("judged"), ticks.expect("measured"), index));
            }
        }
        feasible.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        feasible.into_iter().map(|(_, _, index)| index).collect()
    }
}

fn labels(campaign: &Campaign) -> Vec<String> {
    let label = |episode: &Value| episode["candidate"]["label"].as_str().expect("labelled").to_owned();
    campaign.episodes.values().map(label).collect()
}

fn bits(episode: &Value) -> Vec<Value> {
    episode["steps"].as_array().expect("steps").iter().map(|step| step["bits"].clone()).collect()
}

#[test]
fn finalists_are_the_best_of_another_campaign_trained_for_longer() {
    let folder = tempfile::tempdir().expect("a folder");
    let finalists = Finalists::new(&folder, 2);
    let daemon = FakeDaemon::new(finalists.campaign.clone());
    run_to_end(&daemon);
    let finished = daemon.lock();
    let chosen: Vec<u64> = finalists.expected()[..2].to_vec();
    let expected = chosen.iter().map(|index| format!("finalist of episode {index}"));
    assert_eq!(labels(&finished), std::iter::once("uniform 8/8".to_owned()).chain(expected).collect::<Vec<_>>());
    for (at, index) in (1..).zip(&chosen) {
        assert_eq!(bits(&finished.episodes[&at]), bits(&finalists.search.episodes[index]));
    }
    let known = images(&finalists.search);
    assert!(images(&finished).is_disjoint(&known), "training changes the image");
    assert_eq!(trained(&finished), [0, 1, 2], "each was trained once, the winner too");
    let reason = finished.finished.clone().expect("finished");
    assert!(reason.starts_with("2 finalists of first; best: episode") && reason.contains("test top-1"), "{reason}");
}

/// A finalist is compared with 8 bits that were trained for as long, not with the search's.
#[test]
fn finalists_are_rewarded_relative_to_their_like() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(Finalists::new(&folder, 2).campaign);
    run_to_end(&daemon);
    let rows: Vec<Value> = daemon.lock().episodes.values().map(|episode| episode["candidate"].clone()).collect();
    let number = |row: &Value, key: &str| row[key].as_f64().expect("a number");
    for row in &rows {
        let gain = 10.0 * (number(row, "accuracy") - number(&rows[0], "accuracy"));
        assert!((number(row, "reward") - gain).abs() < 1e-9, "{row}");
    }
}

#[test]
fn finalists_are_the_same_images_after_every_death() {
    let folder = tempfile::tempdir().expect("a folder");
    let campaign = Finalists::new(&folder, 3).campaign;
    let undisturbed = FakeDaemon::new(campaign.clone());
    run_to_end(&undisturbed);
    let daemon = FakeDaemon::new(campaign);
    assert!(run_through_deaths(&daemon, 5) > 2, "no life ended");
    assert_eq!(outcome(&daemon.lock()), outcome(&undisturbed.lock()));
    assert_eq!(images(&daemon.lock()), images(&undisturbed.lock()));
    assert_eq!(daemon.lock().finished, undisturbed.lock().finished);
    assert_eq!(kept(&daemon.lock()), [STEPS.div_ceil(EVERY) as usize; 4], "no step was taken again");
}

#[test]
fn a_finalist_that_the_rig_failed_is_tried_again_and_not_trained_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(Campaign { failing: vec![1], ..Finalists::new(&folder, 2).campaign });
    let error = run(Client::new(&daemon.url, "toy")).expect_err("one is missing");
    assert!(error.is_final(), "somebody has to mend the rig first");
    let error = error.to_string();
    assert!(error.starts_with("1 of 3 ") && error.contains("the cable is out"), "{error}");
    assert!(error.ends_with("hil campaign resume toy"), "{error}");
    assert_eq!(daemon.lock().episodes[&2]["candidate"]["state"], "done", "the others were measured");
    daemon.lock().failing.clear();
    run_to_end(&daemon);
    let finished = daemon.lock();
    let (failed, again) = (&finished.episodes[&1], &finished.episodes[&3]);
    assert_eq!(again["candidate"]["state"], "done");
    for same in ["label", "image_sha256", "accuracy"] {
        assert_eq!(failed["candidate"][same], again["candidate"][same]);
    }
    assert_eq!(trained(&finished), [0, 1, 2]);
    assert_eq!(finished.episodes.len(), 4);
}

#[test]
fn a_finalist_that_cannot_run_is_told_and_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = FakeDaemon::new(Campaign { unfit: vec![1], ..Finalists::new(&folder, 2).campaign });
    run_to_end(&daemon);
    let finished = daemon.lock();
    let reason = finished.finished.clone().expect("finished");
    let label = &labels(&finished)[1];
    assert!(reason.contains(&format!("episode 1 ({label}): its outputs are wrong")), "{reason}");
    let reference = finished.episodes[&0]["candidate"]["accuracy"].as_f64().expect("judged");
    let reward = finished.episodes[&1]["candidate"]["reward"].as_f64().expect("rewarded");
    assert!((reward + 10.0 * reference).abs() < 1e-9, "as accuracy 0");
}

#[test]
fn finalists_need_a_campaign_to_come_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = run(Client::new(&FakeDaemon::new(campaign(&folder, "finalists")).url, "toy")).expect_err("no origin");
    assert!(error.to_string().contains("hil campaign finalists NAME"), "{error}");
}
