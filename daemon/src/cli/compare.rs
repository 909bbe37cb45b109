//! `hil compare`: strategies side by side, from the database alone.

use std::io::IsTerminal;
use std::path::Path;

use serde_json::{Value, json};

use super::args::{Compare, Format};
use super::exit::{self, Failure};
use super::table::Table;
use crate::compare::{self, Chart, Look, MILESTONES};
use crate::config::Config;
use crate::store::{Db, StoreError};
use crate::types::{ComparedStrategy, Comparison, Spread};

/// Lines of the chart in a terminal.
const LINES: usize = 16;
/// Columns where the terminal does not say.
const COLUMNS: usize = 100;

/// Reads, compares, prints, and draws where it was asked to.
pub fn run(config: &Config, args: &Compare) -> Result<(), Failure> {
    let comparison = read(&config.daemon.database, &args.campaigns)?;
    let chart = Chart::of(&comparison);
    if let Some(file) = &args.svg {
        let nothing = || Failure::error("nothing feasible was found yet: there is no curve to draw");
        let picture = compare::svg(chart.as_ref().ok_or_else(nothing)?);
        std::fs::write(file, picture).map_err(|e| Failure::error(format!("{}: {e}", file.display())))?;
    }
    match args.format {
        Format::Json => println!("{:#}", json!(comparison)),
        Format::Csv => long_table(&comparison).print(Format::Csv)?,
        Format::Table => {
            table(&comparison).print(Format::Table)?;
            if let Some(chart) = &chart {
                println!("\n{}", compare::text(chart, look(), COLUMNS, LINES).trim_end());
            }
        }
    }
    comparison.notes.iter().for_each(|note| eprintln!("note: {note}"));
    Ok(())
}

fn read(database: &Path, campaigns: &[String]) -> Result<Comparison, Failure> {
    let runs = Db::open_reader(database).and_then(|mut db| db.search_runs(campaigns)).map_err(|e| match e {
        StoreError::NotFound(_) => {
            Failure { code: exit::NOT_FOUND, ..Failure::error(e.to_string()) }.help("hil campaign list")
        }
        other => Failure::error(format!("{}: {other}", database.display()))
            .help("hil daemon (it makes a database, and brings an older one up to date)"),
    })?;
    compare::compare(&runs).map_err(|e| Failure::usage(e.to_string()))
}

/// Dots and colours are for terminals; a file or a pipe gets letters, and so does who wants no colours.
fn look() -> Look {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let colours = std::io::stdout().is_terminal() && !dumb && std::env::var_os("NO_COLOR").is_none();
    if colours { Look::Braille } else { Look::Plain }
}

/// A line per strategy and figure.
fn table(comparison: &Comparison) -> Table {
    let milestones = MILESTONES.map(|n| format!("after {n}"));
    let columns = ["strategy", "seeds", "measured", "best feasible"].into_iter().map(str::to_owned);
    let columns = columns.chain(milestones).chain(["best candidate".to_owned()]).collect();
    let rows = comparison.strategies.iter().flat_map(|s| [reward_row(s), accuracy_row(s)]).collect();
    Table { columns, rows }
}

fn reward_row(s: &ComparedStrategy) -> Vec<Value> {
    let measured = s.campaigns.iter().map(|c| c.measured);
    let range = match (measured.clone().min(), measured.max()) {
        (Some(low), Some(high)) if low < high => format!("{low} to {high}"),
        (_, high) => high.unwrap_or(0).to_string(),
    };
    let head = [json!(s.name), json!(s.campaigns.len().to_string()), json!(range), json!("reward")];
    let best = s.best.as_ref().map(|b| format!("{}, episode {}", b.campaign, b.index));
    row(head, s, |after| cell(&after.reward, |x| format!("{x:.3}")), best)
}

fn accuracy_row(s: &ComparedStrategy) -> Vec<Value> {
    let best = s.best.as_ref().map(|b| {
        let ticks = b.ticks.map_or_else(String::new, |t| format!(", {t} {}", b.unit.as_deref().unwrap_or("ticks")));
        format!("{:.2} %{ticks}, {} B, {} B", b.accuracy.unwrap_or(0.0) * 100.0, b.flash_bytes, b.ram_bytes)
    });
    let head = [json!(""), json!(""), json!(""), json!("accuracy")];
    row(head, s, |after| cell(&after.accuracy, |x| format!("{:.2} %", x * 100.0)), best)
}

fn row(
    head: [Value; 4],
    s: &ComparedStrategy,
    cell: impl Fn(&crate::types::After) -> String,
    best: Option<String>,
) -> Vec<Value> {
    let at = |n: u32| s.milestones.iter().find(|after| after.measurements == n);
    let told = |n: u32| {
        at(n).map(|after| match after.campaigns as usize == s.campaigns.len() {
            true => cell(after),
            false => format!("{}, {} of {}", cell(after), after.campaigns, s.campaigns.len()),
        })
    };
    let milestones = MILESTONES.into_iter().map(|n| json!(told(n)));
    head.into_iter().chain(milestones).chain([json!(best)]).collect()
}

/// Median, and the range where the seeds differ.
fn cell(spread: &Spread, number: impl Fn(f64) -> String) -> String {
    let told = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), &number);
    let Spread { median, low, high } = *spread;
    match low == high {
        true => told(median),
        false => format!("{} ({} to {})", told(median), told(low), told(high)),
    }
}

/// Every measurement's figures in full: a line per strategy and number of measurements.
fn long_table(comparison: &Comparison) -> Table {
    let columns = [
        "strategy",
        "measurements",
        "campaigns",
        "reward_median",
        "reward_low",
        "reward_high",
        "accuracy_median",
        "accuracy_low",
        "accuracy_high",
    ];
    let mut table = Table::new(&columns);
    let lines = comparison.strategies.iter().flat_map(|s| s.curve.iter().map(|after| (&s.name, after)));
    let line = |(name, after): (&String, &crate::types::After)| {
        let of = |s: &Spread| [json!(s.median), json!(s.low), json!(s.high)];
        let head = [json!(name), json!(after.measurements), json!(after.campaigns)];
        head.into_iter().chain(of(&after.reward)).chain(of(&after.accuracy)).collect()
    };
    table.rows = lines.map(line).collect();
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::tests::night;

    #[test]
    fn strategies_stand_in_a_table_by_median_and_range() {
        let comparison = compare::compare(&night()).expect("comparable");
        insta::assert_snapshot!(table(&comparison).render(Format::Table));
    }

    #[test]
    fn every_measurement_is_a_line_for_spreadsheets() {
        let comparison = compare::compare(&night()).expect("comparable");
        let csv = long_table(&comparison).render(Format::Csv);
        let head: String = csv.lines().take(7).flat_map(|line| [line, "\n"]).collect();
        insta::assert_snapshot!(head);
        assert_eq!(csv.lines().count(), 1 + 100 + 60 + 4);
    }
}
