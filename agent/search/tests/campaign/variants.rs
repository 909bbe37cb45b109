//! Which variants a campaign's images are computed by: the usual ones, until a table knows better.

use super::fake_daemon::{Campaign, FakeDaemon};
use super::toy::{BASELINES, campaign, outcome, run_through_deaths, run_to_end};
use bitrack_model::Variant;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tempfile::TempDir;

/// The depthwise layer, for which there are three.
const LAYER: usize = 1;

fn profile(folder: &TempDir, options: Value) -> FakeDaemon {
    let mut campaign = campaign(folder, "profile");
    campaign.start["budget"] = 200.into();
    campaign.start["limits_asked"] = json!({"flash": null, "ram": null, "latency": null});
    campaign.start["options"] = options;
    let daemon = FakeDaemon::new(campaign);
    run_to_end(&daemon);
    daemon
}

/// The layer costs after one profile.
fn table(folder: &TempDir) -> Vec<u8> {
    profile(folder, json!({})).lock().layer_costs()
}

/// The variant that every image of a campaign names for the layer.
fn named(campaign: &Campaign) -> Vec<Variant> {
    campaign.images.values().map(|image| bitrack_model::variants(image).expect("is valid")[LAYER]).collect()
}

/// What the database says of it, episode by episode.
fn told(campaign: &Campaign) -> Vec<Value> {
    campaign.episodes.values().map(|episode| episode["policy"]["layers"][LAYER]["variant"].clone()).collect()
}

fn random(folder: &TempDir, costs: Vec<u8>) -> FakeDaemon {
    FakeDaemon::new(Campaign { costs, ..campaign(folder, "random") })
}

/// What the layer was measured at, and by which variant.
fn measured(daemon: &FakeDaemon) -> BTreeSet<(u64, u64, u64, String)> {
    let costs: Vec<Value> = serde_json::from_slice(&daemon.lock().layer_costs()).expect("a list");
    let of_layer =
        costs.iter().filter(|cost| cost["geometry"].as_str().is_some_and(|text| text.starts_with("depthwise")));
    let bits = |cost: &Value, what: &str| cost[what].as_u64().expect("it has bits");
    let key = |cost: &Value| {
        let variant = cost["variant"].as_str().expect("told").to_owned();
        (bits(cost, "weight_bits"), bits(cost, "input_bits"), bits(cost, "output_bits"), variant)
    };
    of_layer.map(key).collect()
}

#[test]
fn one_profile_measures_every_variant_at_all_bits() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = measured(&profile(&folder, json!({})));
    let picked = measured(&profile(&folder, json!({"profile": {"variants": "picked"}})));
    let of = |all: &BTreeSet<(u64, u64, u64, String)>, name: &str| all.iter().filter(|row| row.3 == name).count();
    assert_eq!((of(&all, "general"), of(&all, "rows")), (27, 27));
    // Constants with a left shift are not for small maps: those run by rows, whatever was asked for.
    assert!(of(&all, "map") > 0 && of(&all, "map") == of(&picked, "map"), "{all:?}");
    assert_eq!((of(&picked, "general"), picked.len()), (0, 27));
}

#[test]
fn images_name_the_variant_that_was_measured_to_be_fastest() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = random(&folder, table(&folder));
    run_to_end(&daemon);
    let campaign = daemon.lock();
    assert!(named(&campaign).iter().all(|&variant| variant == Variant::Rows), "{:?}", named(&campaign));
    assert!(told(&campaign).iter().all(|variant| variant == "rows"), "the database knows it");
    for (index, episode) in campaign.episodes.range(BASELINES..) {
        assert_eq!(episode["predicted_ticks"], episode["candidate"]["ticks"], "episode {index}");
    }
}

#[test]
fn a_table_without_one_of_the_variants_changes_nothing_and_the_database_says_what_ran() {
    let folder = tempfile::tempdir().expect("a folder");
    let costs: Vec<Value> = serde_json::from_slice(&table(&folder)).expect("a list");
    let without = |cost: &&Value| {
        cost["variant"] != "general" || cost["geometry"].as_str().is_some_and(|text| !text.starts_with("depthwise"))
    };
    let daemon = random(&folder, json!(costs.iter().filter(without).collect::<Vec<_>>()).to_string().into_bytes());
    run_to_end(&daemon);
    let campaign = daemon.lock();
    // Constants with a left shift are not for small maps.
    let names: BTreeSet<Variant> = named(&campaign).into_iter().collect();
    assert_eq!(names, BTreeSet::from([Variant::Rows, Variant::Map]));
    for episode in campaign.episodes.values() {
        let image = &campaign.images[episode["candidate"]["image_sha256"].as_str().expect("it was put")];
        let runs = bitrack_model::variants(image).expect("is valid")[LAYER].name();
        assert_eq!(episode["policy"]["layers"][LAYER]["variant"], runs);
        let (predicted, ticks) = (&episode["predicted_ticks"], &episode["candidate"]["ticks"]);
        assert!(
            predicted.is_null() || predicted == ticks,
            "what is predicted is what the image names: {predicted}, {ticks}"
        );
    }
}

#[test]
fn what_was_measured_before_variants_were_told_counts_for_the_usual_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let costs: Vec<Value> = serde_json::from_slice(&table(&folder)).expect("a list");
    let is_depthwise = |cost: &Value| cost["geometry"].as_str().is_some_and(|text| text.starts_with("depthwise"));
    let usual = costs.into_iter().filter(|cost| !is_depthwise(cost) || cost["variant"] == "map");
    let untold = usual.map(|mut cost| {
        cost["variant"] = Value::Null;
        cost
    });
    let daemon = random(&folder, json!(untold.collect::<Vec<_>>()).to_string().into_bytes());
    daemon.lock().start["options"]["preparation"] = json!({"variants": "usual"});
    run_to_end(&daemon);
    let campaign = daemon.lock();
    let by_map = |episode: &&Value| {
        episode["policy"]["layers"][LAYER]["variant"] == "map" && !episode["predicted_ticks"].is_null()
    };
    let by_map: Vec<&Value> = campaign.episodes.values().filter(by_map).collect();
    assert!(!by_map.is_empty());
    assert!(by_map.iter().all(|episode| episode["predicted_ticks"] == episode["candidate"]["ticks"]));
}

#[test]
fn what_has_begun_goes_on_with_its_variants_whatever_was_measured_since() {
    let folder = tempfile::tempdir().expect("a folder");
    let costs = table(&folder);
    let undisturbed = random(&folder, costs.clone());
    run_to_end(&undisturbed);
    // Before the first baseline is settled, among the baselines, and in the search.
    for requests in [6, 12, 60] {
        let daemon = random(&folder, costs.clone());
        daemon.lock().requests_left = Some(requests);
        bitrack_search::agent::run(bitrack_search::agent::Client::new(&daemon.url, "toy")).expect_err("it dies");
        assert!(!daemon.lock().episodes.is_empty(), "after {requests} requests it has begun");
        // The table is gone: whoever asked it again would pick the usual variants.
        daemon.lock().costs = b"[]".to_vec();
        assert!(run_through_deaths(&daemon, 16) > 0);
        assert_eq!(named(&daemon.lock()), named(&undisturbed.lock()), "after {requests} requests");
        if requests == 60 {
            assert_eq!(outcome(&daemon.lock()), outcome(&undisturbed.lock()));
        }
    }
}

#[test]
fn a_profile_that_dies_again_and_again_measures_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let undisturbed = profile(&folder, json!({}));
    let again = FakeDaemon::new(Campaign { episodes: Default::default(), ..undisturbed.lock().clone() });
    (again.lock().checkpoint, again.lock().limits, again.lock().finished) = (None, None, None);
    again.lock().images.clear();
    assert!(run_through_deaths(&again, 40) > 1);
    assert_eq!(named(&again.lock()), named(&undisturbed.lock()));
    assert_eq!(outcome(&again.lock()), outcome(&undisturbed.lock()));
}

#[test]
fn small_code_is_asked_for_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut campaign = campaign(&folder, "random");
    campaign.start["options"]["preparation"] = json!({"variants": "small"});
    let daemon = FakeDaemon::new(campaign);
    run_to_end(&daemon);
    let campaign = daemon.lock();
    assert!(!told(&campaign).contains(&json!("general")), "its only loops");
    let kernels = |image: &Vec<u8>| bitrack_model::kernels(image).expect("is valid");
    assert!(campaign.images.values().all(|image| !kernels(image).contains(&"depthwise-any")));
}
