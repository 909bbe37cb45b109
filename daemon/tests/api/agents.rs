//! Agents that die, and what the campaign says then.

use std::path::PathBuf;
use std::time::Duration;

use hil::types::{CampaignState, Event};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::broadcast;

use super::daemon::{CONFIG, Daemon};

/// Waits until the campaign has failed, and gives why.
async fn failure(mut events: broadcast::Receiver<Event>) -> String {
    let failed = async {
        loop {
            if let Ok(Event::Campaign(campaign)) = events.recv().await
                && campaign.state == CampaignState::Failed
            {
                return campaign.reason.unwrap_or_default();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), failed).await.expect("it gives up")
}

fn always_open() -> String {
    CONFIG.replace("window = \"03:00-03:01\"", "").replace("days = \"sun\"", "")
}

fn script(folder: &TempDir, text: &str) -> PathBuf {
    let agent = folder.path().join("agent");
    std::fs::write(&agent, format!("#!/bin/sh\n{text}\n")).expect("written");
    std::fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    agent
}

#[tokio::test]
async fn what_no_other_start_can_mend_fails_at_once_and_in_words() {
    let folder = TempDir::new().expect("a folder");
    let starts = folder.path().join("starts");
    let why = "the limits cannot be met even with 2 bits everywhere: flash needs at least 9 bytes but the limit is 1";
    let text = format!("echo x >> {}\necho 'error: {why}' >&2\nexit 3", starts.display());
    let daemon = Daemon::start_with(&always_open(), Some(script(&folder, &text))).await;
    let events = daemon.events.subscribe();
    daemon.post("campaigns/kws/start", json!({})).await;
    let reason = failure(events).await;
    assert!(reason.starts_with(why), "{reason}");
    assert_eq!(std::fs::read_to_string(starts).expect("started"), "x\n", "once");
    let (_, campaign) = daemon.get("campaigns/kws").await;
    assert_eq!((&campaign["state"], &campaign["reason"]), (&json!("failed"), &json!(reason)));
}

/// The loader's own words reach the campaign's row: here for a library that is linked, and then taken away.
#[tokio::test]
async fn an_agent_without_its_libraries_says_which() {
    let folder = TempDir::new().expect("a folder");
    let (source, library, agent) =
        (folder.path().join("a.c"), folder.path().join("libtorch_cpu.so"), folder.path().join("agent"));
    let cc = |args: &[&std::ffi::OsStr]| {
        assert!(std::process::Command::new("cc").args(args).status().expect("cc").success())
    };
    std::fs::write(&source, "int torch(void) { return 0; }").expect("written");
    cc(&["-shared".as_ref(), "-o".as_ref(), library.as_ref(), source.as_ref()]);
    std::fs::write(&source, "int torch(void); int main(void) { return torch(); }").expect("written");
    cc(&["-o".as_ref(), agent.as_ref(), source.as_ref(), library.as_ref()]);
    std::fs::remove_file(&library).expect("there");
    let daemon = Daemon::start_with(&always_open(), Some(agent)).await;
    let events = daemon.events.subscribe();
    daemon.post("campaigns/kws/start", json!({})).await;
    let reason = failure(events).await;
    assert!(reason.starts_with("the agent cannot start: ") && reason.contains("libtorch_cpu.so"), "{reason}");
    assert!(reason.contains("hil doctor"), "{reason}");
}

/// The agent dies at once, each time: the campaign is not restarted for ever, and says why it failed.
#[tokio::test]
async fn a_campaign_whose_agent_only_dies_fails_with_its_last_words() {
    let folder = TempDir::new().expect("a folder");
    let agent = script(&folder, "echo the model is unreadable >&2\nexit 5");
    let daemon = Daemon::start_with(&always_open(), Some(agent)).await;
    let events = daemon.events.subscribe();
    daemon.post("campaigns/kws/start", json!({})).await;
    let reason = failure(events).await;
    assert!(reason.contains("the model is unreadable") && reason.contains("exit status: 5"), "{reason}");
}
