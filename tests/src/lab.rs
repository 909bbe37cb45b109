//! A whole lab in a temporary folder: a daemon with virtual boards, driven by `hil` and the API as a user would.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything but a campaign may take before a test calls it hung.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon and its folder. Dropping it ends the daemon and, with it, everything the daemon started.
pub struct Lab {
    folder: TempDir,
    daemon: Option<Child>,
    address: String,
}

/// The root of the repository.
pub fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// `../shared/data`, or `None` with a line that says what is skipped.
pub fn shared_data(test: &str) -> Option<PathBuf> {
    let path = repo().parent()?.join("shared/data");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED {test}: {} is absent", path.display());
    None
}

/// A program of this workspace, built by `cargo xtask test` beside the test binaries.
pub fn program(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("a running test has a path");
    // Test binaries lie one folder deeper than programs, in `deps`.
    let found = exe.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not beside {}: run `cargo xtask test`", exe.display()))
}

impl Lab {
    /// Writes `config` as `hil.toml` into a fresh folder, with a free port put in, and starts the daemon on it.
    pub fn start(config: &str) -> Self {
        let mut lab = Self::prepare(config);
        lab.start_daemon();
        lab
    }

    /// The folder and its `hil.toml` alone; [`Lab::start_daemon`] follows when the test has arranged the rest.
    pub fn prepare(config: &str) -> Self {
        Self::prepare_with(&repo().join("target/firmware"), config)
    }

    /// The same with the runners that lie in `firmware`.
    pub fn prepare_with(firmware: &Path, config: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let address = format!("127.0.0.1:{}", free_port());
        let head = format!("[daemon]\nlisten = \"{address}\"\nfirmware = \"{}\"\n", firmware.display());
        std::fs::write(folder.path().join("hil.toml"), head + config).expect("the folder is writable");
        Self { folder, daemon: None, address }
    }

    /// Adds `text` to `hil.toml`, before the daemon is started.
    pub fn append_config(&mut self, text: &str) {
        let path = self.folder().join("hil.toml");
        let config = std::fs::read_to_string(&path).expect("it was written") + text;
        std::fs::write(path, config).expect("the folder is writable");
    }

    /// Where `hil.toml`, the database and the cache lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The daemon's base address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts the daemon and waits until it answers.
    pub fn start_daemon(&mut self) {
        self.start_daemon_with(&[]);
    }

    /// The same with more in its environment.
    pub fn start_daemon_with(&mut self, environment: &[(&str, String)]) {
        let environment = environment.iter().map(|(name, value)| (name, value));
        let mut daemon = self
            .hil(&["daemon"])
            .envs(environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("hil starts");
        let output = daemon.stdout.take().expect("stdout is piped");
        self.daemon = Some(daemon);
        // Its standard output is read to the end, so that the daemon never blocks on it.
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| eprintln!("hil: {line}"))
        });
        self.wait_for("the daemon to answer", PATIENCE, || self.try_get("/api/rack"));
    }

    /// The daemon's process id.
    pub fn daemon_pid(&self) -> Pid {
        Pid::from_raw(self.daemon.as_ref().expect("the daemon runs").id() as i32)
    }

    /// SIGKILL: the power cut of a process.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("the daemon runs");
        daemon.kill().expect("it is ours");
        daemon.wait().expect("it is ours");
    }

    /// SIGTERM, and its exit status.
    pub fn stop_daemon(&mut self) -> Option<i32> {
        let mut daemon = self.daemon.take()?;
        kill(Pid::from_raw(daemon.id() as i32), Signal::SIGTERM).expect("it is ours");
        daemon.wait().expect("it is ours").code()
    }

    /// `hil ARGS` on this lab's configuration, not started yet.
    pub fn hil(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("hil"));
        command.args(args).arg("--config").arg(self.folder().join("hil.toml")).current_dir(self.folder());
        command.stdin(Stdio::null());
        command
    }

    /// Runs `hil ARGS` to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.hil(args).output().expect("hil starts")
    }

    /// Runs `hil ARGS`, which must succeed; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "hil {args:?} failed: {}\n{}", text(&output.stderr), text(&output.stdout));
        text(&output.stdout)
    }

    /// The rows `sql` selects, through `hil query --format json`.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        let text = self.ok(&["query", sql, "--format", "json"]);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("hil query printed no JSON array: {e}\n{text}"))
    }

    /// GET, which must succeed.
    pub fn get(&self, path: &str) -> Value {
        self.try_get(path).unwrap_or_else(|| panic!("GET {path} failed"))
    }

    fn try_get(&self, path: &str) -> Option<Value> {
        ureq::get(format!("{}{path}", self.url())).call().ok()?.body_mut().read_json().ok()
    }

    /// Polls until `probe` gives a value; panics with `what` when `patience` is over.
    pub fn wait_for<T>(&self, what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(value) = probe() {
                return value;
            }
            assert!(Instant::now() < deadline, "waited {patience:?} for {what}");
            pause();
        }
    }

    /// Waits until every board is ready.
    pub fn wait_for_boards(&self) {
        let ready = |rack: Value| {
            let boards = rack["boards"].as_array()?.clone();
            boards.iter().all(|b| b["state"] == "ready").then_some(())
        };
        self.wait_for("all boards to be ready", PATIENCE, || ready(self.try_get("/api/rack")?));
    }

    /// Waits until campaign `name` is in one of `states`; its row.
    pub fn wait_for_campaign(&self, name: &str, states: &[&str], patience: Duration) -> Value {
        let path = format!("/api/campaigns/{name}");
        self.wait_for(&format!("campaign {name} to be {states:?}"), patience, || {
            let campaign = self.try_get(&path)?;
            states.contains(&campaign["state"].as_str()?).then_some(campaign)
        })
    }

    /// Waits until campaign `name` has measured at least `count` candidates.
    pub fn wait_for_measured(&self, name: &str, count: u64, patience: Duration) -> Value {
        let path = format!("/api/campaigns/{name}");
        self.wait_for(&format!("{count} measurements of {name}"), patience, || {
            let campaign = self.try_get(&path)?;
            (campaign["measured"].as_u64()? >= count).then_some(campaign)
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.daemon.is_some() {
            self.stop_daemon();
        }
    }
}

/// Every process whose parent chain leads to `root`, `root` left out.
pub fn descendants(root: Pid) -> Vec<Pid> {
    let parents: Vec<(Pid, Pid)> = processes().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// Whether a process exists and is not a zombie.
pub fn is_alive(pid: Pid) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z')
}

/// The name a process gave itself, `qemu-system-arm` for instance cut at 15 bytes.
pub fn process_name(pid: Pid) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn processes() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok().map(Pid::from_raw))
}

fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit(')').next()?;
    fields.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}

/// A port nobody listens on. Another process could take it before the daemon does; the daemon then says so.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Between two polls of [`Lab::wait_for`]: gives the processor away without guessing how long anything takes.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(20));
}
