//! Prints what the four MLPerf Tiny networks cost on an emulated board, layer by layer, and what a campaign's candidates
//! cost in wall time. `cargo xtask bench` builds what it needs and runs it; `cargo xtask bench kernels` counts the kernels
//! alone, at every combination of widths.
//!
//! Instructions are exact and repeatable. They are not cycles, and nothing here is a chip's time.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bitrack_model::Bits;
use bitrack_tests::bare_board::BareBoard;
use bitrack_tests::lab::{Lab, shared_data};
use bitrack_tests::networks::{NETWORKS, Report, quantizer_on_noise};
use bitrack_virtual_board::Machine;

const USAGE: &str = "usage: bitrack-bench [--cpu cortex-m4|cortex-m7] [--campaign]";

/// Candidates of the campaign that is timed.
const CAMPAIGN_BUDGET: u32 = 20;

struct Options {
    machine: Machine,
    campaign: bool,
}

fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let Some(shared) = shared_data("the networks") else { return ExitCode::FAILURE };
    let reports = measure(&options, &shared);
    if options.campaign {
        time_campaign(&shared);
    }
    if reports.iter().all(|report| report.bit_exact) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let machine = Machine::Mps2An386;
    let mut options = Options { machine, campaign: false };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--campaign" => options.campaign = true,
            "--cpu" => options.machine = machine_of(&args.next()?)?,
            _ => return None,
        }
    }
    Some(options)
}

fn machine_of(cpu: &str) -> Option<Machine> {
    match cpu {
        "cortex-m4" => Some(Machine::Mps2An386),
        "cortex-m7" => Some(Machine::Mps2An500),
        _ => None,
    }
}

fn cpu(machine: Machine) -> &'static str {
    match machine {
        Machine::Mps2An386 => "cortex-m4",
        Machine::Mps2An500 => "cortex-m7",
    }
}

/// Weight and activation bits that are shown.
const POLICIES: [(Bits, Bits); 2] = [(Bits::Eight, Bits::Eight), (Bits::Four, Bits::Eight)];

fn measure(options: &Options, shared: &Path) -> Vec<Report> {
    let mut board = BareBoard::on(options.machine);
    let mut reports = Vec::new();
    for network in &NETWORKS {
        let quantizer = quantizer_on_noise(network.load(shared));
        for bits in POLICIES {
            let report = network.measure(&quantizer, bits, &mut board);
            print_report(&report, cpu(options.machine));
            reports.push(report);
        }
    }
    print_totals(&reports, cpu(options.machine));
    reports
}

fn per_mac(instructions: u64, macs: u64) -> String {
    if macs == 0 { String::from("-") } else { format!("{:.3}", instructions as f64 / macs as f64) }
}

fn print_report(report: &Report, cpu: &str) {
    let (w, a) = (report.weight_bits.get(), report.activation_bits.get());
    println!("\n{} w{w}a{a}, {cpu} (emulated)", report.network);
    println!(
        "  {:<22} {:<34} {:>4} {:>5} {:>10} {:>12} {:>7}",
        "layer", "shape", "w", "a", "MACs", "instructions", "/MAC"
    );
    for l in &report.layers {
        let bits = l.weight_bits.map_or(String::from("-"), |b| b.to_string());
        let acts = format!("{}>{}", l.input_bits, l.output_bits);
        let rate = per_mac(l.instructions, l.macs);
        println!(
            "  {:<22} {:<34} {bits:>4} {acts:>5} {:>10} {:>12} {rate:>7}",
            l.name, l.shape, l.macs, l.instructions
        );
    }
}

fn print_totals(reports: &[Report], cpu: &str) {
    println!("\n{cpu} (emulated), whole inferences");
    println!(
        "{:<22} {:>5} {:>12} {:>7} {:>12} {:>13} {:>14} {:>6} {:>9}",
        "network",
        "bits",
        "instructions",
        "/MAC",
        "image bytes",
        "arena planned",
        "arena measured",
        "stack",
        "bit-exact"
    );
    for r in reports {
        let bits = format!("w{}a{}", r.weight_bits.get(), r.activation_bits.get());
        println!(
            "{:<22} {bits:>5} {:>12} {:>7} {:>12} {:>13} {:>14} {:>6} {:>9}",
            r.network,
            r.instructions,
            per_mac(r.instructions, r.macs()),
            r.image_bytes,
            r.arena_planned,
            r.arena_measured,
            r.stack_measured,
            if r.bit_exact { "yes" } else { "NO" }
        );
    }
}

/// Wall time per candidate by phase, and candidates per hour, of a keyword-spotting campaign on two boards.
fn time_campaign(shared: &Path) {
    let kws = shared.join("kws");
    let mut lab = Lab::prepare("");
    let board = |name| format!("[[board]]\nname = \"{name}\"\ntype = \"mps2-an386\"\nvirtual = true\n");
    lab.append_config(&format!(
        "{}{}[campaign.kws]\nmodel = \"{3}/ds_cnn_float.tflite\"\ndata = \"{3}\"\nbudget = {2}\n\
         board-types = [\"mps2-an386\"]\nstrategy = \"ddpg\"\nlimits = {{ flash = \"60%\", ram = \"75%\" }}\n",
        board("v1"),
        board("v2"),
        CAMPAIGN_BUDGET,
        kws.display()
    ));
    lab.start_daemon();
    lab.ok(&["campaign", "start", "kws"]);
    lab.wait_for_campaign("kws", &["finished", "failed"], Duration::from_secs(900));
    println!(
        "\nKeyword spotting, {CAMPAIGN_BUDGET} candidates of ddpg on two emulated boards: wall time per candidate in ms"
    );
    let phases = "SELECT printf('%.0f', avg(json_extract(e.wall, '$.accuracy_ms'))) AS accuracy, \
                  printf('%.0f', avg(json_extract(e.wall, '$.image_ms'))) AS image, printf('%.0f', avg(m.flash_ms)) AS flash, \
                  printf('%.0f', avg(m.load_ms + m.run_ms)) AS run, printf('%.1f', avg(m.store_ms)) AS store \
                  FROM episodes e JOIN measurements m ON m.episode = e.id WHERE m.accepted AND m.reused_from IS NULL";
    println!("{}", lab.ok(&["query", phases]));
    let rate = "SELECT printf('%.0f', 3600.0 * (count(*) - 1) / ((julianday(max(finished_at)) - julianday(min(finished_at))) * 86400.0)) \
                AS candidates_per_hour FROM candidates WHERE ticks IS NOT NULL";
    println!("{}", lab.ok(&["query", rate]));
}
