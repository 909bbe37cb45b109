//! `cargo xtask bench kernels`: every layer of the MLPerf Tiny networks at every combination of widths on both emulated cores,
//! each output verified by the program that counts (`firmware/kernels/bench`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use super::baseline::{self, Baseline};
use super::row::{CSV_HEAD, Cpu, Row, csv};
use super::tables;
use crate::firmware::toolchain::{TARGET, Toolchain};
use crate::progress::{perform, say, timed};
use crate::setup::rust_tools::{FirmwareToolchain, firmware_toolchain};
use crate::{repo, shell};

const BENCH: &str = "firmware/kernels/bench";
const BASELINE: &str = "firmware/kernels/bench/baseline.csv";

/// What to do with the figures.
pub struct Options {
    pub csv: Option<PathBuf>,
    pub check: bool,
    pub bless: bool,
    /// Whether to have the model's cycles beside the instructions, at some cost in time.
    pub estimate_cycles: bool,
}

/// Measures, prints, and checks what is asked for.
///
/// # Errors
/// When something does not build, an output is wrong, or a layer is slower than the baseline's.
pub fn run(options: &Options) -> Result<()> {
    let toolchain = toolchain()?;
    let program = timed("kernels", "building their bench", || build(&toolchain))?;
    let plugin = if options.estimate_cycles { cycle_model() } else { None };
    let all = timed("kernels", "counting on both cores", || measure(&program, plugin.as_deref()))?;
    if let Some(file) = &options.csv {
        write_csv(file, [(Cpu::M4, &all[0]), (Cpu::M7, &all[1])])?;
    }
    // Figures and baseline are of what is usual; the other variants have a table of their own.
    let [(m4, others), (m7, _)] = all.map(|rows| rows.into_iter().partition::<Vec<Row>, _>(|row| row.usual));
    if options.estimate_cycles {
        print(&m4, &m7);
        tables::print_variants(&m4, &others);
        print_arenas()?;
    }
    let compiler = compiler(&toolchain)?;
    if options.bless {
        fs::write(repo::root().join(BASELINE), baseline::render(&m4, &compiler)).context(BASELINE)?;
    }
    if options.check {
        check(&m4, Cpu::M4, &compiler)?;
        check(&m7, Cpu::M7, &compiler)?;
    }
    Ok(())
}

/// The planned arenas of the same networks, as the test that holds them to their limits prints them.
fn print_arenas() -> Result<()> {
    let arguments =
        ["test", "--quiet", "--locked", "--package", "bitrack-model", "--test", "memory", "--", "--nocapture"];
    let text = shell::stdout(&mut shell::cargo(arguments))?;
    println!("\nRAM: tensors and scratch as planned");
    text.lines().filter(|line| line.contains("bytes at 8/8")).for_each(|line| println!("{line}"));
    Ok(())
}

/// What CI does: only the counts, and only against the baseline.
///
/// # Errors
/// As [`run`].
pub fn hold_to_baseline() -> Result<()> {
    run(&Options { csv: None, check: true, bless: false, estimate_cycles: false })
}

fn toolchain() -> Result<Toolchain> {
    perform(&FirmwareToolchain)?;
    firmware_toolchain()
}

fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let dir = repo::root().join(BENCH);
    let mut cargo = toolchain.cargo("build", &dir);
    // One folder, whatever CARGO_TARGET_DIR says: we must find the result.
    shell::run(cargo.args(["--quiet", "--release", "--locked", "--target-dir", "target"]))?;
    Ok(dir.join("target").join(TARGET).join("release/kernels-bench"))
}

/// The plugin that estimates cycles, if it can be built.
fn cycle_model() -> Option<PathBuf> {
    let arguments =
        ["build", "--quiet", "--release", "--locked", "--package", "bitrack-cycles", "--target-dir", "target"];
    match shell::run(&mut shell::cargo(arguments)) {
        Ok(()) => Some(repo::root().join("target/release/libbitrack_cycles.so")),
        Err(error) => {
            say("kernels", &format!("no estimate of cycles: {error:#}"));
            None
        }
    }
}

/// Both cores at once: they take a processor each.
fn measure(program: &Path, plugin: Option<&Path>) -> Result<[Vec<Row>; 2]> {
    let [m4, m7] = thread::scope(|scope| {
        // The model is the Cortex-M4's.
        let m4 = scope.spawn(|| measure_on(Cpu::M4, program, plugin));
        let m7 = measure_on(Cpu::M7, program, None);
        [m4.join().expect("a panic here is a defect"), m7]
    });
    Ok([m4?, m7?])
}

fn measure_on(cpu: Cpu, program: &Path, plugin: Option<&Path>) -> Result<Vec<Row>> {
    let Some(plugin) = plugin else {
        return rows(&shell::stdout(&mut qemu(cpu, program))?);
    };
    let cycles = program.with_file_name("cycles.txt");
    let argument = format!("file={},out={}", plugin.display(), cycles.display());
    match shell::stdout(qemu(cpu, program).args(["-plugin", &argument])) {
        Ok(text) => with_cycles(rows(&text)?, &fs::read_to_string(&cycles)?),
        Err(error) => {
            say("kernels", &format!("no estimate of cycles: {error:#}"));
            measure_on(cpu, program, None)
        }
    }
}

/// `shift=8`: 256 ns an instruction, which the board's 25 MHz timer counts exactly.
fn qemu(cpu: Cpu, program: &Path) -> Command {
    let mut qemu = shell::command("qemu-system-arm", ["-M", cpu.machine(), "-icount", "shift=8", "-kernel"]);
    qemu.arg(program).args(["-display", "none", "-monitor", "none", "-serial", "stdio"]);
    qemu.args(["-semihosting-config", "enable=on,target=native"]);
    qemu
}

fn rows(text: &str) -> Result<Vec<Row>> {
    let rows: Vec<Row> = text.lines().filter_map(Row::parse).collect();
    ensure!(!rows.is_empty(), "the bench program printed no layer:\n{text}");
    Ok(rows)
}

/// The model's counts come in the order of the layers.
fn with_cycles(rows: Vec<Row>, cycles: &str) -> Result<Vec<Row>> {
    let cycles: Vec<u64> =
        cycles.lines().map(|line| line.parse().context("a count of cycles")).collect::<Result<_>>()?;
    ensure!(cycles.len() == rows.len(), "{} counts of cycles for {} layers", cycles.len(), rows.len());
    Ok(rows.into_iter().zip(cycles).map(|(row, cycles)| Row { cycles: Some(cycles), ..row }).collect())
}

fn print(m4: &[Row], m7: &[Row]) {
    tables::print_layers(m4);
    tables::print_totals(m4, Cpu::M4);
    tables::print_totals(m7, Cpu::M7);
    tables::print_cycles(m4);
    tables::print_sub_byte(m4);
}

fn write_csv(file: &Path, cores: [(Cpu, &[Row]); 2]) -> Result<()> {
    let revision = shell::stdout(&mut shell::command("git", ["log", "-1", "--format=%h"])).unwrap_or_default();
    let mut text = format!("{CSV_HEAD}\n");
    for (cpu, rows) in cores {
        for row in rows.iter().chain(&tables::totals(rows)) {
            text += &csv(row, cpu, revision.trim());
        }
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn check(rows: &[Row], cpu: Cpu, compiler: &str) -> Result<()> {
    let text = fs::read_to_string(repo::root().join(BASELINE)).context(BASELINE)?;
    let baseline = Baseline::parse(&text).context(BASELINE)?;
    let verdict = baseline.compare(rows, compiler);
    if baseline.compiler != compiler {
        say("kernels", &format!("the baseline is of {}, this is {compiler}: 2 % are allowed", baseline.compiler));
    }
    say("kernels", &format!("{}: {} counts, {} lower than before", cpu.name(), verdict.compared, verdict.faster));
    if !verdict.worse.is_empty() {
        bail!("slower than {BASELINE} on {}:\n{}", cpu.name(), verdict.worse.join("\n"));
    }
    Ok(())
}

/// Counts depend on it.
fn compiler(toolchain: &Toolchain) -> Result<String> {
    let rustc = match toolchain {
        Toolchain::Rustup => "rustc",
        Toolchain::Debian { .. } => "/usr/bin/rustc",
    };
    Ok(shell::stdout(&mut shell::command(rustc, ["--version"]))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_go_to_layers_in_order() {
        let text = "# 1 cases\nKWS,pw1,conv,s,8,8,10,20,0,pixels,1\nKWS,pw2,conv,s,8,8,10,20,0,pixels,1\n";
        let both = with_cycles(rows(text).unwrap(), "30\n40\n").unwrap();
        assert_eq!(both.iter().map(|row| row.cycles).collect::<Vec<_>>(), [Some(30), Some(40)]);
        assert!(with_cycles(rows(text).unwrap(), "30\n").is_err());
        assert!(rows("# nothing").is_err());
    }
}
