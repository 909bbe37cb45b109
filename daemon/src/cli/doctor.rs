//! `hil doctor`: what is missing on this host, and the command that mends it.

use std::path::Path;
use std::process::{Command, Stdio};

use super::exit::Failure;
use crate::config::{Config, Link};
use crate::process::find_program;
use crate::rack::runner_path;

/// One thing that was looked at.
struct Finding {
    what: String,
    /// What is wrong with it and what mends it; `None` when it is fine.
    wrong: Option<(String, String)>,
}

impl Finding {
    fn new(what: impl Into<String>, ok: bool, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), wrong: (!ok).then(|| (problem.into(), mend.into())) }
    }
}

/// Looks at everything the daemon needs, with this configuration, and prints what it found.
pub fn run(config: &Path) -> Result<(), Failure> {
    let findings = match Config::load(config) {
        Ok(config) => examine(&config),
        Err(e) => vec![Finding::new("configuration", false, e.to_string(), "edit the lines named above")],
    };
    for finding in &findings {
        match &finding.wrong {
            None => println!("ok       {}", finding.what),
            Some((problem, mend)) => println!("MISSING  {}: {problem}\n         mend it: {mend}", finding.what),
        }
    }
    let wrong = findings.iter().filter(|f| f.wrong.is_some()).count();
    if wrong == 0 { Ok(()) } else { Err(Failure::error(format!("{wrong} of {} things are missing", findings.len()))) }
}

fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::new(format!("configuration {}", config.path.display()), true, "", "")];
    if config.boards.iter().any(|b| b.link == Link::Virtual) {
        findings.push(program("virtual-board", "the emulated boards", "cargo build -p bitrack-virtual-board"));
        findings.push(program(
            "qemu-system-arm",
            "the emulator",
            "apt-get install --no-install-recommends qemu-system-arm",
        ));
    }
    findings.push(program("hil-agent", "the agent of campaigns", "cargo build -p bitrack-search"));
    findings.extend(find_program("hil-agent").map(|agent| starts(&agent)));
    findings.extend(runners(config));
    findings.extend(config.boards.iter().flat_map(wired));
    findings.extend(config.campaigns.iter().flat_map(campaign_files));
    findings.extend([&config.daemon.database, &config.daemon.log].map(|p| writable(p)));
    findings.push(writable(&config.daemon.cache.join("images")));
    findings
}

fn program(name: &str, what: &str, mend: &str) -> Finding {
    let found = find_program(name);
    let place = found.as_ref().map_or(String::new(), |p| format!(" ({})", p.display()));
    Finding::new(format!("{name}, {what}{place}"), found.is_some(), "not beside hil, not on PATH", mend)
}

/// An agent that is there may still lack its libraries; only starting it shows that.
fn starts(agent: &Path) -> Finding {
    let mend = "cargo xtask setup --for demo installs libtorch; or set LIBTORCH to yours and build again";
    let problem = match Command::new(agent).arg("--version").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(e) => Some(e.to_string()),
    };
    Finding::new("hil-agent starts (with libtorch)", problem.is_none(), problem.unwrap_or_default(), mend)
}

fn runners(config: &Config) -> Vec<Finding> {
    let used = |name: &String| config.boards.iter().any(|b| b.board_type == *name);
    let finding = |t: &crate::config::BoardType| {
        let path = runner_path(t, &config.daemon.firmware);
        let what = format!("runner for {} ({})", t.name, path.display());
        Finding::new(what, path.is_file(), "no such file", "cargo xtask firmware")
    };
    config.board_types.iter().filter(|t| used(&t.name)).map(finding).collect()
}

fn wired(board: &crate::config::Board) -> Vec<Finding> {
    let Link::Wired { probe, serial } = &board.link else { return Vec::new() };
    let rights = "plug it in; if it is, give yourself the rights: usermod -aG dialout,plugdev $USER";
    vec![
        Finding::new(format!("board {}: port {}", board.name, serial.display()), serial.exists(), "not there", rights),
        Finding::new(
            format!("board {}: probe {probe}", board.name),
            crate::rack::probe_is_there(probe),
            "not among the probes that can be seen",
            "plug it in; if it is, install the udev rules of https://probe.rs/docs/getting-started/probe-setup",
        ),
    ]
}

fn campaign_files(campaign: &crate::config::Campaign) -> Vec<Finding> {
    let mend = "cargo xtask demo makes the demo's; for others, correct the path in hil.toml";
    let file = |what: &str, path: &str| {
        let name = format!("campaign {}: {what} {path}", campaign.name);
        Finding::new(name, Path::new(path).exists(), "not there", mend)
    };
    let model = file("model", &campaign.model.display().to_string());
    let files = campaign.data.strip_prefix("npz:").unwrap_or(&campaign.data).split(',');
    // A data set that is no path is a name, and the agent's affair.
    let data = files.filter(|path| path.starts_with('/')).map(|path| file("data", path));
    std::iter::once(model).chain(data).collect()
}

/// Whether a file could be made there: its nearest existing folder says so.
fn writable(path: &Path) -> Finding {
    let folder = path.ancestors().skip(1).find(|p| p.is_dir()).unwrap_or(Path::new("/"));
    let ok = nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK).is_ok();
    let mend = format!("chown $USER {}", folder.display());
    Finding::new(format!("room for {}", path.display()), ok, "its folder cannot be written", mend)
}
