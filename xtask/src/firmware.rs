//! `cargo xtask firmware`: the runner for each board, as `target/firmware/BOARD.elf`, within its budget.

pub mod single;
pub mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::elf::{self, Sizes};
use crate::progress::{perform, say, timed};
use crate::setup::rust_tools::{FirmwareToolchain, firmware_toolchain};
use crate::{repo, shell};
use single::Content;
use toolchain::{TARGET, Toolchain};

/// Flash that the runner may take, so that a board's model slots keep the rest.
const FLASH_BUDGET_BYTES: u64 = 58 * 1024;

/// Flash that a runner for certain images should do with: what else a product has goes beside it.
const BOUND_AIM_BYTES: u64 = 24 * 1024;

/// Code of all kernels together.
const KERNELS_BUDGET_BYTES: u64 = 48 * 1024;

/// RAM that the runner may take beside stack and arena, so that networks keep the rest.
const RAM_BUDGET_BYTES: u64 = 4 * 1024;

/// The boards that the runner is built for. A board's name is its binary and its feature in `firmware/runner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Board {
    /// QEMU's Cortex-M4F, the virtual board.
    #[value(name = "mps2-an386")]
    Mps2An386,
    /// QEMU's Cortex-M7, to see the same code on the other core.
    #[value(name = "mps2-an500")]
    Mps2An500,
    /// Cortex-M4F, STM32L4R5ZI.
    #[value(name = "nucleo-l4r5zi")]
    NucleoL4r5zi,
    /// Cortex-M7, STM32H743ZI.
    #[value(name = "nucleo-h743zi")]
    NucleoH743zi,
}

impl Board {
    fn name(self) -> String {
        let value = self.to_possible_value().expect("no board is hidden from the command line");
        value.get_name().to_owned()
    }

    /// Where its firmware is placed.
    pub fn elf(self) -> PathBuf {
        repo::root().join("target/firmware").join(format!("{}.elf", self.name()))
    }

    /// Where a runner with only some kernels is placed.
    fn single_elf(self) -> PathBuf {
        repo::root().join("target/firmware").join(format!("{}-single.elf", self.name()))
    }
}

#[derive(Args)]
pub struct Options {
    /// Only this board; repeatable. All boards when absent.
    #[arg(long = "board", value_enum)]
    boards: Vec<Board>,
    /// A runner for this image alone, a file that `hil-agent image` or `hil-agent finetune` wrote, as `target/firmware/BOARD-single.elf`:
    /// with the kernels that it needs, and without the checks that are made here instead. Repeatable: a runner for all of them. It
    /// refuses any other image.
    #[arg(long = "for", value_name = "IMAGE", conflicts_with = "kernels")]
    images: Vec<PathBuf>,
    /// Only these kernels, as `hil-agent image` lists them for an image: a runner for any image that needs no others.
    #[arg(long, value_delimiter = ',')]
    kernels: Vec<String>,
    /// Which compiler to use; the first that is complete when absent.
    #[arg(long, value_enum)]
    toolchain: Option<Route>,
}

/// A choice of [`Toolchain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Route {
    Rustup,
    Debian,
}

/// Builds the chosen boards.
///
/// # Errors
/// When there is no toolchain, a build fails, or a runner is over its budget.
pub fn run(options: &Options) -> Result<()> {
    let content = if options.images.is_empty() {
        Content::of_kernels(options.kernels.clone())?
    } else {
        Content::of_images(&options.images)?
    };
    let toolchain = choose(options.toolchain)?;
    let boards = if options.boards.is_empty() { Board::value_variants() } else { &options.boards };
    build(&toolchain, boards, &content)
}

/// Builds one board with the toolchain at hand.
///
/// # Errors
/// As [`run`].
pub fn build_for(board: Board) -> Result<()> {
    build(&choose(None)?, &[board], &Content::default())
}

/// Builds every board with the toolchain at hand.
///
/// # Errors
/// As [`run`].
pub fn build_all() -> Result<()> {
    build(&choose(None)?, Board::value_variants(), &Content::default())
}

fn choose(route: Option<Route>) -> Result<Toolchain> {
    match route {
        Some(Route::Rustup) => toolchain::find_rustup().context("rustup's target is not installed"),
        Some(Route::Debian) => toolchain::find_debian().context("Debian's compiler is not complete"),
        None => {
            perform(&FirmwareToolchain)?;
            firmware_toolchain()
        }
    }
}

fn build(toolchain: &Toolchain, boards: &[Board], content: &Content) -> Result<()> {
    let runners = boards.iter().map(|board| build_one(toolchain, *board, content)).collect::<Result<Vec<_>>>()?;
    let columns = ["text", "data", "bss", "flash", "RAM", "kernels"].map(|column| format!("{column:>8}"));
    println!("{:<16} {}", "board", columns.join(" "));
    runners.iter().for_each(|runner| println!("{}", runner.row()));
    runners.iter().try_for_each(Runner::within_budgets)
}

/// A built runner.
#[derive(Clone, Copy, Debug)]
struct Runner {
    board: Board,
    sizes: Sizes,
    /// Bytes of the kernels' code.
    kernels: u64,
}

/// A runner for certain images that would be over the aim is built with short loops instead, if it is within it then.
fn build_one(toolchain: &Toolchain, board: Board, content: &Content) -> Result<Runner> {
    let build = |loops| build_with(toolchain, board, content, loops);
    let runner = build(Loops::Long)?;
    if !content.is_bound() || runner.sizes.flash() <= BOUND_AIM_BYTES {
        return Ok(runner);
    }
    let short = build(Loops::Short)?;
    if short.sizes.flash() > BOUND_AIM_BYTES {
        return build(Loops::Long);
    }
    say("", "with short loops, which cost 1 to 2.5 % of instructions: it is over 24 KB without");
    Ok(short)
}

/// How long the inner loops of matrix products are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loops {
    Long,
    Short,
}

fn build_with(toolchain: &Toolchain, board: Board, content: &Content, loops: Loops) -> Result<Runner> {
    let name = board.name();
    let dir = repo::root().join("firmware/runner");
    let target_dir = if content.is_all() { "target" } else { "target/single" };
    timed(&format!("runner {name}"), &format!("building with {}", toolchain.name()), || {
        let mut cargo = toolchain.cargo("build", &dir);
        cargo.args(["--quiet", "--release", "--locked", "--bin", &name, "--features", &name]);
        if !content.is_all() {
            cargo.arg("--no-default-features");
            cargo.args(content.kernels.iter().map(|kernel| format!("--features=bitrack-kernels/{kernel}")));
        }
        if loops == Loops::Short {
            cargo.arg("--features=bitrack-kernels/short-loops");
        }
        cargo
            .env("BITRACK_REVISION", revision())
            .env("BITRACK_KNOWN", content.known_in_words())
            .args(["--config", &without_this_machines_paths()]);
        // One folder, whatever CARGO_TARGET_DIR says: we must find the result.
        cargo.args(["--target-dir", target_dir]);
        shell::run(&mut cargo)
    })?;
    let built = dir.join(target_dir).join(TARGET).join("release").join(&name);
    let elf = if content.is_all() { board.elf() } else { board.single_elf() };
    place(&built, &elf)?;
    Ok(Runner { board, sizes: elf::sizes(&elf)?, kernels: elf::kernel_text(&elf)? })
}

/// What the firmware says it was built from: the last commit that touched it, and whether anything was changed since.
/// Not the repository's last commit, or every one of those would have all boards flashed again.
fn revision() -> String {
    let parts = ["runner", "engine", "kernels", "image", "wire", "reason"].map(|part| format!("firmware/{part}"));
    let git = |args: &[&str]| {
        let mut git = shell::command("git", args.iter().copied());
        shell::stdout(git.arg("--").args(&parts).current_dir(repo::root())).unwrap_or_default()
    };
    let commit = git(&["log", "-1", "--format=%h"]);
    let dirty = if git(&["status", "--porcelain"]).trim().is_empty() { "" } else { "-dirty" };
    format!("{}{dirty}", commit.trim())
}

/// Compiler flags that cut this machine's folders from the paths that panics carry: they would cost flash, and make
/// firmware of one source differ from host to host.
fn without_this_machines_paths() -> String {
    let folders = registry_folders().into_iter().chain([repo::root().join("firmware")]);
    let flags: Vec<_> = folders.map(|folder| format!("'--remap-path-prefix={}/='", folder.display())).collect();
    format!("target.{TARGET}.rustflags=[{}]", flags.join(", "))
}

/// Where cargo unpacks each registry's crates.
fn registry_folders() -> Vec<PathBuf> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let Some(home) = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))) else {
        return Vec::new();
    };
    let registries = fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten();
    registries.map(|entry| entry.path()).collect()
}

/// Copies beside the final name and renames: a daemon reading at that moment sees the old file or the new one.
fn place(built: &Path, elf: &Path) -> Result<()> {
    let partial = elf.with_extension("partial");
    fs::create_dir_all(elf.parent().expect("the path has folders"))?;
    fs::copy(built, &partial).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::rename(&partial, elf).with_context(|| format!("cannot write {}", elf.display()))?;
    say("", &format!("{}", elf.display()));
    Ok(())
}

impl Runner {
    fn row(&self) -> String {
        let Sizes { text, data, bss } = self.sizes;
        let parts = self.budgets().map(|(_, used, budget)| format!("{:>8}", percent(used, budget)));
        format!("{:<16} {text:>8} {data:>8} {bss:>8} {}", self.board.name(), parts.join(" "))
    }

    /// What, bytes used, bytes that may be used.
    fn budgets(&self) -> [(&'static str, u64, u64); 3] {
        [
            ("flash", self.sizes.flash(), FLASH_BUDGET_BYTES),
            ("RAM", self.sizes.ram(), RAM_BUDGET_BYTES),
            ("kernels' code", self.kernels, KERNELS_BUDGET_BYTES),
        ]
    }

    fn within_budgets(&self) -> Result<()> {
        for (what, used, budget) in self.budgets() {
            if used > budget {
                bail!("the runner for {} takes {used} bytes of {what}, over its {budget}", self.board.name());
            }
        }
        Ok(())
    }
}

fn percent(used: u64, budget: u64) -> String {
    format!("{:.1} %", 100.0 * used as f64 / budget as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_over_its_budget_is_refused() {
        let sizes = Sizes { text: FLASH_BUDGET_BYTES - 8, data: 8, bss: RAM_BUDGET_BYTES - 8 };
        let at_most = Runner { board: Board::Mps2An386, sizes, kernels: KERNELS_BUDGET_BYTES };
        at_most.within_budgets().unwrap();
        let over_flash = Runner { sizes: Sizes { text: sizes.text + 1, ..sizes }, ..at_most };
        let over_ram = Runner { sizes: Sizes { bss: sizes.bss + 1, ..sizes }, ..at_most };
        let over_code = Runner { kernels: at_most.kernels + 1, ..at_most };
        for (runner, bytes) in [
            (over_flash, format!("{} bytes of flash", FLASH_BUDGET_BYTES + 1)),
            (over_ram, format!("{} bytes of RAM", RAM_BUDGET_BYTES + 1)),
            (over_code, format!("{} bytes of kernels' code", KERNELS_BUDGET_BYTES + 1)),
        ] {
            let error = runner.within_budgets().unwrap_err().to_string();
            assert!(error.contains("mps2-an386") && error.contains(&bytes), "{error}");
        }
    }

    #[test]
    fn each_board_has_its_own_file() {
        let files: Vec<_> = Board::value_variants().iter().map(|board| board.elf()).collect();
        assert!(files[0].ends_with("target/firmware/mps2-an386.elf"));
        assert_eq!(files.iter().collect::<std::collections::BTreeSet<_>>().len(), files.len());
    }
}
