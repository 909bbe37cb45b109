//! Which variants a campaign's images are computed by: the usual ones, until a table knows better.

use super::fake_daemon::{Campaign, FakeDaemon};
use super::toy::{BASELINES, campaign, outcome, run_through_deaths, run_to_end};
use bitrack_model::Variant;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The depthwise layer, for which there are three.
const LAYER: usize = 1;

/// The layer costs after a profile by some variants.
fn profiled(folder: &TempDir, variants: &str) -> Vec<Value> {
    let mut campaign = campaign(folder, "profile");
    campaign.start["budget"] = 60.into();
    campaign.start["limits_asked"] = json!({"flash": null, "ram": null, "latency": null});
    campaign.start["options"]["preparation"] = json!({"variants": variants});
    let daemon = FakeDaemon::new(campaign);
    run_to_end(&daemon);
    let costs = daemon.lock().layer_costs();
    serde_json::from_slice(&costs).expect("a list")
}

/// A table of all profiles together.
fn table(folder: &TempDir, variants: &[&str]) -> Vec<u8> {
    json!(variants.iter().flat_map(|name| profiled(folder, name)).collect::<Vec<_>>()).to_string().into_bytes()
}

/// The variant that every image of a campaign names for the layer.
fn named(campaign: &Campaign) -> Vec<Variant> {
    campaign.images.values().map(|image| bitrack_model::variants(image).expect("is valid")[LAYER]).collect()
}

fn random(folder: &TempDir, costs: Vec<u8>) -> FakeDaemon {
    FakeDaemon::new(Campaign { costs, ..campaign(folder, "random") })
}

#[test]
fn images_name_the_variant_that_was_measured_to_be_fastest() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = random(&folder, table(&folder, &["usual", "rows", "general"]));
    run_to_end(&daemon);
    let campaign = daemon.lock();
    assert!(named(&campaign).iter().all(|&variant| variant == Variant::Rows), "{:?}", named(&campaign));
    for (index, episode) in campaign.episodes.range(BASELINES..) {
        let geometry = episode["policy"]["layers"][LAYER]["geometry"].as_str().expect("a text");
        assert!(geometry.ends_with(" rows"), "the database knows it: {geometry}");
        assert_eq!(episode["predicted_ticks"], episode["candidate"]["ticks"], "episode {index}");
    }
}

#[test]
fn a_table_without_one_of_the_variants_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = random(&folder, table(&folder, &["usual", "rows"]));
    run_to_end(&daemon);
    let usual = |variant: &Variant| *variant == Variant::Map || *variant == Variant::Rows;
    let campaign = daemon.lock();
    // Constants with a left shift are not for small maps.
    assert!(named(&campaign).iter().all(usual) && named(&campaign).contains(&Variant::Map));
    let geometry = |episode: &Value| episode["policy"]["layers"][LAYER]["geometry"].to_string();
    assert!(campaign.episodes.values().all(|episode| !geometry(episode).contains("rows")));
}

#[test]
fn what_has_begun_goes_on_with_its_variants_whatever_was_measured_since() {
    let folder = tempfile::tempdir().expect("a folder");
    let costs = table(&folder, &["usual", "rows", "general"]);
    let undisturbed = random(&folder, costs.clone());
    run_to_end(&undisturbed);
    let daemon = random(&folder, costs);
    daemon.lock().requests_left = Some(60);
    bitrack_search::agent::run(bitrack_search::agent::Client::new(&daemon.url, "toy")).expect_err("it dies");
    assert!(daemon.lock().checkpoint.is_some(), "after the search had begun");
    // The table is gone: whoever asked it again would pick the usual variants.
    daemon.lock().costs = b"[]".to_vec();
    assert!(run_through_deaths(&daemon, 16) > 0);
    assert_eq!(outcome(&daemon.lock()), outcome(&undisturbed.lock()));
    assert_eq!(named(&daemon.lock()), named(&undisturbed.lock()));
}

#[test]
fn small_code_is_asked_for_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut campaign = campaign(&folder, "random");
    campaign.start["options"]["preparation"] = json!({"variants": "small"});
    let daemon = FakeDaemon::new(campaign);
    run_to_end(&daemon);
    let campaign = daemon.lock();
    let geometry = |episode: &Value| episode["policy"]["layers"][LAYER]["geometry"].to_string();
    assert!(campaign.episodes.values().all(|episode| !geometry(episode).contains("general")), "its only loops");
    let kernels = |image: &Vec<u8>| bitrack_model::kernels(image).expect("is valid");
    assert!(campaign.images.values().all(|image| !kernels(image).contains(&"depthwise-any")));
}
