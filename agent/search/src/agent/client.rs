//! The daemon's API over HTTP; the only place that knows HTTP.

use super::AgentError;
use super::api::{AgentStart, Episode, ErrorBody, LayerCost, Proposal, Rack, Reward, Training};
use crate::env::Limits;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::http::Response;

/// How long the daemon may be away before the agent gives up; the daemon starts a new one when it is back.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// How long one request for a measurement waits at the daemon.
const WAIT_S: u64 = 30;
/// Largest answer accepted: a checkpoint may have 256 MiB.
const LARGEST: u64 = 300 << 20;

/// A connection to one daemon about one campaign.
#[derive(Debug)]
pub struct Client {
    http: Agent,
    daemon: String,
    campaign: String,
}

type Answer = Response<ureq::Body>;

/// What is sent along.
enum Content<'a> {
    None,
    Json(&'a [u8]),
    Bytes(&'a [u8]),
}

impl Client {
    /// `daemon` is its URL, `campaign` a name or number.
    pub fn new(daemon: &str, campaign: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(WAIT_S + 60)))
            .build();
        Self { http: config.into(), daemon: daemon.trim_end_matches('/').into(), campaign: campaign.into() }
    }

    pub(super) fn start(&self) -> Result<AgentStart, AgentError> {
        self.json("GET", &self.path("agent"), Content::None)
    }

    pub(super) fn rack(&self) -> Result<Rack, AgentError> {
        self.json("GET", "/api/rack", Content::None)
    }

    /// Another campaign as its own agent would see it.
    pub(super) fn other(&self, campaign: &str) -> Result<AgentStart, AgentError> {
        self.json("GET", &format!("/api/campaigns/{campaign}/agent"), Content::None)
    }

    pub(super) fn layer_costs(&self) -> Result<Vec<LayerCost>, AgentError> {
        self.json("GET", &self.path("layer-costs"), Content::None)
    }

    pub(super) fn put_limits(&self, limits: &Limits) -> Result<(), AgentError> {
        self.send("PUT", &self.path("limits"), limits).map(drop)
    }

    pub(super) fn put_image(&self, sha256: &str, image: &[u8]) -> Result<(), AgentError> {
        self.call("PUT", &format!("/api/images/{sha256}"), &Content::Bytes(image)).map(drop)
    }

    /// The bytes of an image that was put.
    pub(super) fn image(&self, sha256: &str) -> Result<Vec<u8>, AgentError> {
        self.bytes(&format!("/api/images/{sha256}"))
    }

    pub(super) fn propose(&self, proposal: &Proposal) -> Result<Episode, AgentError> {
        self.send("POST", &self.path("episodes"), proposal).and_then(|answer| self.parse("POST episodes", answer))
    }

    pub(super) fn measure(&self, index: u32) -> Result<Episode, AgentError> {
        self.json("POST", &self.path(&format!("episodes/{index}/measure")), Content::None)
    }

    /// Waits at the daemon for a while; the episode may still be measuring.
    pub(super) fn wait(&self, index: u32) -> Result<Episode, AgentError> {
        self.json("GET", &self.path(&format!("episodes/{index}?wait={WAIT_S}")), Content::None)
    }

    pub(super) fn reward(&self, index: u32, reward: &Reward) -> Result<(), AgentError> {
        self.send("POST", &self.path(&format!("episodes/{index}/reward")), reward).map(drop)
    }

    pub(super) fn put_checkpoint(&self, episode: u32, bytes: &[u8]) -> Result<(), AgentError> {
        let path = self.path(&format!("checkpoint?episode={episode}"));
        self.call("PUT", &path, &Content::Bytes(bytes)).map(drop)
    }

    pub(super) fn checkpoint(&self) -> Result<Vec<u8>, AgentError> {
        self.bytes(&self.path("checkpoint"))
    }

    /// How far the training of a candidate is.
    pub(super) fn put_training(&self, index: u32, training: &Training) -> Result<(), AgentError> {
        self.send("PUT", &self.path(&format!("episodes/{index}/training")), training).map(drop)
    }

    /// What that training would go on from.
    pub(super) fn put_training_checkpoint(&self, index: u32, bytes: &[u8]) -> Result<(), AgentError> {
        let path = self.path(&format!("episodes/{index}/training/checkpoint"));
        self.call("PUT", &path, &Content::Bytes(bytes)).map(drop)
    }

    pub(super) fn training_checkpoint(&self, index: u32) -> Result<Vec<u8>, AgentError> {
        self.bytes(&self.path(&format!("episodes/{index}/training/checkpoint")))
    }

    pub(super) fn finish(&self, reason: &str) -> Result<(), AgentError> {
        self.send("POST", &self.path("finish"), &serde_json::json!({ "reason": reason })).map(drop)
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>, AgentError> {
        let mut answer = self.call("GET", path, &Content::None)?;
        let read = answer.body_mut().with_config().limit(LARGEST).read_to_vec();
        read.map_err(|error| no_answer("GET", path, &error.to_string()))
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/campaigns/{}/{rest}", self.campaign)
    }

    fn send(&self, method: &str, path: &str, body: &impl Serialize) -> Result<Answer, AgentError> {
        let body = serde_json::to_vec(body).map_err(|error| no_answer(method, path, &error.to_string()))?;
        self.call(method, path, &Content::Json(&body))
    }

    fn json<T: DeserializeOwned>(&self, method: &str, path: &str, content: Content) -> Result<T, AgentError> {
        let answer = self.call(method, path, &content)?;
        self.parse(&format!("{method} {path}"), answer)
    }

    fn parse<T: DeserializeOwned>(&self, request: &str, mut answer: Answer) -> Result<T, AgentError> {
        let wrong = |reason: String| AgentError::Daemon { request: request.into(), reason };
        let body = answer.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(|e| wrong(e.to_string()))?;
        serde_json::from_slice(&body).map_err(|error| wrong(format!("the answer is not what it should be: {error}")))
    }

    /// Repeats a request while the daemon is away or cannot write; every request may be repeated safely.
    fn call(&self, method: &str, path: &str, content: &Content) -> Result<Answer, AgentError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let error = match self.once(method, path, content) {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) => refusal(method, path, answer),
                Err(error) => no_answer(method, path, &error.to_string()),
            };
            let passing = matches!(&error, AgentError::Daemon { .. } | AgentError::Refused { status: 503, .. });
            if !passing || Instant::now() >= deadline {
                return Err(error);
            }
            tracing::warn!("{error}; trying again");
            std::thread::sleep(PAUSE);
        }
    }

    fn once(&self, method: &str, path: &str, content: &Content) -> Result<Answer, ureq::Error> {
        let url = format!("{}{path}", self.daemon);
        let request = ureq::http::Request::builder().method(method).uri(url);
        match content {
            Content::None => self.http.run(request.body(())?),
            Content::Json(body) => self.http.run(request.header("content-type", "application/json").body(*body)?),
            Content::Bytes(body) => {
                self.http.run(request.header("content-type", "application/octet-stream").body(*body)?)
            }
        }
    }
}

fn no_answer(method: &str, path: &str, reason: &str) -> AgentError {
    AgentError::Daemon { request: format!("{method} {path}"), reason: reason.into() }
}

fn refusal(method: &str, path: &str, mut answer: Answer) -> AgentError {
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    let (kind, message) = match serde_json::from_str::<ErrorBody>(&text) {
        Ok(body) => (body.error.kind, body.error.message),
        Err(_) => (format!("status {status}"), text),
    };
    AgentError::Refused { request: format!("{method} {path}"), status, kind, message }
}
