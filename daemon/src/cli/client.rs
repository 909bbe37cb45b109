//! The API from the other side.

use std::io::Read;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::http::Response;

use super::exit::{self, Failure};
use crate::types::ErrorBody;

/// A measurement waits for boards; everything else answers at once.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Talks to one daemon.
pub struct Client {
    url: String,
    agent: Agent,
}

impl Client {
    /// A client of the daemon at `url`. Nothing is sent yet.
    pub fn new(url: String) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(PATIENCE));
        Self { url: url.trim_end_matches('/').to_owned(), agent: config.build().into() }
    }

    /// The daemon's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET`
    ///
    /// # Errors
    /// No daemon, or its refusal.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(self.agent.get(self.address(path)).call())
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// No daemon, or its refusal.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.json(self.agent.post(self.address(path)).send_json(body))
    }

    /// `PUT` with bytes, for which no answer is expected.
    ///
    /// # Errors
    /// No daemon, or its refusal.
    pub fn put_bytes(&self, path: &str, body: &[u8]) -> Result<(), Failure> {
        self.accept(self.agent.put(self.address(path)).send(body)).map(drop)
    }

    /// The stream of events, to be read line by line.
    ///
    /// # Errors
    /// No daemon.
    pub fn events(&self) -> Result<impl Read + Send + 'static, Failure> {
        let response = self.accept(self.agent.get(self.address("events")).call())?;
        Ok(response.into_body().into_reader())
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/{path}", self.url)
    }

    fn json<T: DeserializeOwned>(&self, result: Result<Response<ureq::Body>, ureq::Error>) -> Result<T, Failure> {
        let mut response = self.accept(result)?;
        let parsed = response.body_mut().with_config().limit(u64::MAX).read_json();
        parsed.map_err(|e| Failure::error(format!("the daemon's answer cannot be read: {e}")))
    }

    fn accept(&self, result: Result<Response<ureq::Body>, ureq::Error>) -> Result<Response<ureq::Body>, Failure> {
        let mut response = result.map_err(|e| self.no_daemon(&e))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.body_mut().read_to_string().unwrap_or_default();
        Err(match serde_json::from_str::<ErrorBody>(&text) {
            Ok(ErrorBody { error }) => {
                Failure { code: Failure::code_of(&error.kind), message: error.message, help: error.help }
            }
            Err(_) => Failure::error(format!("the daemon answered {status}: {text}")),
        })
    }

    fn no_daemon(&self, error: &ureq::Error) -> Failure {
        let message = format!("no daemon answers at {}: {error}", self.url);
        Failure { code: exit::NO_DAEMON, message, help: Some("hil daemon".into()) }
    }
}
