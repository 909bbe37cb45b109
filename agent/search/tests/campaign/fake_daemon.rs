//! A daemon of the API only: no boards, no database; ticks are a function of the bits. It can drop dead at any request.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What the daemon would have in its database.
#[derive(Debug, Default, Clone)]
pub struct Campaign {
    pub start: Value,
    pub limits: Option<Value>,
    pub episodes: BTreeMap<u64, Value>,
    pub checkpoint: Option<Vec<u8>>,
    /// By SHA-256.
    pub images: BTreeMap<String, Vec<u8>>,
    /// The training that was not proposed yet, and its checkpoint.
    pub training: Option<(u64, Vec<u8>)>,
    /// The episode's index of every training checkpoint that arrived.
    pub kept: Vec<u64>,
    /// Every word about a training: the episode's index, and how far it is.
    pub told: Vec<(u64, Value)>,
    pub finished: Option<String>,
    /// Requests answered before everything is refused; the agent that meets this ends, as if it were killed.
    pub requests_left: Option<u32>,
    /// Episodes whose measurement fails by the rig's fault, and those that turn out not to run.
    pub failing: Vec<u64>,
    pub unfit: Vec<u64>,
    /// Boards tell what an inference takes, and not what its layers do.
    pub layerless: bool,
    /// What the daemon knows of layers' costs from other campaigns; by default, what this one measured.
    pub costs: Vec<u8>,
    /// Answer to a question about any other campaign.
    pub other: Option<Vec<u8>>,
}

/// The listening daemon.
pub struct FakeDaemon {
    pub url: String,
    pub campaign: Arc<Mutex<Campaign>>,
}

impl FakeDaemon {
    pub fn new(campaign: Campaign) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let campaign = Arc::new(Mutex::new(campaign));
        let shared = campaign.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let campaign = shared.clone();
                std::thread::spawn(move || serve(stream, &campaign));
            }
        });
        Self { url, campaign }
    }

    pub fn lock(&self) -> std::sync::MutexGuard<'_, Campaign> {
        self.campaign.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests of one connection, until the agent closes it.
fn serve(mut stream: TcpStream, campaign: &Mutex<Campaign>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    while let Some((method, path, body)) = read_request(&mut reader) {
        let (status, answer) = campaign.lock().unwrap_or_else(PoisonError::into_inner).answer(&method, &path, &body);
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", answer.len());
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&answer)).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&n| n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body))
}

impl Campaign {
    fn answer(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        if let Some(left) = &mut self.requests_left {
            if *left == 0 {
                return (500, error("dead"));
            }
            *left -= 1;
        }
        let path = path.split('?').next().unwrap_or(path);
        if path == "/api/rack" {
            let board = json!({"board_type": "toy"});
            return (200, json!({"boards": [board, board]}).to_string().into_bytes());
        }
        if let Some(sha256) = path.strip_prefix("/api/images/") {
            if method == "GET" {
                return self
                    .images
                    .get(sha256)
                    .map_or_else(|| (404, error("no such image")), |image| (200, image.clone()));
            }
            self.images.insert(sha256.into(), body.to_vec());
            return (201, b"{}".to_vec());
        }
        if let Some(other) = self.other.clone().filter(|_| path == "/api/campaigns/first/agent") {
            return (200, other);
        }
        let rest = path.strip_prefix("/api/campaigns/toy/").unwrap_or(path);
        let parts: Vec<&str> = rest.split('/').collect();
        let json = || serde_json::from_slice::<Value>(body).unwrap_or(Value::Null);
        match (method, parts.as_slice()) {
            ("GET", ["agent"]) => (200, self.agent_start()),
            ("GET", ["layer-costs"]) => (
                200,
                match (self.layerless, self.costs.is_empty()) {
                    (true, _) => b"[]".to_vec(),
                    (false, true) => self.layer_costs(),
                    (false, false) => self.costs.clone(),
                },
            ),
            ("PUT", ["limits"]) => {
                self.limits = Some(json());
                (200, b"{}".to_vec())
            }
            ("POST", ["episodes"]) => self.propose(json()),
            ("PUT", ["episodes", n, "training"]) => {
                self.told.push((n.parse().expect("an index"), json()));
                (204, Vec::new())
            }
            ("PUT", ["episodes", n, "training", "checkpoint"]) => {
                let index = n.parse().expect("an index");
                self.kept.push(index);
                self.training = Some((index, body.to_vec()));
                (204, Vec::new())
            }
            ("GET", ["episodes", n, "training", "checkpoint"]) => {
                let (index, bytes) = self.training.clone().expect("saved before");
                assert_eq!(n.parse(), Ok(index));
                (200, bytes)
            }
            ("POST", ["episodes", n, "measure"]) => self.measure(n.parse().expect("an index")),
            ("GET", ["episodes", n]) => (200, self.episodes[&n.parse().expect("an index")].to_string().into_bytes()),
            ("POST", ["episodes", n, "reward"]) => self.reward(n.parse().expect("an index"), &json()),
            ("PUT", ["checkpoint"]) => {
                self.checkpoint = Some(body.to_vec());
                (204, Vec::new())
            }
            ("GET", ["checkpoint"]) => (200, self.checkpoint.clone().expect("saved before")),
            ("POST", ["finish"]) => {
                self.finished = json()["reason"].as_str().map(Into::into);
                (200, b"{}".to_vec())
            }
            _ => (404, error(&format!("{method} {path}"))),
        }
    }

    pub fn agent_start(&self) -> Vec<u8> {
        let mut start = self.start.clone();
        start["limits"] = self.limits.clone().unwrap_or(Value::Null);
        start["episodes"] = self.episodes.values().cloned().collect();
        start["checkpoint"] = self.checkpoint.as_ref().map_or(Value::Null, |bytes| json!({"bytes": bytes.len()}));
        start["training"] = self.training.as_ref().map_or(Value::Null, |(index, _)| json!({"episode": index}));
        start.to_string().into_bytes()
    }

    /// What every measured layer took, as the daemon keeps it.
    pub fn layer_costs(&self) -> Vec<u8> {
        let measured = self.episodes.values().filter(|episode| !episode["measurement"].is_null());
        let layers = measured.flat_map(|episode| episode["policy"]["layers"].as_array().expect("layers"));
        let cost = |layer: &Value| {
            json!({
                "board_type": "toy", "geometry": layer["geometry"], "variant": layer["variant"], "weight_bits": layer["weight_bits"],
                "input_bits": layer["input_bits"], "output_bits": layer["output_bits"], "samples": 1, "ticks": ticks(layer),
            })
        };
        json!(layers.map(cost).collect::<Vec<_>>()).to_string().into_bytes()
    }

    fn propose(&mut self, proposal: Value) -> (u16, Vec<u8>) {
        let index = proposal["index"].as_u64().expect("an index");
        if let Some(known) = self.episodes.get(&index) {
            let same = known["client_key"] == proposal["client_key"];
            return if same { (200, known.to_string().into_bytes()) } else { (409, error("another key")) };
        }
        if let Some(sha256) = proposal["image_sha256"].as_str() {
            assert!(self.images.contains_key(sha256), "the image must be put first");
        }
        let state = if proposal["infeasible"].is_null() { "proposed" } else { "infeasible" };
        let row = json!({
            "index": index, "label": proposal["label"], "state": state, "reason": proposal["infeasible"],
            "accuracy": proposal["accuracy"], "ticks": null, "flash_bytes": proposal["flash_bytes"],
            "ram_bytes": proposal["ram_bytes"], "reward": null, "feasible": null,
            "image_sha256": proposal["image_sha256"],
        });
        let episode = json!({
            "candidate": row, "client_key": proposal["client_key"], "steps": proposal["steps"], "measurement": null,
            "failure": null, "policy": proposal["policy"], "predicted_ticks": proposal["predicted_ticks"],
        });
        self.episodes.insert(index, episode.clone());
        self.training = self.training.take().filter(|(trained, _)| *trained != index);
        (201, episode.to_string().into_bytes())
    }

    /// Ticks grow with every bit.
    fn measure(&mut self, index: u64) -> (u16, Vec<u8>) {
        let (failing, unfit) = (self.failing.contains(&index), self.unfit.contains(&index));
        let limits = self.limits.clone().unwrap_or_default();
        let episode = self.episodes.get_mut(&index).expect("proposed before");
        if episode["candidate"]["state"] == "proposed" {
            let layers: Vec<u64> = episode["policy"]["layers"].as_array().expect("layers").iter().map(ticks).collect();
            let ticks = 1000 + layers.iter().sum::<u64>();
            let told = layers.iter().filter(|_| !self.layerless);
            let layers: Vec<Value> = told.map(|ticks| json!({"ticks": ticks})).collect();
            let measurement = json!({"ticks": {"median": ticks}, "board_type": "toy", "layers": layers});
            let row = &mut episode["candidate"];
            let within = |what: &str, of: &Value| limits[what].as_u64().is_none_or(|limit| of.as_u64() <= Some(limit));
            let fits = within("flash_bytes", &row["flash_bytes"]) && within("ram_bytes", &row["ram_bytes"]);
            let feasible = fits && within("latency_ticks", &ticks.into());
            match (failing, unfit) {
                (true, _) => (row["state"], row["reason"]) = ("failed".into(), "the cable is out".into()),
                (_, true) => (row["state"], row["reason"]) = ("infeasible".into(), "its outputs are wrong".into()),
                (false, false) => {
                    row["state"] = "measured".into();
                    row["ticks"] = ticks.into();
                    row["feasible"] = feasible.into();
                    episode["measurement"] = measurement;
                }
            }
        }
        (202, episode.to_string().into_bytes())
    }

    fn reward(&mut self, index: u64, body: &Value) -> (u16, Vec<u8>) {
        let row = &mut self.episodes.get_mut(&index).expect("proposed before")["candidate"];
        if !row["reward"].is_null() && row["reward"] != body["reward"] {
            return (409, error("another reward"));
        }
        row["reward"] = body["reward"].clone();
        if row["state"] == "measured" {
            row["state"] = "done".into();
        }
        (200, b"{}".to_vec())
    }
}

/// Ticks of a layer: they grow with every bit, and depend on its variant: here row loops are faster than those for small maps.
fn ticks(layer: &Value) -> u64 {
    let bits = |what: &str| layer[what].as_u64().unwrap_or(0);
    let base = match (layer["kind"].as_str(), layer["variant"].as_str()) {
        (Some("depthwise"), Some("rows")) => 60,
        (Some("depthwise"), Some("general")) => 140,
        _ => 100,
    };
    base + 3 * bits("weight_bits") + 2 * bits("input_bits") + bits("output_bits")
}

fn error(message: &str) -> Vec<u8> {
    json!({"error": {"kind": "test", "message": message}}).to_string().into_bytes()
}
