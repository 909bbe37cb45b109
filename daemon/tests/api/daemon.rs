//! A daemon in the test's own process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hil::api::{self, App};
use hil::campaign::{AgentPlan, Campaigns};
use hil::config::Config;
use hil::images::Images;
use hil::measuring::Measuring;
use hil::rack::Rack;
use hil::store::{Store, now};
use hil::types::Event;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast;

pub const CONFIG: &str = r#"
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
pub struct Daemon {
    pub folder: TempDir,
    pub url: String,
    pub http: ureq::Agent,
    pub store: Arc<Store>,
    pub events: broadcast::Sender<Event>,
}

/// Status and body.
pub type Answer = (u16, Value);

impl Daemon {
    pub async fn start() -> Self {
        Self::start_with(CONFIG, None).await
    }

    pub async fn start_with(config: &str, agent: Option<PathBuf>) -> Self {
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
        Self { folder, url, http, store, events }
    }

    pub async fn get(&self, path: &str) -> Answer {
        let (http, url) = (self.http.clone(), format!("{}/api/{path}", self.url));
        blocking(move || http.get(url).call()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let (http, url) = (self.http.clone(), format!("{}/api/{path}", self.url));
        blocking(move || http.post(url).send_json(body)).await
    }

    pub async fn put(&self, path: &str, body: &[u8]) -> Answer {
        let (http, url, body) = (self.http.clone(), format!("{}/api/{path}", self.url), body.to_owned());
        blocking(move || http.put(url).content_type("application/json").send(&body)).await
    }
}

pub async fn blocking(
    call: impl FnOnce() -> Result<ureq::http::Response<ureq::Body>, ureq::Error> + Send + 'static,
) -> Answer {
    let call = move || {
        let mut response = call().expect("the daemon answers");
        let text = response.body_mut().read_to_string().expect("text");
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    };
    tokio::task::spawn_blocking(call).await.expect("no panic")
}

pub fn proposal(index: u32, key: &str) -> Value {
    json!({
        "index": index, "client_key": key, "strategy": "ddpg", "flash_bytes": 1000, "ram_bytes": 500, "accuracy": 0.9,
        "policy": { "layers": [{ "name": "c1", "kind": "conv2d", "weight_bits": 4, "input_bits": 8, "output_bits": 4 }] },
        "infeasible": "too large", "wall": { "accuracy_ms": 5.0 },
    })
}

#[track_caller]
pub fn refused(answer: &Answer, status: u16, kind: &str) {
    assert_eq!((answer.0, answer.1["error"]["kind"].as_str()), (status, Some(kind)), "{answer:?}");
    assert!(answer.1["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{answer:?}");
}
