//! `hil campaign` and `hil best`

use serde_json::{Value, json};

use super::args::{Best, Campaign as Args, CampaignCommand, Format};
use super::client::Client;
use super::exit::Failure;
use super::layers;
use super::start;
use super::table::Table;
use super::watch;
use crate::config::Objective;
use crate::types::{Campaign, Candidate, PredictionError, Training};

/// One of the subcommands.
pub fn run(client: &Client, args: Args) -> Result<(), Failure> {
    match args.command {
        CampaignCommand::Start { name, strategy, set, how } => start::start(client, &name, strategy, &set, how),
        CampaignCommand::Profile { name, variants, set, how } => start::profile(client, &name, variants, &set, how),
        CampaignCommand::Finalists { name, top, r#as, set, watch } => {
            start::finalists(client, &name, top, r#as, &set, watch)
        }
        CampaignCommand::Stop { name } => change(client, &name, "stop"),
        CampaignCommand::Resume { name } => change(client, &name, "resume"),
        CampaignCommand::List { format } => list(client, format),
        CampaignCommand::Layers { name, layer, format } => layers::variants(client, &name, layer.as_deref(), format),
        CampaignCommand::Show { name, episode: Some(episode), format, .. } => {
            layers::of_episode(client, &name, episode, format)
        }
        CampaignCommand::Show { name, pareto, front, format, .. } => {
            let which = if pareto {
                "pareto"
            } else if front {
                "front"
            } else {
                "candidates"
            };
            show(client, &name, which, format)
        }
        CampaignCommand::Watch { name } => watch::run(client, &name),
    }
}

fn change(client: &Client, name: &str, what: &str) -> Result<(), Failure> {
    let campaign: Campaign = client.post(&format!("campaigns/{name}/{what}"), &json!({}))?;
    println!("{}", line(&campaign));
    Ok(())
}

/// A campaign in a line.
pub fn line(c: &Campaign) -> String {
    let state = json!(c.state);
    let reason = c.reason.as_ref().map_or(String::new(), |r| format!(" ({r})"));
    let state = state.as_str().unwrap_or_default();
    format!("campaign {} is {state}{reason}: {} of {} candidates measured", c.name, c.measured, c.budget)
}

fn list(client: &Client, format: Format) -> Result<(), Failure> {
    let campaigns: Vec<Campaign> = client.get("campaigns")?;
    if format == Format::Json {
        println!("{:#}", json!(campaigns));
        return Ok(());
    }
    let columns = ["campaign", "state", "strategy", "measured", "budget", "infeasible", "failed", "best", "reason"];
    let mut table = Table::new(&columns);
    let row = |c: &Campaign| -> Vec<Value> {
        vec![
            json!(c.name),
            json!(c.state),
            json!(c.strategy),
            json!(c.measured),
            json!(c.budget),
            json!(c.infeasible),
            json!(c.failed),
            json!(c.best.as_ref().and_then(|b| b.accuracy)),
            json!(c.reason),
        ]
    };
    table.rows = campaigns.iter().map(row).collect();
    table.print(format)
}

fn show(client: &Client, name: &str, which: &str, format: Format) -> Result<(), Failure> {
    let campaign: Campaign = client.get(&format!("campaigns/{name}"))?;
    let candidates: Vec<Candidate> = client.get(&format!("campaigns/{name}/{which}"))?;
    if format == Format::Json {
        println!("{:#}", json!({ "campaign": campaign, "candidates": candidates }));
        return Ok(());
    }
    let front = front(client, &campaign)?;
    if format == Format::Table {
        println!("{}", line(&campaign));
        println!("{}", limits(&campaign));
        front
            .iter()
            .for_each(|front| println!("objective: the front of accuracy, ticks, flash and RAM, now {}", front.len()));
        campaign.training.iter().for_each(|training| println!("{}", self::training(training)));
        campaign.prediction_error.iter().for_each(|error| println!("{}", predictions(error)));
        println!();
    }
    let found = match &front {
        Some(front) => front.iter().map(|c| c.id).collect(),
        None => campaign.best.iter().map(|best| best.id).collect(),
    };
    let marks = Marks { ids: found, word: if front.is_some() { "front" } else { "best" } };
    table(&candidates, &marks).print(format)
}

/// The front of a campaign that is after one.
fn front(client: &Client, campaign: &Campaign) -> Result<Option<Vec<Candidate>>, Failure> {
    let asked = campaign.objective == Objective::Front.name();
    asked.then(|| client.get(&format!("campaigns/{}/front", campaign.name))).transpose()
}

/// What the note of some candidates begins with.
#[derive(Default)]
struct Marks {
    ids: Vec<i64>,
    word: &'static str,
}

/// How far a training is, in a line.
pub fn training(t: &Training) -> String {
    let p = &t.progress;
    let label = p.label.as_ref().map_or_else(String::new, |label| format!(" ({label})"));
    let of = p.steps.map_or_else(String::new, |steps| format!(" of {steps}"));
    format!(
        "training episode {}{label}: {:.0} %, step {}{of}, loss {:.3}, {:.0} s to go",
        t.episode,
        p.share * 100.0,
        p.step,
        p.loss,
        p.remaining_s
    )
}

fn limits(c: &Campaign) -> String {
    let Some(l) = c.limits else { return "limits: not known before the baselines are measured".into() };
    let limit = |n: Option<u64>, unit: &str| n.map_or("unlimited".into(), |n| format!("{n} {unit}"));
    format!(
        "limits: flash {}, RAM {}, latency {}",
        limit(l.flash_bytes, "bytes"),
        limit(l.ram_bytes, "bytes"),
        limit(l.latency_ticks, &c.unit)
    )
}

/// How good predictions were, in a line.
fn predictions(error: &PredictionError) -> String {
    let percent = |x: f64| format!("{:.2} %", x * 100.0);
    let (median, max, bias) = (percent(error.median), percent(error.max), percent(error.bias));
    format!("predicted latency: median error {median} over {} candidates, at most {max}, bias {bias}", error.candidates)
}

/// Beside the ticks, where anything was predicted: what was expected, and by how many per cent that was too much.
fn add_predictions(table: &mut Table, candidates: &[Candidate]) {
    if candidates.iter().all(|c| c.predicted_ticks.is_none()) {
        return;
    }
    let at = table.columns.iter().position(|c| c == "ticks").map_or(0, |i| i + 1);
    table.columns.splice(at..at, ["predicted".to_owned(), "error %".to_owned()]);
    for (row, c) in table.rows.iter_mut().zip(candidates) {
        let percent = c.prediction_error.map(|e| (e * 1e4).round() / 100.0);
        row.splice(at..at, [json!(c.predicted_ticks), json!(percent)]);
    }
}

fn table(candidates: &[Candidate], marks: &Marks) -> Table {
    let columns = [
        "episode", "what", "state", "accuracy", "ticks", "flash", "ram", "bits", "feasible", "reward", "board", "note",
    ];
    let mut table = Table::new(&columns);
    let row = |c: &Candidate| -> Vec<Value> {
        let feasible = c.feasible.map_or("?", |f| if f { "yes" } else { "no" });
        let note = match (marks.ids.contains(&c.id), &c.reason) {
            (true, _) => marks.word.to_owned(),
            (false, Some(reason)) => reason.clone(),
            (false, None) => String::new(),
        };
        vec![
            json!(c.index),
            json!(c.label.clone().unwrap_or_else(|| c.strategy.clone())),
            json!(c.state),
            json!(c.accuracy),
            json!(c.ticks),
            json!(c.flash_bytes),
            json!(c.ram_bytes),
            json!(c.weight_bits_mean),
            json!(feasible),
            json!(c.reward),
            json!(c.board),
            json!(note),
        ]
    };
    table.rows = candidates.iter().map(row).collect();
    add_predictions(&mut table, candidates);
    table
}

/// `hil best`
pub fn best(client: &Client, args: &Best) -> Result<(), Failure> {
    let campaigns: Vec<Campaign> = match &args.campaign {
        Some(name) => vec![client.get(&format!("campaigns/{name}"))?],
        None => client.get("campaigns")?,
    };
    let errors: Vec<_> = campaigns.iter().filter_map(|c| Some((c.name.clone(), c.prediction_error?))).collect();
    let front = match (&args.campaign, campaigns.first()) {
        (Some(_), Some(campaign)) => front(client, campaign)?,
        _ => None,
    };
    let best: Vec<Candidate> = front.unwrap_or_else(|| campaigns.into_iter().filter_map(|c| c.best).collect());
    if best.is_empty() {
        let what = args.campaign.as_ref().map_or("any campaign".into(), |c| format!("campaign {c}"));
        let failure = Failure::error(format!("no feasible candidate in {what} yet"));
        return Err(Failure { code: super::exit::NOT_FOUND, ..failure }.help("hil campaign list"));
    }
    if args.format == Format::Json {
        println!("{:#}", json!(best));
        return Ok(());
    }
    let mut found = table(&best, &Marks::default());
    found.columns.insert(0, "campaign".into());
    for (row, candidate) in found.rows.iter_mut().zip(&best) {
        row.insert(0, json!(candidate.campaign));
    }
    found.print(args.format)?;
    if args.format == Format::Table {
        if let [only] = best.as_slice() {
            println!("\n{}", layers::of(client, only)?.render(Format::Table));
        }
        errors.iter().for_each(|(name, error)| println!("{name}: {}", predictions(error)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(index: u32, predicted: Option<u64>) -> Candidate {
        serde_json::from_value(json!({
            "id": index, "campaign": "kws", "index": index, "strategy": "ilp", "state": "done", "accuracy": 0.9125,
            "ticks": 3_000_000, "unit": "instructions", "predicted_ticks": predicted,
            "prediction_error": predicted.map(|p| p as f64 / 3e6 - 1.0), "flash_bytes": 51_200, "ram_bytes": 20_480,
            "weight_bits_mean": 4.5, "feasible": true, "reward": -0.125, "board": "v1", "reused": false, "created_at": "",
        }))
        .expect("a candidate")
    }

    #[test]
    fn predictions_stand_beside_what_was_measured() {
        let table = table(&[candidate(4, Some(2_970_000)), candidate(5, None)], &Marks { ids: vec![4], word: "best" });
        insta::assert_snapshot!(table.render(Format::Table));
        let error = PredictionError { candidates: 58, median: 0.0041, max: 0.02, bias: -0.001 };
        insta::assert_snapshot!(predictions(&error), @"predicted latency: median error 0.41 % over 58 candidates, at most 2.00 %, bias -0.10 %");
    }

    #[test]
    fn a_training_is_told_in_a_line() {
        let mut training: Training = serde_json::from_value(json!({
            "episode": 2, "label": "finalist of episode 7", "step": 120, "steps": 600, "share": 0.2, "loss": 0.4123,
            "remaining_s": 35.4,
        }))
        .expect("a training");
        insta::assert_snapshot!(super::training(&training), @"training episode 2 (finalist of episode 7): 20 %, step 120 of 600, loss 0.412, 35 s to go");
        (training.progress.label, training.progress.steps) = (None, None);
        insta::assert_snapshot!(super::training(&training), @"training episode 2: 20 %, step 120, loss 0.412, 35 s to go");
    }

    #[test]
    fn without_predictions_there_are_no_columns_for_them() {
        assert!(!table(&[candidate(5, None)], &Marks::default()).columns.contains(&"predicted".to_owned()));
    }
}
