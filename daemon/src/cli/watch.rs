//! `hil campaign watch`: a progress bar that lives on the daemon's events.

use std::io::{BufRead, BufReader};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::campaign::{line, training};
use super::client::Client;
use super::exit::Failure;
use crate::types::{Campaign, CampaignState, Candidate};

/// Watches until the campaign is over.
pub fn run(client: &Client, name: &str) -> Result<(), Failure> {
    // Subscribed before the first look: nothing that happens in between is missed.
    let events = client.events()?;
    let mut campaign: Campaign = client.get(&format!("campaigns/{name}"))?;
    let bar = bar(&campaign);
    let mut best = None;
    show(&bar, &campaign, &mut best);
    let mut lines = BufReader::new(events).lines();
    while !is_over(&campaign) {
        let Some(Ok(text)) = lines.next() else {
            bar.abandon();
            return Err(
                Failure::error("the daemon has gone away").help(format!("hil daemon; hil campaign watch {name}"))
            );
        };
        if let Some(change) = text.strip_prefix("data:").and_then(|data| about(data, campaign.id)) {
            campaign = change;
            show(&bar, &campaign, &mut best);
        }
    }
    bar.finish();
    println!("{}", line(&campaign));
    match campaign.state {
        CampaignState::Failed => Err(Failure::error("the campaign failed").help(format!("hil campaign resume {name}"))),
        _ => Ok(()),
    }
}

fn is_over(campaign: &Campaign) -> bool {
    matches!(campaign.state, CampaignState::Finished | CampaignState::Failed | CampaignState::Stopped)
}

/// The campaign in an event's data, if it is this one.
fn about(data: &str, id: i64) -> Option<Campaign> {
    let value: Value = serde_json::from_str(data).ok()?;
    // Candidates and boards have no budget.
    value.get("budget")?;
    serde_json::from_value(value).ok().filter(|c: &Campaign| c.id == id)
}

fn bar(campaign: &Campaign) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(campaign.budget));
    let style =
        ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {elapsed_precise} (about {eta} left) {msg}");
    bar.set_style(style.expect("the template is a constant").progress_chars("=> "));
    bar.set_prefix(campaign.name.clone());
    bar
}

fn show(bar: &ProgressBar, campaign: &Campaign, best: &mut Option<i64>) {
    bar.set_position(u64::from(campaign.measured));
    let waits = campaign.reason.clone().filter(|_| campaign.state == CampaignState::Waiting);
    let trains = campaign.training.as_ref().map(training);
    let so_far = campaign.best.as_ref().map(|b| format!("best {}", describe(b)));
    bar.set_message(waits.or(trains).or(so_far).unwrap_or_else(|| "nothing feasible yet".into()));
    let new = campaign.best.as_ref().filter(|b| *best != Some(b.id));
    if let Some(candidate) = new {
        *best = Some(candidate.id);
        let text = format!("  new best, episode {}: {}", candidate.index, describe(candidate));
        // A bar that is not drawn (no terminal) prints nothing, so the line goes to the log of whoever reads the pipe.
        if bar.is_hidden() { println!("{text}") } else { bar.println(text) }
    }
}

fn describe(c: &Candidate) -> String {
    let accuracy = c.accuracy.map_or("-".into(), |a| format!("{:.2} %", a * 100.0));
    let latency = match (c.latency_ms, c.ticks) {
        (Some(ms), _) => format!("{ms:.2} ms"),
        (None, Some(ticks)) => format!("{:.3} M{}", ticks as f64 / 1e6, c.unit.as_deref().unwrap_or("ticks")),
        (None, None) => "-".into(),
    };
    let what = c.label.as_ref().map_or(String::new(), |l| format!(" ({l})"));
    format!("{accuracy}, {latency}, flash {} B, RAM {} B{what}", c.flash_bytes, c.ram_bytes)
}
