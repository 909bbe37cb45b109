//! `cargo xtask demo`: the mission on a machine without a board. Installs, builds, trains a network, starts the daemon
//! on two emulated boards, searches, and shows what was found.

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::progress::{say, timed};
use crate::setup::{self, Purpose};
use crate::{firmware, repo, shell};

/// The demo's campaign in the root's `hil.toml`.
const CAMPAIGN: &str = "demo";
/// How long the daemon may take to open its database and listen.
const START_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub struct Options {
    /// Candidates to measure, instead of what hil.toml says.
    #[arg(long)]
    budget: Option<u32>,
    /// End the daemon when the search has ended, instead of leaving the page up until Ctrl-C. Without a terminal this
    /// is what happens.
    #[arg(long)]
    exit: bool,
}

/// Does all of it.
///
/// # Errors
/// The first step that fails, with what to do.
pub fn run(options: &Options) -> Result<()> {
    setup::prepare(Purpose::Demo)?;
    firmware::build_for(firmware::Board::Mps2An386)?;
    timed("programs", "building hil, hil-agent and virtual-board", build)?;
    train()?;
    let daemon = Daemon::find_or_start()?;
    let campaign = search(options)?;
    results(&campaign)?;
    daemon.leave_up(options.exit || !std::io::stdout().is_terminal())
}

fn build() -> Result<()> {
    let packages = ["hil", "bitrack-search", "bitrack-virtual-board"];
    let mut cargo = shell::cargo(["build", "--release", "--locked"]);
    shell::run(packages.iter().fold(&mut cargo, |cargo, name| cargo.args(["--package", name])))
}

/// The demo's network; the agent itself sees whether it is there already.
fn train() -> Result<()> {
    let model = repo::root().join(".bitrack/demo/model");
    std::fs::create_dir_all(model.parent().unwrap_or(repo::root())).context("cannot make .bitrack/demo")?;
    timed("network", "training a small CNN on Fashion-MNIST, or finding it trained", || {
        shell::run(Command::new(program("hil-agent")).args(["train", "--data", "fashion-mnist", "--out"]).arg(&model))
    })
}

/// Starts, or goes on with, the demo's campaign and watches it to its end; its name. A finished one is run once more under
/// another name and seed: the same candidates would be found in the database instead of being measured.
fn search(options: &Options) -> Result<String> {
    let rows = shell::stdout(hil().args(["query", "SELECT name || ' ' || state FROM campaigns", "--format", "csv"]))?;
    let (name, action) = next_campaign(&rows);
    let mut command = hil();
    command.arg("campaign");
    match action {
        Action::Watch => command.args(["watch", &name]),
        Action::Resume => {
            shell::run(hil().args(["campaign", "resume", &name]))?;
            command.args(["watch", &name])
        }
        Action::Start { run } => {
            let seed = run.to_string();
            command.args(["start", CAMPAIGN, "--as", &name, "--seed", &seed, "--watch"]);
            options.budget.iter().fold(&mut command, |c, budget| c.args(["--budget", &budget.to_string()]))
        }
    };
    let start = Instant::now();
    shell::run(&mut command)?;
    say("search", &format!("{name} took {:.0} s", start.elapsed().as_secs_f64()));
    Ok(name)
}

/// What to do with the campaigns that are there.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Watch,
    Resume,
    Start { run: usize },
}

/// `rows`: a header, then `NAME STATE` per line.
fn next_campaign(rows: &str) -> (String, Action) {
    let ours = |line: &str| {
        let (name, state) = line.trim_matches('"').split_once(' ')?;
        (name == CAMPAIGN || name.starts_with(&format!("{CAMPAIGN}-"))).then(|| (name.to_owned(), state.to_owned()))
    };
    let runs: Vec<(String, String)> = rows.lines().skip(1).filter_map(ours).collect();
    for (name, state) in &runs {
        match state.as_str() {
            "active" => return (name.clone(), Action::Watch),
            "stopped" => return (name.clone(), Action::Resume),
            _ => (),
        }
    }
    let run = runs.len() + 1;
    let name = if run == 1 { CAMPAIGN.to_owned() } else { format!("{CAMPAIGN}-{run}") };
    (name, Action::Start { run })
}

/// The baselines, the five best feasible candidates, and what to try next.
fn results(campaign: &str) -> Result<()> {
    let sql = format!(
        "SELECT * FROM (SELECT label AS candidate, {COLUMNS} FROM candidates WHERE campaign = '{campaign}' AND label IS NOT NULL \
         ORDER BY idx) UNION ALL SELECT * FROM (SELECT 'found: episode ' || idx, {COLUMNS} FROM candidates \
         WHERE campaign = '{campaign}' AND label IS NULL AND feasible ORDER BY candidates.accuracy DESC, ticks LIMIT 5)"
    );
    println!("\nWhat {campaign} measured on emulated Cortex-M4 boards, which count instructions, not time:\n");
    shell::run(hil().args(["query", &sql]))?;
    println!("\nTry next:");
    for (command, meaning) in [
        (format!("hil campaign show {campaign}"), "limits, and every candidate"),
        (format!("hil best {campaign}"), "the best candidate that keeps the limits"),
        ("hil query 'SELECT * FROM layer_latency LIMIT 20'".into(), "what each layer costs at which bits"),
        ("hil boards".into(), "the rack"),
        (format!("hil campaign start {CAMPAIGN} --as mine --seed 7 --watch"), "another search"),
    ] {
        println!("  {command:<62} {meaning}");
    }
    println!("  (`hil` is {}; cargo xtask demo searches once more)", program("hil").display());
    Ok(())
}

const COLUMNS: &str = "printf('%.2f %%', 100.0 * accuracy) AS accuracy, ticks AS instructions, ram_bytes AS ram, \
                       flash_bytes AS flash, CASE feasible WHEN 1 THEN 'yes' WHEN 0 THEN 'no' ELSE '?' END AS feasible";

/// The daemon on the root's `hil.toml`: ours, or one that runs already.
struct Daemon {
    child: Option<Child>,
}

impl Daemon {
    fn find_or_start() -> Result<Self> {
        if shell::succeeds(hil().arg("boards").stdout(Stdio::null()).stderr(Stdio::null())) {
            say("daemon", "there");
            return Ok(Self { child: None });
        }
        let log = repo::root().join(".bitrack/demo/daemon.out");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone()?;
        let child = hil().arg("daemon").stdout(output).stderr(errors).spawn().context("cannot start hil")?;
        say("daemon", "starting with two emulated boards ...");
        let mut daemon = Self { child: Some(child) };
        daemon.wait_until_it_answers(&log)?;
        Ok(daemon)
    }

    fn wait_until_it_answers(&mut self, log: &Path) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        while !shell::succeeds(hil().arg("boards").stdout(Stdio::null()).stderr(Stdio::null())) {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("the daemon does not answer; it said:\n{said}\n  by hand: target/release/hil daemon");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Ends the daemon if it is ours, at once or when the person has seen enough.
    fn leave_up(mut self, at_once: bool) -> Result<()> {
        let Some(child) = self.child.as_mut() else { return Ok(()) };
        if at_once {
            println!("\nThe page, while the daemon runs (`hil daemon`): http://127.0.0.1:8420");
            return Ok(());
        }
        println!("\nThe page is at http://127.0.0.1:8420 until Ctrl-C ends the daemon.");
        child.wait().context("cannot wait for the daemon")?;
        Ok(())
    }
}

impl Drop for Daemon {
    /// SIGTERM first: the daemon then ends its boards in order. They end with it in any case.
    fn drop(&mut self) {
        let Some(child) = self.child.as_mut() else { return };
        shell::succeeds(Command::new("kill").arg(child.id().to_string()));
        // An error means that it has ended already.
        let _ = child.wait();
    }
}

/// `hil` on the root's configuration.
fn hil() -> Command {
    shell::command(program("hil"), ["--config", "hil.toml"])
}

fn program(name: &str) -> PathBuf {
    repo::root().join("target/release").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_has_the_campaigns_own_name() {
        assert_eq!(next_campaign("x\n"), ("demo".into(), Action::Start { run: 1 }));
    }

    #[test]
    fn what_was_interrupted_goes_on() {
        assert_eq!(next_campaign("x\ndemo stopped\n"), ("demo".into(), Action::Resume));
        assert_eq!(next_campaign("x\ndemo finished\ndemo-2 active\n"), ("demo-2".into(), Action::Watch));
    }

    #[test]
    fn a_finished_run_is_followed_by_another() {
        let rows = "x\ndemo finished\nother active\ndemonstration stopped\n";
        assert_eq!(next_campaign(rows), ("demo-2".into(), Action::Start { run: 2 }));
    }
}
