//! `cargo xtask bench search`: every strategy at an equal number of measurements, through the real daemon on two emulated boards.
//!
//! A campaign that is finished is not run again, so that an interrupted bench goes on where it was; everything is in one database.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::progress::{say, timed};
use crate::setup::{self, Purpose};
use crate::{firmware, repo, shell};

/// What is compared: a name, the strategy, and what it starts from.
const ENTRANTS: [(&str, &str, Option<&str>); 8] = [
    ("ddpg-warm", "ddpg", Some("ilp")),
    ("ddpg", "ddpg", None),
    ("ilp", "ilp", None),
    ("reinforce", "reinforce", None),
    ("evolution", "evolution", None),
    ("random", "random", None),
    ("rule-based", "rule-based", None),
    ("uniform", "uniform", None),
];
/// Beside the others and not ranked with them, because its weights were trained at the bits that are measured, not quantized
/// afterwards. Its steps take minutes a search: fewer seeds, and after all others.
const TRAINED: &str = "one-shot";
const TRAINED_SEEDS: u32 = 3;
/// Entrants that do not depend on a seed.
const FIXED: [&str; 2] = ["rule-based", "uniform"];
/// Proposals of what an entrant starts from.
const LEAD: &str = "warm-proposals=30";
/// Networks and the seeds that each is searched with.
const NETWORKS: [(&str, u32); 2] = [("kws", 5), ("demo", 3)];
/// Percent of the test samples that the demo's network must classify correctly; 90.9 are usual.
const LEAST_ACCURACY: &str = "89";
/// How long the daemon may take to listen, and a campaign to end.
const START_PATIENCE: Duration = Duration::from_secs(30);
const CAMPAIGN_PATIENCE: Duration = Duration::from_secs(3600);
const POLL: Duration = Duration::from_millis(500);

/// Runs what is missing of the comparison, and writes every candidate to `csv`.
///
/// # Errors
/// When something does not build, or a campaign fails.
pub fn run(csv: Option<&Path>) -> Result<()> {
    setup::prepare(Purpose::Demo)?;
    firmware::build_for(firmware::Board::Mps2An386)?;
    timed("programs", "building with optimization", super::build)?;
    timed("network", "training the demo's network in full, or finding it trained", train)?;
    let lab = Lab::start()?;
    for (network, seeds) in NETWORKS {
        for seed in 1..=seeds {
            for (entrant, strategy, warm_start) in ENTRANTS {
                if seed == 1 || !FIXED.contains(&entrant) {
                    lab.campaign(network, entrant, strategy, warm_start, seed)?;
                }
            }
        }
    }
    for (network, seeds) in NETWORKS {
        (1..=seeds.min(TRAINED_SEEDS)).try_for_each(|seed| lab.campaign(network, TRAINED, TRAINED, None, seed))?;
    }
    if let Some(csv) = csv {
        lab.rows(csv)?;
    }
    for (network, _) in NETWORKS {
        lab.table(network)?;
    }
    Ok(())
}

/// The demo's network by a fixed amount of work, so that what is compared does not depend on what else the machine does.
fn train() -> Result<()> {
    let model = network();
    std::fs::create_dir_all(folder()).with_context(|| format!("cannot make {}", folder().display()))?;
    let mut agent = Command::new(program("hil-agent"));
    agent.args(["train", "--data", "fashion-mnist", "--complete", "--at-least", LEAST_ACCURACY, "--out"]).arg(&model);
    shell::run(&mut agent)
}

fn folder() -> PathBuf {
    repo::root().join(".bitrack/bench-search")
}

fn network() -> PathBuf {
    folder().join("network")
}

/// A daemon of its own with two emulated boards and a database that outlives it.
struct Lab {
    config: PathBuf,
    daemon: Child,
}

impl Drop for Lab {
    fn drop(&mut self) {
        // It has nothing to save: what is accepted is in the database.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Lab {
    fn start() -> Result<Self> {
        let folder = folder();
        let config = folder.join("hil.toml");
        std::fs::write(&config, configuration()?)?;
        let log = File::create(folder.join("daemon.txt"))?;
        let mut command = Command::new(program("hil"));
        command.arg("daemon").arg("--config").arg(&config).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let lab = Self { config, daemon: command.spawn().context("cannot start the daemon")? };
        let start = Instant::now();
        while !shell::succeeds(&mut lab.hil(&["boards"])) {
            ensure!(start.elapsed() < START_PATIENCE, "the daemon does not answer: see {}", folder.display());
            std::thread::sleep(POLL);
        }
        Ok(lab)
    }

    fn hil(&self, arguments: &[&str]) -> Command {
        let mut command = shell::command(program("hil"), arguments);
        command.env("HIL_CONFIG", &self.config);
        command
    }

    fn query(&self, sql: &str) -> Result<String> {
        shell::stdout(&mut self.hil(&["query", "--format", "csv", sql]))
    }

    fn campaign(&self, network: &str, entrant: &str, strategy: &str, from: Option<&str>, seed: u32) -> Result<()> {
        let name = format!("{network}-{entrant}-{seed}");
        let seed = seed.to_string();
        let state = || self.query(&format!("SELECT state FROM campaigns WHERE name = '{name}'"));
        let says = |rows: &str, word: &str| rows.lines().skip(1).any(|line| line.contains(word));
        let begin = Instant::now();
        let mut rows = state()?;
        if says(&rows, "finished") {
            return Ok(());
        }
        if rows.lines().count() < 2 {
            let warm = from.map(|from| format!("warm-start={from}"));
            let mut arguments =
                vec!["campaign", "start", network, "--as", &name, "--strategy", strategy, "--seed", &seed];
            arguments.extend(warm.iter().flat_map(|warm| ["--set", warm, "--set", LEAD]));
            shell::quietly(&mut self.hil(&arguments))?;
        }
        while !says(&rows, "finished") {
            if says(&rows, "failed") || begin.elapsed() > CAMPAIGN_PATIENCE {
                bail!("{name} did not finish: `hil campaign show {name}` says why");
            }
            std::thread::sleep(POLL);
            rows = state()?;
        }
        say(network, &format!("{entrant}, seed {seed}: {:.0} s", begin.elapsed().as_secs_f64()));
        Ok(())
    }

    /// One row per candidate.
    fn rows(&self, csv: &Path) -> Result<()> {
        let compared = NETWORKS.map(|(network, _)| format!("campaign LIKE '{network}-%'")).join(" OR ");
        let sql = format!(
            "SELECT campaign, idx, strategy, label, accuracy, ticks, predicted_ticks, flash_bytes, ram_bytes, feasible, \
             round(reward, 4) AS reward FROM candidates WHERE {compared} ORDER BY campaign, idx"
        );
        std::fs::write(csv, self.query(&sql)?).with_context(|| format!("cannot write {}", csv.display()))
    }

    fn table(&self, network: &str) -> Result<()> {
        println!(
            "\n{network}: best feasible reward of each entrant's searches; wins, ties and losses against `random` with the same seed\n"
        );
        shell::run(&mut self.hil(&["query", &summary(network, "<>")]))?;
        println!(
            "\n{network}, not ranked: weights trained together with the bits, where all of the above were quantized after training\n"
        );
        shell::run(&mut self.hil(&["query", &summary(network, "=")]))
    }
}

/// Best feasible searched candidate of every campaign, then the middle and the ends over an entrant's seeds, and how they did against
/// chance. `is_trained` compares the entrant's name with that of the trained one.
fn summary(network: &str, is_trained: &str) -> String {
    let cut = network.len() + 2;
    format!(
        "WITH named AS (SELECT substr(campaign, {cut}) AS name, reward FROM candidates WHERE campaign LIKE '{network}-%' AND searched \
         AND feasible), best AS (SELECT rtrim(rtrim(name, '0123456789'), '-') AS entrant, CAST(replace(name, rtrim(name, '0123456789'), '') \
         AS INTEGER) AS seed, max(reward) AS reward FROM named GROUP BY name), ranked AS (SELECT best.*, best.reward - chance.reward AS more, \
         row_number() OVER (PARTITION BY entrant ORDER BY best.reward) AS place, count(*) OVER (PARTITION BY entrant) AS seeds FROM best \
         LEFT JOIN (SELECT seed, reward FROM best WHERE entrant = 'random') chance ON chance.seed = best.seed) \
         SELECT entrant, max(seeds) AS seeds, round(avg(CASE WHEN place IN ((seeds + 1) / 2, seeds / 2 + 1) THEN reward END), 3) AS median, \
         round(min(reward), 3) AS worst, round(max(reward), 3) AS best, sum(more > 1e-6) AS wins, sum(abs(more) <= 1e-6) AS ties, \
         sum(more < -1e-6) AS losses FROM ranked WHERE entrant {is_trained} '{TRAINED}' GROUP BY entrant ORDER BY median DESC"
    )
}

fn configuration() -> Result<String> {
    let firmware = repo::root().join("target/firmware");
    let data = repo::root().join("../shared/data/kws");
    let data =
        data.canonicalize().with_context(|| format!("the keyword-spotting data are not at {}", data.display()))?;
    let board = |name: &str| format!("[[board]]\nname = \"{name}\"\ntype = \"mps2-an386\"\nvirtual = true\n");
    // Instruction counts are exact: one run of a candidate tells all.
    let campaign = |name: &str, model: &Path, data: &str| {
        format!(
            "[campaign.{name}]\nmodel = \"{}\"\ndata = \"{data}\"\nbudget = 100\nboard-types = [\"mps2-an386\"]\nstrategy = \"ddpg\"\n\
             warmup = 0\nrepeats = 1\nlimits = {{ flash = \"45%\", ram = \"60%\", latency = \"100%\" }}\n\
             [campaign.{name}.agent]\nvalidation-samples = 250\n",
            model.display()
        )
    };
    Ok([
        format!("[daemon]\nlisten = \"127.0.0.1:8421\"\ndatabase = \"hil.sqlite\"\ncache = \"cache\"\nlog = \"hil.log\"\nfirmware = \"{}\"\n", firmware.display()),
        board("v1"),
        board("v2"),
        campaign("kws", &data.join("ds_cnn_float.tflite"), &format!("npz:{}", data.display())),
        campaign("demo", &network(), "fashion-mnist"),
    ]
    .join("\n"))
}

fn program(name: &str) -> PathBuf {
    repo::root().join("target/release").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entrant_has_its_own_name() {
        let names: std::collections::BTreeSet<&str> = ENTRANTS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names.len(), ENTRANTS.len());
        assert!(FIXED.iter().all(|name| names.contains(name)));
        assert!(!names.contains(TRAINED), "it is not ranked with them");
    }
}
