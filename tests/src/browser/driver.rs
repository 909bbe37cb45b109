//! A minimal WebDriver client: one Chromium per [`Browser`], ended with it.
//!
//! Waiting happens in the browser ([`Browser::wait`]): a condition is checked there until it holds or the deadline passes,
//! so that no test sleeps. Protocol: <https://www.w3.org/TR/webdriver2/>.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";
const WAIT_MS: u64 = 45_000;
const END_TIMEOUT: Duration = Duration::from_secs(10);
/// The environment variable by which every process of a browser is known: all descendants of chromedriver inherit it.
const MARK: &str = "BITRACK_TEST_BROWSER";

/// A headless Chromium with a fresh profile. Dropping it ends chromedriver and every process of Chromium, also in a panic.
pub struct Browser {
    driver: Child,
    mark: String,
    session: String,
    agent: ureq::Agent,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser whose page is `width` by `height` CSS pixels.
    ///
    /// # Panics
    /// When Chromium or chromedriver is missing or does not start: a page test without a browser proves nothing.
    pub fn start(width: u32, height: u32) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder for the profile");
        let mark = unique_mark();
        let (driver, port) = start_driver(&mark);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_millis(WAIT_MS * 2)))
            .build()
            .into();
        let mut browser =
            Self { driver, mark, session: format!("http://127.0.0.1:{port}/session"), agent, _profile: profile };
        let answer = browser.post("", capabilities(browser._profile.path(), width, height));
        let id = answer["sessionId"].as_str().expect("a session id").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser.post("/timeouts", json!({ "script": WAIT_MS * 2 }));
        browser.resize(width, height);
        browser
    }

    /// What marks this browser's processes; see [`processes_with`].
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Opens an address and waits until it has loaded.
    pub fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url }));
    }

    /// Makes the page `width` by `height` CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        self.command(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// Tells the page that the reader prefers `"light"` or `"dark"`.
    pub fn prefer(&self, scheme: &str) {
        self.command(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
    }

    /// A command of Chromium's own debugging protocol.
    pub fn command(&self, name: &str, params: Value) -> Value {
        self.post("/goog/cdp/execute", json!({ "cmd": name, "params": params }))
    }

    /// The value of a JavaScript expression in the page; a promise is awaited.
    pub fn eval(&self, expression: &str) -> Value {
        let script = format!("return (async () => ({expression}))()");
        self.post("/execute/sync", json!({ "script": script, "args": [] }))
    }

    /// Waits until a JavaScript expression is truthy and returns its value.
    ///
    /// # Panics
    /// When the deadline passes first; the message has the expression and the page's text.
    pub fn wait(&self, expression: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; const end = performance.now() + {WAIT_MS}; let trouble = null;
             const check = async () => {{
               let value = null;
               try {{ value = await ({expression}); }} catch (error) {{ trouble = String(error); }}
               if (value) done({{ value }});
               else if (performance.now() > end) done({{ trouble, text: document.body.innerText }});
               else setTimeout(check, 15);
             }};
             check();"
        );
        let answer = self.post("/execute/async", json!({ "script": script, "args": [] }));
        assert!(
            answer.get("value").is_some(),
            "never true: {expression}\nlast error: {}\npage:\n{}",
            answer["trouble"],
            answer["text"].as_str().unwrap_or("")
        );
        answer["value"].clone()
    }

    /// The rendered text of the first element that matches a CSS selector, once there is one; no-break spaces as spaces.
    pub fn text(&self, css: &str) -> String {
        let css = Value::from(css);
        self.wait(&format!("document.querySelector({css})"));
        let text = self.eval(&format!("(e => e.innerText ?? e.textContent)(document.querySelector({css}))"));
        text.as_str().expect("text").replace('\u{a0}', " ")
    }

    /// Waits until the rendered text of a CSS selector's first match contains `wanted` (no-break spaces count as spaces).
    pub fn wait_text(&self, css: &str, wanted: &str) {
        let (css, wanted) = (Value::from(css), Value::from(wanted));
        self.wait(&format!("(e => e.innerText ?? e.textContent)(document.querySelector({css})).replaceAll('\\u00a0', ' ').includes({wanted})"));
    }

    /// How many elements match.
    pub fn count(&self, css: &str) -> u64 {
        self.eval(&format!("document.querySelectorAll({}).length", Value::from(css))).as_u64().expect("a count")
    }

    /// Moves the mouse to the middle of an element; with `press` also clicks there, as a person would: whatever covers it gets the click.
    pub fn point(&self, css: &str, press: bool) {
        let css = Value::from(css);
        let rect = format!(
            "(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; }})(document.querySelector({css}))"
        );
        self.wait(&format!("document.querySelector({css})"));
        let at = self.eval(&rect);
        let (x, y) = (at[0].as_f64().expect("x").round() as i64, at[1].as_f64().expect("y").round() as i64);
        let mut actions = vec![json!({ "type": "pointerMove", "duration": 0, "x": x, "y": y, "origin": "viewport" })];
        if press {
            actions.push(json!({ "type": "pointerDown", "button": 0 }));
            actions.push(json!({ "type": "pointerUp", "button": 0 }));
        }
        self.post("/actions", json!({ "actions": [{ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": actions }] }));
    }

    /// Clicks the middle of an element.
    pub fn click(&self, css: &str) {
        self.point(css, true);
    }

    /// Presses and releases keys, one after the other; WebDriver's code points for arrows and the like are in [`keys`].
    pub fn press(&self, typed: &str) {
        let actions: Vec<Value> = typed
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })))
            .collect();
        self.post("/actions", json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] }));
    }

    /// What the page's console and Chromium itself complained about since the last call: exceptions, policy violations, missing files.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({ "type": "browser" }));
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| format!("{}: {}", entry["level"], entry["message"])).collect()
    }

    /// Saves a picture of the whole page as `NAME.png` in the folder that `BITRACK_SHOTS` names; without it does nothing.
    pub fn shot(&self, name: &str) {
        let Some(folder) = std::env::var_os("BITRACK_SHOTS") else { return };
        let picture = self.command("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        let png = BASE64.decode(picture["data"].as_str().expect("a picture")).expect("base64");
        let path = Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(&path, png).expect("the folder of BITRACK_SHOTS can be written");
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.session);
        let mut response =
            self.agent.post(&url).send_json(&body).unwrap_or_else(|e| panic!("chromedriver at {url}: {e}"));
        let answer: Value = response.body_mut().read_json().expect("chromedriver answers JSON");
        let value = answer["value"].clone();
        assert!(
            value.get("error").is_none_or(|e| !e.is_string() || value.get("stacktrace").is_none()),
            "chromedriver refused {path} {body}: {}",
            value["message"]
        );
        value
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Politely first, so that Chromium can end its children; then for certain.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let end = Instant::now() + END_TIMEOUT;
        while let left @ [_, ..] = &processes_with(&self.mark)[..] {
            for &pid in left {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            if Instant::now() > end {
                eprintln!("processes of the browser {} do not end: {left:?}", self.mark);
                return;
            }
            std::thread::yield_now();
        }
    }
}

/// WebDriver's code points for keys without a character.
pub mod keys {
    /// Tab.
    pub const TAB: &str = "\u{E004}";
    /// Enter.
    pub const ENTER: &str = "\u{E007}";
    /// End.
    pub const END: &str = "\u{E010}";
    /// Home.
    pub const HOME: &str = "\u{E011}";
    /// Arrow left.
    pub const LEFT: &str = "\u{E012}";
    /// Arrow up.
    pub const UP: &str = "\u{E013}";
    /// Arrow right.
    pub const RIGHT: &str = "\u{E014}";
}

/// The living processes that inherited a browser's mark, found in `/proc`.
pub fn processes_with(mark: &str) -> Vec<i32> {
    let wanted = format!("{MARK}={mark}");
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| has_environment(*pid, wanted.as_bytes()))
        .collect()
}

// A process that is not ours, or gone, or a zombie, has no readable environment.
fn has_environment(pid: i32, wanted: &[u8]) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
}

fn unique_mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn start_driver(mark: &str) -> (Child, u16) {
    let mut driver = Command::new(CHROMEDRIVER)
        .arg("--port=0")
        .env(MARK, mark)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{CHROMEDRIVER}: {e}; the page's tests need Debian's chromium and chromium-driver"));
    let mut lines = BufReader::new(driver.stdout.take().expect("stdout is piped")).lines();
    let port = lines.by_ref().map_while(Result::ok).find_map(|line| port_in(&line));
    // Somebody must go on reading, or chromedriver would block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (driver, port.expect("chromedriver says on which port it listens"))
}

// "ChromeDriver was started successfully on port 40123."
fn port_in(line: &str) -> Option<u16> {
    line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
}

fn capabilities(profile: &Path, width: u32, height: u32) -> Value {
    let mut args: Vec<String> = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-breakpad",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]
    .map(String::from)
    .to_vec();
    args.push(format!("--user-data-dir={}", profile.display()));
    args.push(format!("--window-size={width},{height}"));
    json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:loggingPrefs": { "browser": "ALL" }, "goog:chromeOptions": { "binary": CHROMIUM, "args": args } } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_greeting_only() {
        assert_eq!(port_in("ChromeDriver was started successfully on port 40123."), Some(40123));
        assert_eq!(port_in("Starting ChromeDriver 156.0.8078.79 on port 0"), None);
    }
}
