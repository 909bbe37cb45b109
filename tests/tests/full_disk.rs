//! The disk fills up under a running campaign: nothing that was accepted is lost, who asks is told to try again, and all goes on
//! when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bitrack_tests::lab::{Lab, descendants, process_name};
use bitrack_tests::tiny;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

const SHORT: Duration = Duration::from_secs(240);

/// A lab whose disk can be filled; drop the guard of [`Disk::fill`] to make room.
struct Disk {
    lab: Lab,
    flag: PathBuf,
    _outside: tempfile::TempDir,
}

struct Full<'a>(&'a Path);

impl Drop for Full<'_> {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(self.0);
    }
}

impl Disk {
    fn new() -> Self {
        let outside = tempfile::tempdir().expect("a folder");
        let (shim, flag) = (outside.path().join("full_disk.so"), outside.path().join("full"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/full_disk.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&shim, &source]).arg("-ldl").status();
        assert!(built.expect("a C compiler").success());
        let mut lab = Lab::prepare("");
        let (model, data) = tiny::write(lab.folder());
        lab.append_config(&format!(
            "\n[[board]]\nname = \"v1\"\ntype = \"mps2-an386\"\nvirtual = true\n\
             [[board]]\nname = \"v2\"\ntype = \"mps2-an386\"\nvirtual = true\n\
             [campaign.tiny]\nmodel = \"{}\"\ndata = \"{}\"\nbudget = 12\nboard-types = [\"mps2-an386\"]\nstrategy = \"random\"\n",
            model.display(),
            data.display()
        ));
        let disk = lab.folder().canonicalize().expect("it exists").display().to_string();
        let environment = [
            ("LD_PRELOAD", shim.display().to_string()),
            ("FULL_DISK", disk),
            ("FULL_DISK_FLAG", flag.display().to_string()),
        ];
        lab.start_daemon_with(&environment);
        Self { lab, flag, _outside: outside }
    }

    fn fill(&self) -> Full<'_> {
        std::fs::write(&self.flag, "").expect("another disk");
        Full(&self.flag)
    }

    /// Status and body of a request that would write.
    fn post(&self, path: &str) -> (u16, Value) {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let url = format!("{}/api/{path}", self.lab.url());
        let mut answer = agent.post(url).send_json(serde_json::json!({})).expect("the daemon answers");
        (answer.status().as_u16(), answer.body_mut().read_json().expect("JSON"))
    }

    fn accepted(&self) -> Vec<Value> {
        self.lab.query("SELECT * FROM measurements WHERE accepted AND reused_from IS NULL ORDER BY id")
    }

    fn boards(&self) -> Vec<Value> {
        self.lab.get("/api/rack")["boards"].as_array().expect("boards").clone()
    }

    /// Measurements that the boards have made, written or not.
    fn ran(&self) -> u64 {
        self.boards().iter().filter_map(|board| board["measurements"].as_u64()).sum()
    }

    fn finish(&self, before: &[Value]) {
        let campaign = self.lab.wait_for_campaign("tiny", &["finished", "failed"], SHORT);
        assert_eq!((&campaign["state"], campaign["measured"].as_u64()), (&"finished".into(), Some(12)), "{campaign}");
        let after = self.accepted();
        assert_eq!(after[..before.len()], *before, "what was accepted before is as it was");
        let lost = self.lab.query("SELECT * FROM candidates WHERE state <> 'done'");
        assert!(lost.is_empty(), "a full disk is nobody's fault: {lost:?}");
        let twice = self.lab.query(
            "SELECT image_sha256, count(*) AS n FROM measurements WHERE accepted AND reused_from IS NULL GROUP BY 1 HAVING n > 1",
        );
        assert!(twice.is_empty(), "measured twice: {twice:?}");
    }
}

#[test]
fn a_campaign_outlasts_a_full_disk() {
    let disk = Disk::new();
    disk.lab.ok(&["campaign", "start", "tiny"]);
    disk.lab.wait_for_measured("tiny", 3, SHORT);
    // A hundred repeats take long enough for the disk to be full before the run that is seen here has ended.
    disk.lab.wait_for("a run", SHORT, || disk.boards().iter().any(|board| board["state"] == "running").then_some(()));
    let full = disk.fill();
    disk.lab.wait_for("a result that cannot be written", SHORT, || {
        (disk.ran() > disk.accepted().len() as u64).then_some(())
    });
    let (status, body) =
        disk.lab.wait_for("a refusal", SHORT, || Some(disk.post("campaigns/tiny/stop")).filter(|(s, _)| *s != 200));
    assert_eq!((status, &body["error"]["kind"]), (503, &"store".into()), "{body}");
    assert!(body["error"]["help"].as_str().is_some_and(|help| help.contains("free some space")), "{body}");
    let before = disk.accepted();
    assert!(before.len() >= 3);
    // Reading goes on, and the campaign is still wanted.
    assert_ne!(disk.lab.get("/api/campaigns/tiny")["state"], "failed");
    drop(full);
    if disk.lab.get("/api/campaigns/tiny")["state"] == "stopped" {
        disk.lab.ok(&["campaign", "resume", "tiny"]);
    }
    disk.finish(&before);
}

#[test]
fn an_agent_that_dies_while_the_disk_is_full_is_not_blamed() {
    let disk = Disk::new();
    disk.lab.ok(&["campaign", "start", "tiny"]);
    disk.lab.wait_for_measured("tiny", 2, SHORT);
    let full = disk.fill();
    let children = descendants(disk.lab.daemon_pid());
    let agent = children.into_iter().find(|&pid| process_name(pid) == "hil-agent").expect("an agent");
    kill(agent, Signal::SIGKILL).expect("it is ours");
    let waiting = disk.lab.wait_for_campaign("tiny", &["waiting"], SHORT);
    assert!(waiting["reason"].as_str().is_some_and(|why| why.contains("is full; goes on when")), "{waiting}");
    let before = disk.accepted();
    drop(full);
    disk.finish(&before);
}
