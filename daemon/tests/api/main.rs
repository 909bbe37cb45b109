//! The daemon's API with a rack whose emulator is missing: everything but a board. What an agent and the page rely on.

mod agents;
mod daemon;

use daemon::{Daemon, blocking, proposal, refused};
use hil::rack::{canary_image, sha256};
use hil::types::{Event, FailureClass};
use serde_json::{Value, json};

#[tokio::test]
async fn a_campaign_from_start_to_finish_as_its_agent_sees_it() {
    let daemon = Daemon::start().await;
    let (status, campaign) = daemon.post("campaigns/kws/start", json!({ "seed": 7 })).await;
    assert_eq!((status, campaign["state"].as_str(), campaign["seed"].as_u64()), (200, Some("waiting"), Some(7)));
    assert_eq!(daemon.post("campaigns/kws/start", json!({})).await.0, 200, "starting twice is one campaign");

    let (_, start) = daemon.get("campaigns/kws/agent").await;
    assert_eq!(
        start["limits_asked"],
        json!({ "flash": { "percent": 60.0 }, "ram": { "bytes": 20480 }, "latency": null })
    );
    assert_eq!((&start["limits"], &start["options"]), (&Value::Null, &json!({ "epochs": 2 })));
    assert_eq!(start["board_types"][0]["slot_bytes"], 1 << 20);

    let limits = br#"{"flash_bytes": 900, "ram_bytes": 20480, "latency_ticks": null}"#;
    assert_eq!(daemon.put("campaigns/kws/limits", limits).await.0, 200);
    assert_eq!(daemon.put("campaigns/kws/limits", limits).await.0, 200);
    refused(&daemon.put("campaigns/kws/limits", br#"{"flash_bytes": 1}"#).await, 409, "conflict");

    assert_eq!(daemon.post("campaigns/kws/episodes", proposal(0, "a")).await.0, 201);
    let (status, episode) = daemon.post("campaigns/kws/episodes", proposal(0, "a")).await;
    assert_eq!((status, episode["candidate"]["state"].as_str()), (200, Some("infeasible")));
    refused(&daemon.post("campaigns/kws/episodes", proposal(0, "b")).await, 409, "conflict");
    assert_eq!(daemon.post("campaigns/kws/episodes/0/reward", json!({ "reward": -1.0 })).await.0, 200);
    refused(&daemon.post("campaigns/kws/episodes/0/reward", json!({ "reward": 1.0 })).await, 409, "conflict");

    refused(&daemon.get("campaigns/kws/checkpoint").await, 404, "not_found");
    assert_eq!(daemon.put("campaigns/kws/checkpoint?episode=0", b"\x00weights").await.0, 204);
    let (_, start) = daemon.get("campaigns/kws/agent").await;
    assert_eq!((&start["checkpoint"]["bytes"], &start["next_index"]), (&json!(8), &json!(1)));
    assert_eq!(start["episodes"][0]["candidate"]["reward"], -1.0);

    let (_, detail) = daemon.get("candidates/1").await;
    assert_eq!((&detail["layers"][0]["weight_bits"], &detail["wall"]["accuracy_ms"]), (&json!(4), &json!(5.0)));
    let (_, finished) = daemon.post("campaigns/kws/finish", json!({ "reason": "enough" })).await;
    assert_eq!((&finished["state"], &finished["reason"]), (&json!("finished"), &json!("enough")));
    refused(&daemon.post("campaigns/kws/start", json!({})).await, 409, "conflict");
    assert_eq!(daemon.post("campaigns/kws/start", json!({ "as": "kws-2" })).await.0, 200);
}

#[tokio::test]
async fn a_training_is_told_and_its_checkpoint_kept_until_the_episode_is_proposed() {
    let daemon = Daemon::start().await;
    let mut events = daemon.events.subscribe();
    daemon.post("campaigns/kws/start", json!({})).await;
    // Its task has looked at the window, and says so: from here on only we change what it trains.
    while !matches!(events.recv().await, Ok(Event::Campaign(c)) if c.reason.is_some()) {}

    let told = json!({ "label": "finalist of episode 3", "step": 40, "steps": 100, "share": 0.4, "loss": 0.5, "remaining_s": 9.0 });
    assert_eq!(daemon.put("campaigns/kws/episodes/0/training", told.to_string().as_bytes()).await.0, 204);
    let (_, campaign) = daemon.get("campaigns/kws").await;
    assert_eq!(
        (&campaign["training"]["episode"], &campaign["training"]["step"]),
        (&json!(0), &json!(40)),
        "{campaign}"
    );
    refused(&daemon.put("campaigns/kws/episodes/0/training", b"{}").await, 400, "invalid");

    let checkpoint = "campaigns/kws/episodes/0/training/checkpoint";
    refused(&daemon.get(checkpoint).await, 404, "not_found");
    assert_eq!(daemon.put(checkpoint, b"weights").await.0, 204);
    assert_eq!(daemon.put(checkpoint, b"more").await.0, 204);
    assert_eq!(daemon.get(checkpoint).await, (200, json!("more")));
    refused(&daemon.get("campaigns/kws/episodes/1/training/checkpoint").await, 404, "not_found");
    let (_, start) = daemon.get("campaigns/kws/agent").await;
    assert_eq!((&start["training"]["episode"], &start["training"]["bytes"]), (&json!(0), &json!(4)));

    assert_eq!(daemon.post("campaigns/kws/episodes", proposal(0, "a")).await.0, 201);
    assert_eq!(daemon.get("campaigns/kws").await.1["training"], Value::Null);
    assert_eq!(daemon.get("campaigns/kws/agent").await.1["training"], Value::Null);
    refused(&daemon.put(checkpoint, b"late").await, 409, "conflict");
    refused(&daemon.put("campaigns/kws/episodes/0/training", told.to_string().as_bytes()).await, 409, "conflict");
}

#[tokio::test]
async fn an_image_is_given_back_as_it_was_put_or_not_at_all() {
    let daemon = Daemon::start().await;
    let image = canary_image();
    let name = sha256(&image);
    let path = format!("images/{name}");
    refused(&daemon.get(&path).await, 404, "not_found");
    assert_eq!(daemon.put(&path, &image).await.0, 201);
    let (http, url) = (daemon.http.clone(), format!("{}/api/{path}", daemon.url));
    let read = move || http.get(url).call().expect("answered").body_mut().read_to_vec().expect("bytes");
    assert_eq!(tokio::task::spawn_blocking(read).await.expect("no panic"), image);
    let file = daemon.folder.path().join(format!(".bitrack/cache/images/{name}.img"));
    std::fs::write(&file, b"damaged").expect("there");
    refused(&daemon.get(&path).await, 502, "rig");
    std::fs::remove_file(&file).expect("there");
    refused(&daemon.get(&path).await, 404, "not_found");
}

#[tokio::test]
async fn a_campaign_may_be_started_otherwise_and_from_another() {
    let daemon = Daemon::start().await;
    let profile = json!({ "as": "kws-profile", "strategy": "profile", "unlimited": true, "budget": 9 });
    let (status, profile) = daemon.post("campaigns/kws/start", profile).await;
    assert_eq!((status, &profile["strategy"], &profile["budget"]), (200, &json!("profile"), &json!(9)));
    let none = json!({ "flash_bytes": null, "ram_bytes": null, "latency_ticks": null });
    assert_eq!((&profile["limits"], &profile["section"]), (&none, &json!("kws")));
    assert_eq!(daemon.get("campaigns/kws-profile/layer-costs").await, (200, json!([])));

    daemon.post("campaigns/kws/start", json!({})).await;
    daemon.put("campaigns/kws/limits", br#"{"flash_bytes": 900, "ram_bytes": 20480, "latency_ticks": null}"#).await;
    let mut options = json!({ "as": "more", "from": "kws", "strategy": "finalists" });
    options["options"] = json!({ "epochs": null, "fine-tune": { "steps": 9 } });
    let (status, more) = daemon.post("campaigns/kws/start", options).await;
    assert_eq!((status, &more["origin"], &more["limits"]["flash_bytes"]), (200, &json!("kws"), &json!(900)));
    let (_, start) = daemon.get("campaigns/more/agent").await;
    assert_eq!((&start["origin"], &start["options"]), (&json!("kws"), &json!({ "fine-tune": { "steps": 9 } })));

    let (status, comparison) = daemon.get("compare?campaigns=kws,more").await;
    assert_eq!((status, comparison["strategies"].as_array().map(Vec::len)), (200, Some(2)), "{comparison}");
    daemon.post("campaigns/other/start", json!({})).await;
    refused(&daemon.get("compare?campaigns=kws,other").await, 400, "invalid");
    refused(&daemon.get("compare?campaigns=nobody").await, 404, "not_found");
    refused(&daemon.get("compare?campaigns=").await, 400, "invalid");

    let from_nobody = json!({ "as": "x", "from": "nobody" });
    refused(&daemon.post("campaigns/kws/start", from_nobody).await, 404, "not_found");
    refused(&daemon.post("campaigns/other/start", json!({ "as": "x", "from": "kws" })).await, 400, "invalid");
    refused(&daemon.post("campaigns/kws/start", json!({ "as": "x", "budget": 0 })).await, 400, "invalid");
    refused(&daemon.post("campaigns/kws/start", json!({ "as": "x", "options": 3 })).await, 400, "invalid");
}

#[tokio::test]
async fn nonsense_is_refused_in_words() {
    let daemon = Daemon::start().await;
    daemon.post("campaigns/kws/start", json!({})).await;
    refused(&daemon.get("campaigns/nobody").await, 404, "not_found");
    refused(&daemon.get("candidates/99").await, 404, "not_found");
    refused(&daemon.get("candidates/x").await, 400, "invalid");
    refused(&daemon.get("campaigns/kws/candidates?before=3").await, 400, "invalid");
    refused(&daemon.get("no/such/route").await, 404, "not_found");
    refused(&daemon.post("campaigns/nobody/start", json!({})).await, 404, "not_found");
    refused(&daemon.post("campaigns/kws/start", json!({ "budgets": 3 })).await, 400, "invalid");
    refused(&daemon.post("campaigns/kws/episodes", json!({ "index": 0 })).await, 400, "invalid");
    let mut three_bits = proposal(0, "a");
    three_bits["policy"]["layers"][0]["weight_bits"] = json!(3);
    refused(&daemon.post("campaigns/kws/episodes", three_bits).await, 400, "invalid");
    let mut too_large = proposal(0, "a");
    too_large["flash_bytes"] = json!(u64::MAX);
    refused(&daemon.post("campaigns/kws/episodes", too_large).await, 400, "invalid");
    let mut no_accuracy = proposal(0, "a");
    no_accuracy["accuracy"] = json!(1.5);
    refused(&daemon.post("campaigns/kws/episodes", no_accuracy).await, 400, "invalid");
    let mut image_unknown = proposal(0, "a");
    image_unknown["image_sha256"] = json!("00");
    refused(&daemon.post("campaigns/kws/episodes", image_unknown).await, 400, "invalid");
    refused(&daemon.post("campaigns/kws/episodes/7/measure", json!(null)).await, 404, "not_found");
    refused(&daemon.post("boards/v9/recover", json!(null)).await, 404, "not_found");
    refused(&daemon.post("measure", json!({ "image_sha256": "00" })).await, 404, "not_found");
    refused(&daemon.put(&format!("images/{}", sha256(b"x")), b"x").await, 400, "invalid");
    refused(&daemon.put("images/00", b"x").await, 400, "invalid");
}

#[tokio::test]
async fn a_foreign_web_page_can_look_and_change_nothing() {
    let daemon = Daemon::start().await;
    let (http, url) = (daemon.http.clone(), daemon.url.clone());
    let post = move |origin: String| {
        let (http, url) = (http.clone(), format!("{url}/api/boards/v1/recover"));
        blocking(move || http.post(url).header("Origin", origin).send_empty())
    };
    assert_eq!(post("http://127.0.0.1:9".into()).await.0, 403);
    assert_eq!(post("null".into()).await.0, 403);
    assert_eq!(post(daemon.url.clone()).await.0, 202);
}

#[tokio::test]
async fn the_page_is_served_and_events_begin_with_the_rack() {
    use std::io::Read;
    let daemon = Daemon::start().await;
    let (http, url) = (daemon.http.clone(), daemon.url.clone());
    let read = move || {
        let mut page = http.get(&url).call().expect("the page");
        assert!(page.body_mut().read_to_string().expect("text").contains("<title>"));
        let mut events = http.get(format!("{url}/api/events")).call().expect("events").into_body().into_reader();
        let mut start = [0; 12];
        events.read_exact(&mut start).expect("an event at once");
        String::from_utf8_lossy(&start).into_owned()
    };
    assert_eq!(tokio::task::spawn_blocking(read).await.expect("no panic"), "event: hello");
}

/// The runner is missing here, so the board is quarantined after three tries; a measurement asked for directly says so.
#[tokio::test]
async fn without_a_usable_board_a_measurement_is_the_rigs_failure() {
    let daemon = Daemon::start().await;
    let image = canary_image();
    let name = sha256(&image);
    assert_eq!(daemon.put(&format!("images/{name}"), &image).await.0, 201);
    assert_eq!(daemon.put(&format!("images/{name}"), &image).await.0, 200);
    let answer = daemon.post("measure", json!({ "image_sha256": name })).await;
    refused(&answer, 502, "rig");
    assert!(answer.1["error"]["message"].as_str().is_some_and(|m| m.contains("v1")), "{answer:?}");
    let (_, rack) = daemon.get("rack").await;
    assert_eq!(rack["boards"][0]["state"], "quarantined");
    let why = rack["boards"][0]["last_failure"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("cargo xtask firmware"), "{why}");
    let failures = daemon.store.read(|db| db.board_failure("v1")).await.expect("read").expect("kept");
    assert_eq!(failures.class, FailureClass::Rig);
}
