//! `cargo xtask firmware`: the runner for each board, as `target/firmware/BOARD.elf`, within its budget.

pub mod toolchain;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::elf::{self, Sizes};
use crate::progress::{perform, say, timed};
use crate::setup::rust_tools::{FirmwareToolchain, firmware_toolchain};
use crate::{repo, shell};
use toolchain::{TARGET, Toolchain};

/// Flash that the runner may take, so that a board's model slots keep the rest.
const FLASH_BUDGET_BYTES: u64 = 64 * 1024;

/// The boards that the runner is built for. A board's name is its cargo feature in `firmware/runner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Board {
    /// QEMU's Cortex-M4F, the virtual board.
    #[value(name = "mps2-an386")]
    Mps2An386,
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
}

#[derive(Args)]
pub struct Options {
    /// Only this board; repeatable. All boards when absent.
    #[arg(long = "board", value_enum)]
    boards: Vec<Board>,
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
    let toolchain = choose(options.toolchain)?;
    let boards = if options.boards.is_empty() { Board::value_variants() } else { &options.boards };
    build(&toolchain, boards)
}

/// Builds every board with the toolchain at hand.
///
/// # Errors
/// As [`run`].
pub fn build_all() -> Result<()> {
    build(&choose(None)?, Board::value_variants())
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

fn build(toolchain: &Toolchain, boards: &[Board]) -> Result<()> {
    let sizes = boards.iter().map(|board| build_one(toolchain, *board)).collect::<Result<Vec<_>>>()?;
    println!("{:<16} {:>8} {:>8} {:>8}   flash {FLASH_BUDGET_BYTES} at most", "board", "text", "data", "bss");
    for (board, sizes) in boards.iter().zip(&sizes) {
        println!("{}", row(*board, *sizes));
    }
    boards.iter().zip(sizes).try_for_each(|(board, sizes)| within_budget(*board, sizes))
}

fn build_one(toolchain: &Toolchain, board: Board) -> Result<Sizes> {
    let name = board.name();
    let dir = repo::root().join("firmware/runner");
    timed(&format!("runner {name}"), &format!("building with {}", toolchain.name()), || {
        let mut cargo = toolchain.cargo("build", &dir);
        cargo.args(["--quiet", "--release", "--locked", "--no-default-features", "--features", &name]);
        // One folder, whatever CARGO_TARGET_DIR says: we must find the result.
        cargo.args(["--target-dir", "target"]);
        shell::run(&mut cargo)
    })?;
    let built = dir.join("target").join(TARGET).join("release/runner");
    place(&built, board)?;
    elf::sizes(&board.elf())
}

/// Copies beside the final name and renames: a daemon reading at that moment sees the old file or the new one.
fn place(built: &std::path::Path, board: Board) -> Result<()> {
    let elf = board.elf();
    let partial = elf.with_extension("partial");
    fs::create_dir_all(elf.parent().expect("the path has folders"))?;
    fs::copy(built, &partial).with_context(|| format!("cannot copy {}", built.display()))?;
    fs::rename(&partial, &elf).with_context(|| format!("cannot write {}", elf.display()))?;
    say("", &format!("{}", elf.display()));
    Ok(())
}

fn row(board: Board, sizes: Sizes) -> String {
    let used = 100.0 * sizes.flash() as f64 / FLASH_BUDGET_BYTES as f64;
    format!("{:<16} {:>8} {:>8} {:>8}   {used:>5.1} %", board.name(), sizes.text, sizes.data, sizes.bss)
}

fn within_budget(board: Board, sizes: Sizes) -> Result<()> {
    if sizes.flash() > FLASH_BUDGET_BYTES {
        bail!("the runner for {} takes {} bytes of flash, over its {FLASH_BUDGET_BYTES}", board.name(), sizes.flash());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_over_its_budget_is_refused() {
        let board = Board::Mps2An386;
        let at_most = Sizes { text: FLASH_BUDGET_BYTES - 8, data: 8, bss: 1 << 20 };
        within_budget(board, at_most).unwrap();
        let error = within_budget(board, Sizes { data: 9, ..at_most }).unwrap_err().to_string();
        assert!(error.contains("mps2-an386") && error.contains("65537"), "{error}");
    }

    #[test]
    fn each_board_has_its_own_file() {
        let files: Vec<_> = Board::value_variants().iter().map(|board| board.elf()).collect();
        assert!(files[0].ends_with("target/firmware/mps2-an386.elf"));
        assert_eq!(files.iter().collect::<std::collections::BTreeSet<_>>().len(), files.len());
    }
}
