//! The whole loop on emulated boards: search, image, flash, measure, reward, database; and what survives when parts of it
//! are killed.

use std::collections::BTreeMap;
use std::time::Duration;

use bitrack_tests::lab::{Lab, descendants, is_alive, process_name, shared_data};
use bitrack_tests::tiny;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A campaign of the tiny network takes a few seconds; of keyword spotting, a minute or two on an idle machine.
const SHORT: Duration = Duration::from_secs(240);
const LONG: Duration = Duration::from_secs(900);

const BOARDS: &str = r#"
[[board]]
name = "v1"
type = "mps2-an386"
virtual = true

[[board]]
name = "v2"
type = "mps2-an386"
virtual = true
"#;

fn tiny_lab(strategy: &str, budget: u32) -> Lab {
    tiny_lab_with(strategy, budget, "")
}

/// The same with more lines in the campaign's table.
fn tiny_lab_with(strategy: &str, budget: u32, more: &str) -> Lab {
    let mut lab = Lab::prepare("");
    let (model, data) = tiny::write(lab.folder());
    let campaign = format!(
        "{BOARDS}\n[campaign.tiny]\nmodel = \"{}\"\ndata = \"{}\"\nbudget = {budget}\nboard-types = [\"mps2-an386\"]\n\
         strategy = \"{strategy}\"\nlimits = {{ flash = \"95%\", ram = \"90%\" }}\n{more}\n",
        model.display(),
        data.display()
    );
    lab.append_config(&campaign);
    lab.start_daemon();
    lab
}

/// What must hold for every finished campaign, whatever was killed on the way.
fn assert_books_balance(lab: &Lab, budget: u64) {
    let campaign = lab.get("/api/campaigns/tiny");
    assert_eq!(campaign["state"], "finished", "{campaign}");
    assert_eq!(campaign["measured"].as_u64(), Some(budget), "{campaign}");
    let twice = lab.query("SELECT idx, count(*) AS n FROM episodes GROUP BY campaign, idx HAVING n > 1");
    assert!(twice.is_empty(), "episodes counted twice: {twice:?}");
    let wrong = lab.query("SELECT * FROM measurements WHERE accepted AND NOT bit_exact");
    assert!(wrong.is_empty(), "accepted, but not bit-exact: {wrong:?}");
    let rewards =
        lab.query("SELECT * FROM rewards_recomputed WHERE abs(reward - recomputed) > 1e-9 OR recomputed IS NULL");
    assert!(rewards.is_empty(), "rewards that the database does not explain: {rewards:?}");
    let explained = lab.query("SELECT count(*) AS n FROM rewards_recomputed");
    assert!(explained[0]["n"].as_u64() >= Some(budget), "{explained:?}");
    let open = lab.query("SELECT * FROM candidates WHERE state NOT IN ('done', 'infeasible', 'failed')");
    assert!(open.is_empty(), "left open: {open:?}");
    let again = lab.query(
        "SELECT image_sha256, count(*) AS n FROM measurements WHERE accepted AND reused_from IS NULL GROUP BY image_sha256, board_type HAVING n > 1",
    );
    assert!(again.is_empty(), "the same image was measured twice: {again:?}");
}

fn accepted(lab: &Lab) -> BTreeMap<i64, Value> {
    let rows = lab.query("SELECT * FROM measurements WHERE accepted ORDER BY id");
    rows.into_iter().map(|row| (row["id"].as_i64().expect("an id"), row)).collect()
}

fn child_named(daemon: Pid, name: &str) -> Option<Pid> {
    descendants(daemon).into_iter().find(|&pid| process_name(pid) == name)
}

#[test]
fn every_strategy_finishes_a_campaign() {
    for strategy in ["ddpg", "ilp", "evolution", "reinforce", "one-shot", "random", "rule-based", "uniform"] {
        let lab = tiny_lab(strategy, 6);
        lab.ok(&["campaign", "start", "tiny"]);
        let campaign = lab.wait_for_campaign("tiny", &["finished", "failed"], SHORT);
        assert_eq!(campaign["state"], "finished", "{strategy}: {campaign}");
        let best = &campaign["best"];
        assert_eq!(best["feasible"], true, "{strategy}: {campaign}");
        let wrong = lab.query("SELECT * FROM measurements WHERE accepted AND NOT bit_exact");
        assert!(wrong.is_empty(), "{strategy}: {wrong:?}");
    }
}

#[test]
fn a_killed_daemon_loses_nothing_and_goes_on() {
    let mut lab = tiny_lab("ddpg", 12);
    lab.ok(&["campaign", "start", "tiny"]);
    lab.wait_for_measured("tiny", 3, SHORT);
    let children = descendants(lab.daemon_pid());
    assert!(children.iter().any(|&pid| process_name(pid).starts_with("qemu")), "boards are emulated");
    lab.kill_daemon();
    lab.wait_for("its children to end with it", SHORT, || children.iter().all(|&pid| !is_alive(pid)).then_some(()));
    let before = accepted(&lab);
    assert!(before.len() >= 3);
    lab.start_daemon();
    lab.wait_for_campaign("tiny", &["finished", "failed"], SHORT);
    let after = accepted(&lab);
    for (id, row) in before {
        assert_eq!(after.get(&id), Some(&row), "measurement {id} was accepted before the kill");
    }
    assert_books_balance(&lab, 12);
}

#[test]
fn a_killed_agent_is_started_again_at_the_same_episode() {
    let lab = tiny_lab("ddpg", 10);
    lab.ok(&["campaign", "start", "tiny"]);
    lab.wait_for_measured("tiny", 2, SHORT);
    let agent = lab.wait_for("an agent", SHORT, || child_named(lab.daemon_pid(), "hil-agent"));
    kill(agent, Signal::SIGKILL).expect("it is ours");
    lab.wait_for_campaign("tiny", &["finished", "failed"], SHORT);
    assert_books_balance(&lab, 10);
}

/// The images of a campaign's episodes, by index.
fn images(lab: &Lab, campaign: &str) -> Vec<Value> {
    lab.query(&format!("SELECT idx, label, image_sha256 FROM candidates WHERE campaign = '{campaign}' ORDER BY idx"))
}

#[test]
fn a_training_that_a_killed_daemon_cut_short_goes_on_and_ends_in_the_same_image() {
    let agent = "agent = { fine-tune = { steps = 300 }, training-checkpoint-every = 5, in-flight = 1 }";
    let mut lab = tiny_lab_with("random", 1, agent);
    lab.ok(&["campaign", "start", "tiny", "--as", "calm"]);
    lab.wait_for_campaign("calm", &["finished", "failed"], SHORT);
    lab.ok(&["campaign", "start", "tiny"]);
    lab.wait_for("a training to be shown", SHORT, || {
        lab.ok(&["campaign", "show", "tiny"]).contains("\ntraining episode ").then_some(())
    });
    // A kill may fall between two trainings: then there is nothing to go on with, and the next one is awaited.
    loop {
        lab.wait_for("a checkpoint of a training", SHORT, || {
            lab.get("/api/campaigns/tiny/agent")["training"]["bytes"].as_u64()
        });
        lab.kill_daemon();
        let cut_short = !lab.query("SELECT * FROM trainings").is_empty();
        lab.start_daemon();
        if cut_short {
            break;
        }
    }
    lab.wait_for_campaign("tiny", &["finished", "failed"], SHORT);
    assert_eq!(images(&lab, "tiny"), images(&lab, "calm"));
    assert_eq!(images(&lab, "tiny").len(), 5, "four baselines and a candidate");
    let log = std::fs::read_to_string(lab.folder().join(".bitrack/agent-tiny.log")).expect("the agent wrote it");
    assert!(log.contains("the training goes on"), "{log}");
    assert!(lab.query("SELECT * FROM trainings").is_empty(), "nothing is kept of what was proposed");
}

#[test]
fn a_board_that_dies_is_brought_back() {
    let lab = tiny_lab("random", 12);
    lab.ok(&["campaign", "start", "tiny"]);
    lab.wait_for_measured("tiny", 2, SHORT);
    let qemu = lab.wait_for("an emulator", SHORT, || child_named(lab.daemon_pid(), "qemu-system-arm"));
    kill(qemu, Signal::SIGKILL).expect("it is ours");
    let server = lab.wait_for("a virtual board", SHORT, || child_named(lab.daemon_pid(), "virtual-board"));
    kill(server, Signal::SIGKILL).expect("it is ours");
    lab.wait_for_campaign("tiny", &["finished", "failed"], SHORT);
    assert_books_balance(&lab, 12);
    let punished = lab.query("SELECT * FROM candidates WHERE state = 'infeasible'");
    assert!(punished.is_empty(), "a board's death is not the candidate's fault: {punished:?}");
    lab.wait_for_boards();
}

#[test]
fn stop_and_resume_from_the_command_line() {
    let mut lab = tiny_lab("random", 12);
    lab.ok(&["campaign", "start", "tiny"]);
    lab.wait_for_measured("tiny", 2, SHORT);
    lab.ok(&["campaign", "stop", "tiny"]);
    lab.wait_for_campaign("tiny", &["stopped"], SHORT);
    lab.ok(&["campaign", "resume", "tiny"]);
    lab.wait_for_campaign("tiny", &["finished", "failed"], SHORT);
    assert_books_balance(&lab, 12);
    let children = descendants(lab.daemon_pid());
    assert_eq!(lab.stop_daemon(), Some(0));
    lab.wait_for("its children to end with it", SHORT, || children.iter().all(|&pid| !is_alive(pid)).then_some(()));
}

fn numbers(row: &Value) -> [f64; 4] {
    let number = |key: &str| row[key].as_f64().expect("measured");
    [-number("accuracy"), number("ticks"), number("flash_bytes"), number("ram_bytes")]
}

/// Indices of the feasible candidates that no other beats in all four, by definition.
fn front_of(candidates: &Value) -> Vec<u64> {
    let rows = candidates.as_array().expect("a list").iter().filter(|row| row["feasible"] == true);
    let all: Vec<(u64, [f64; 4])> = rows.map(|row| (row["index"].as_u64().expect("an index"), numbers(row))).collect();
    let beats = |(i, a): &(u64, [f64; 4]), (j, b): &(u64, [f64; 4])| {
        let pairs = || a.iter().zip(b);
        pairs().all(|(x, y)| x <= y) && (pairs().any(|(x, y)| x < y) || i < j)
    };
    all.iter().filter(|one| !all.iter().any(|other| beats(other, one))).map(|(index, _)| *index).collect()
}

#[test]
fn a_campaign_may_be_after_the_front() {
    let lab = tiny_lab_with("evolution", 16, "objective = \"front\"");
    let refused = lab.run(&["campaign", "start", "tiny", "--strategy", "ilp"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("use one of evolution, random, uniform"), "{words}");
    lab.ok(&["campaign", "start", "tiny"]);
    let campaign = lab.wait_for_campaign("tiny", &["finished", "failed"], SHORT);
    assert_eq!(campaign["objective"], "front", "{campaign}");
    assert_books_balance(&lab, 16);
    let expected = front_of(&lab.get("/api/campaigns/tiny/candidates"));
    assert!(expected.len() > 1, "a front of one is no front: {expected:?}");
    let told: Value = serde_json::from_str(&lab.ok(&["best", "tiny", "--format", "json"])).expect("JSON");
    for found in [lab.get("/api/campaigns/tiny/front"), told] {
        let mut found: Vec<u64> =
            found.as_array().expect("a list").iter().filter_map(|row| row["index"].as_u64()).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
    let reason = campaign["reason"].as_str().expect("finished with a reason");
    assert!(reason.contains(&format!("{} candidates on the front; best: episode", expected.len())), "{reason}");
    let shown = lab.ok(&["campaign", "show", "tiny", "--front"]);
    assert!(
        shown.contains(&format!("objective: the front of accuracy, ticks, flash and RAM, now {}", expected.len())),
        "{shown}"
    );
}

#[test]
fn keyword_spotting_on_two_boards() {
    let Some(data) = shared_data("keyword_spotting_on_two_boards") else { return };
    let kws = data.join("kws");
    let mut lab = Lab::prepare(BOARDS);
    lab.append_config(&format!(
        "\n[campaign.kws]\nmodel = \"{0}/ds_cnn_float.tflite\"\ndata = \"{0}\"\nbudget = 60\nboard-types = [\"mps2-an386\"]\n\
         strategy = \"ddpg\"\nlimits = {{ flash = \"60%\", ram = \"75%\" }}\nagent = {{ validation-samples = 250 }}\n",
        kws.display()
    ));
    lab.start_daemon();
    lab.ok(&["campaign", "start", "kws"]);
    let campaign = lab.wait_for_campaign("kws", &["finished", "failed"], LONG);
    assert_eq!(campaign["state"], "finished", "{campaign}");
    assert_eq!(campaign["measured"], 60, "{campaign}");
    assert_eq!(campaign["best"]["feasible"], true, "{campaign}");
    let rejected = lab.query("SELECT * FROM measurements WHERE NOT accepted OR NOT bit_exact");
    assert!(rejected.is_empty(), "all measurements are bit-exact: {rejected:?}");
    eprintln!("best: {}", campaign["best"]);
    let sha = campaign["best"]["image_sha256"].as_str().expect("measured");
    let counts = ["v1", "v2"].map(|board| measured_ticks(&lab, sha, board));
    assert_eq!(counts[0], counts[1], "both boards count the same instructions");
}

/// Ticks of a fresh measurement of an image on one board.
fn measured_ticks(lab: &Lab, sha: &str, board: &str) -> Value {
    let body = serde_json::json!({ "image_sha256": sha, "board": board, "warmup": 1, "repeats": 2, "fresh": true });
    let mut answer = ureq::post(format!("{}/api/measure", lab.url())).send_json(&body).expect("measures");
    let measurement: Value = answer.body_mut().read_json().expect("a measurement");
    assert_eq!(measurement["board"], board);
    measurement["ticks"]["repeats"].clone()
}
