//! The daemon's API with a rack whose emulator is missing: everything but a board. What an agent and the page rely on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hil::api::{self, App};
use hil::campaign::{AgentPlan, Campaigns};
use hil::config::Config;
use hil::images::Images;
use hil::measuring::Measuring;
use hil::rack::{Rack, canary_image, sha256};
use hil::store::{Store, now};
use hil::types::{CampaignState, Event, FailureClass};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast;

const CONFIG: &str = r#"
[[board]]
name = "v1"
type = "mps2-an386"
virtual = true

[campaign.kws]
model = "model.tflite"
data = "fashion-mnist"
budget = 5
board-types = ["mps2-an386"]
limits = { flash = "60%", ram = "20 KiB" }
# Closed for all but a minute a week: no agent gets in the way.
window = "03:00-03:01"
days = "sun"
agent = { epochs = 2 }

[campaign.other]
model = "other.tflite"
data = "fashion-mnist"
budget = 5
board-types = ["mps2-an386"]
window = "03:00-03:01"
days = "sun"
"#;

/// A daemon in this process, on a port of its own.
struct Daemon {
    _folder: TempDir,
    url: String,
    http: ureq::Agent,
    store: Arc<Store>,
    events: broadcast::Sender<Event>,
}

/// Status and body.
type Answer = (u16, Value);

impl Daemon {
    async fn start() -> Self {
        Self::start_with(CONFIG, None).await
    }

    async fn start_with(config: &str, agent: Option<PathBuf>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = Config::parse(config, &folder.path().join("hil.toml")).expect("valid");
        let store = Arc::new(Store::open(&config.daemon.database).expect("a store"));
        let (events, _) = broadcast::channel(64);
        let rack = Rack::start(&config, store.clone(), events.clone()).await.expect("a rack");
        let images = Images::new(&config.daemon.cache);
        let measuring =
            Measuring { rack: rack.clone(), store: store.clone(), images: images.clone(), events: events.clone() };
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let agents = AgentPlan { url: url.clone(), program: agent, first_pause: Duration::from_millis(10) };
        let campaigns = Campaigns::new(Arc::new(config), store.clone(), measuring.clone(), events.clone(), agents);
        let app =
            App { store: store.clone(), rack, campaigns, measuring, images, events: events.clone(), started_at: now() };
        tokio::spawn(axum::serve(listener, api::router(Arc::new(app))).into_future());
        let http = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { _folder: folder, url, http, store, events }
    }

    async fn get(&self, path: &str) -> Answer {
        let (http, url) = (self.http.clone(), format!("{}/api/{path}", self.url));
        blocking(move || http.get(url).call()).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let (http, url) = (self.http.clone(), format!("{}/api/{path}", self.url));
        blocking(move || http.post(url).send_json(body)).await
    }

    async fn put(&self, path: &str, body: &[u8]) -> Answer {
        let (http, url, body) = (self.http.clone(), format!("{}/api/{path}", self.url), body.to_owned());
        blocking(move || http.put(url).content_type("application/json").send(&body)).await
    }
}

async fn blocking(
    call: impl FnOnce() -> Result<ureq::http::Response<ureq::Body>, ureq::Error> + Send + 'static,
) -> Answer {
    let call = move || {
        let mut response = call().expect("the daemon answers");
        let text = response.body_mut().read_to_string().expect("text");
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    };
    tokio::task::spawn_blocking(call).await.expect("no panic")
}

fn proposal(index: u32, key: &str) -> Value {
    json!({
        "index": index, "client_key": key, "strategy": "ddpg", "flash_bytes": 1000, "ram_bytes": 500, "accuracy": 0.9,
        "policy": { "layers": [{ "name": "c1", "kind": "conv2d", "weight_bits": 4, "input_bits": 8, "output_bits": 4 }] },
        "infeasible": "too large", "wall": { "accuracy_ms": 5.0 },
    })
}

#[track_caller]
fn refused(answer: &Answer, status: u16, kind: &str) {
    assert_eq!((answer.0, answer.1["error"]["kind"].as_str()), (status, Some(kind)), "{answer:?}");
    assert!(answer.1["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{answer:?}");
}

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

/// Waits until the campaign has failed, and gives why.
async fn failure(mut events: broadcast::Receiver<Event>) -> String {
    let failed = async {
        loop {
            if let Ok(Event::Campaign(campaign)) = events.recv().await
                && campaign.state == CampaignState::Failed
            {
                return campaign.reason.unwrap_or_default();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), failed).await.expect("it gives up")
}

fn always_open() -> String {
    CONFIG.replace("window = \"03:00-03:01\"", "").replace("days = \"sun\"", "")
}

fn script(folder: &TempDir, text: &str) -> PathBuf {
    let agent = folder.path().join("agent");
    std::fs::write(&agent, format!("#!/bin/sh\n{text}\n")).expect("written");
    std::fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    agent
}

#[tokio::test]
async fn what_no_other_start_can_mend_fails_at_once_and_in_words() {
    let folder = TempDir::new().expect("a folder");
    let starts = folder.path().join("starts");
    let why = "the limits cannot be met even with 2 bits everywhere: flash needs at least 9 bytes but the limit is 1";
    let text = format!("echo x >> {}\necho 'error: {why}' >&2\nexit 3", starts.display());
    let daemon = Daemon::start_with(&always_open(), Some(script(&folder, &text))).await;
    let events = daemon.events.subscribe();
    daemon.post("campaigns/kws/start", json!({})).await;
    let reason = failure(events).await;
    assert!(reason.starts_with(why), "{reason}");
    assert_eq!(std::fs::read_to_string(starts).expect("started"), "x\n", "once");
    let (_, campaign) = daemon.get("campaigns/kws").await;
    assert_eq!((&campaign["state"], &campaign["reason"]), (&json!("failed"), &json!(reason)));
}

/// The loader's own words reach the campaign's row: here for a library that is linked, and then taken away.
#[tokio::test]
async fn an_agent_without_its_libraries_says_which() {
    let folder = TempDir::new().expect("a folder");
    let (source, library, agent) =
        (folder.path().join("a.c"), folder.path().join("libtorch_cpu.so"), folder.path().join("agent"));
    let cc = |args: &[&std::ffi::OsStr]| {
        assert!(std::process::Command::new("cc").args(args).status().expect("cc").success())
    };
    std::fs::write(&source, "int torch(void) { return 0; }").expect("written");
    cc(&["-shared".as_ref(), "-o".as_ref(), library.as_ref(), source.as_ref()]);
    std::fs::write(&source, "int torch(void); int main(void) { return torch(); }").expect("written");
    cc(&["-o".as_ref(), agent.as_ref(), source.as_ref(), library.as_ref()]);
    std::fs::remove_file(&library).expect("there");
    let daemon = Daemon::start_with(&always_open(), Some(agent)).await;
    let events = daemon.events.subscribe();
    daemon.post("campaigns/kws/start", json!({})).await;
    let reason = failure(events).await;
    assert!(reason.starts_with("the agent cannot start: ") && reason.contains("libtorch_cpu.so"), "{reason}");
    assert!(reason.contains("hil doctor"), "{reason}");
}

/// The agent dies at once, each time: the campaign is not restarted for ever, and says why it failed.
#[tokio::test]
async fn a_campaign_whose_agent_only_dies_fails_with_its_last_words() {
    let folder = TempDir::new().expect("a folder");
    let agent = script(&folder, "echo the model is unreadable >&2\nexit 5");
    let daemon = Daemon::start_with(&always_open(), Some(agent)).await;
    let events = daemon.events.subscribe();
    daemon.post("campaigns/kws/start", json!({})).await;
    let reason = failure(events).await;
    assert!(reason.contains("the model is unreadable") && reason.contains("exit status: 5"), "{reason}");
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
