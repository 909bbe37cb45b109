//! A stand-in for the daemon: serves the page's files and canned answers, and sends events on demand.
//!
//! One thread per connection, one request per connection. It can be stopped and started again on the same port, which is what
//! a restarted daemon looks like to a page.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// The running stand-in.
pub struct Fixture {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stopping: bool,
    answers: HashMap<String, (u16, Value)>,
    /// Every connection that was accepted, so that stopping can cut them.
    connections: Vec<TcpStream>,
    listeners: Vec<TcpStream>,
    requests: Vec<String>,
}

impl Fixture {
    /// Starts on a free port of the loopback interface with these answers by path (`/api/rack`); all others are 404.
    pub fn start(answers: impl IntoIterator<Item = (String, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let answers = answers.into_iter().map(|(path, body)| (path, (200, body))).collect();
        let mut fixture = Self {
            address: listener.local_addr().expect("a bound listener has an address"),
            shared: Arc::new(Mutex::new(Shared { answers, ..Shared::default() })),
            acceptor: None,
        };
        fixture.accept(listener);
        fixture
    }

    /// The page's address, with an optional fragment such as `#/demo/3`.
    pub fn url(&self, fragment: &str) -> String {
        format!("http://{}/{fragment}", self.address)
    }

    /// Replaces one answer.
    pub fn answer(&self, path: &str, status: u16, body: Value) {
        self.lock().answers.insert(path.to_owned(), (status, body));
    }

    /// Sends one event to every page that listens.
    pub fn send(&self, event: &str, data: &Value) {
        let message = event_text(event, data);
        self.lock().listeners.retain_mut(|stream| stream.write_all(message.as_bytes()).is_ok());
    }

    /// The paths asked for so far, in order.
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// Closes the port and cuts every connection.
    pub fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.lock().stopping = true;
        // Wakes the acceptor, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        acceptor.join().expect("the acceptor does not panic");
        let mut shared = self.lock();
        shared.listeners.clear();
        for connection in shared.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Listens again on the port it had.
    pub fn restart(&mut self) {
        let listener = TcpListener::bind(self.address).expect("the port is still free");
        self.lock().stopping = false;
        self.accept(listener);
    }

    fn accept(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.acceptor = Some(std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut guard = lock(&shared);
                if guard.stopping {
                    return;
                }
                guard.connections.extend(stream.try_clone());
                drop(guard);
                let shared = Arc::clone(&shared);
                // A browser may leave whenever it likes; that is not this side's error.
                std::thread::spawn(move || serve(stream, &shared).ok());
            }
        }));
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().expect("nobody panics while holding the lock")
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let path = request_path(&stream)?;
    lock(shared).requests.push(path.clone());
    if path == "/api/events" {
        return start_events(stream, shared);
    }
    let answer = if path.starts_with("/api/") { canned(&path, shared) } else { file(&path) };
    respond(stream, answer)
}

// The first line is "GET /path HTTP/1.1"; the headers up to the empty line do not matter here.
fn request_path(stream: &TcpStream) -> std::io::Result<String> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    Ok(first.split(' ').nth(1).unwrap_or("/").to_owned())
}

struct Answer {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

fn canned(path: &str, shared: &Mutex<Shared>) -> Answer {
    let missing = (404, json!({ "error": { "kind": "not_found", "message": format!("no {path}"), "help": null } }));
    let (status, body) = lock(shared).answers.get(path).cloned().unwrap_or(missing);
    Answer { status, kind: "application/json", body: body.to_string().into_bytes() }
}

fn file(path: &str) -> Answer {
    let name = if path == "/" { "index.html" } else { path.trim_start_matches('/') };
    let kind = match Path::new(name).extension().and_then(|e| e.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    };
    match std::fs::read(page_folder().join(name)) {
        Ok(body) => Answer { status: 200, kind, body },
        Err(error) => Answer { status: 404, kind: "text/plain", body: error.to_string().into_bytes() },
    }
}

fn page_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

fn respond(mut stream: TcpStream, answer: Answer) -> std::io::Result<()> {
    let Answer { status, kind, body } = answer;
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)?;
    stream.shutdown(Shutdown::Write)
}

fn start_events(mut stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n")?;
    let mut guard = lock(shared);
    if let Some((200, rack)) = guard.answers.get("/api/rack") {
        stream.write_all(event_text("hello", rack).as_bytes())?;
    }
    guard.listeners.push(stream);
    Ok(())
}

fn event_text(event: &str, data: &Value) -> String {
    format!("event: {event}\ndata: {data}\n\n")
}
