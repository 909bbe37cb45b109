//! Runners for single candidates: which kernels images need, and what the runners of networks may take.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bitrack_image::Image;
use bitrack_kernels::{Kernel, Needs};

use super::{Board, build_one, choose};
use crate::repo;

/// What the runners for one network that `cargo xtask test` builds take on the virtual board, at most, in KB of flash: network and
/// bits as in `firmware/kernels/networks.csv`.
const BUDGETS_KB: [(&str, &str, u64); 9] = [
    ("KWS", "8/8", 24),
    ("KWS", "4/8", 24),
    ("KWS", "4/4", 27),
    ("KWS", "mixed", 27),
    ("IC", "8/8", 22),
    ("IC", "4/4", 24),
    ("VWW", "8/8", 30),
    ("VWW", "4/8", 27),
    ("AD", "8/8", 14),
];

/// The kernels that images need, all together, by the names of their cargo features.
///
/// # Errors
/// A file cannot be read, is no image, or has an op that no runner would run; the error names the file.
pub fn kernels_of(images: &[PathBuf]) -> Result<Vec<String>> {
    let needs =
        images.iter().try_fold(Needs::NONE, |needs, file| Ok::<_, anyhow::Error>(needs.join(needs_of(file)?)))?;
    Ok(needs.kernels().map(|kernel| kernel.name().to_owned()).collect())
}

fn needs_of(file: &Path) -> Result<Needs> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let image = Image::parse(&bytes).with_context(|| format!("{} is no image of a candidate", file.display()))?;
    bitrack_engine::kernels(&image).with_context(|| format!("{} cannot be run", file.display()))
}

/// Refuses names that are no kernels, before cargo says so in its own words.
///
/// # Errors
/// The first such name, and all that there are.
pub fn check_names(kernels: &[String]) -> Result<()> {
    let names: Vec<&str> = Kernel::ALL.iter().map(|kernel| kernel.name()).collect();
    match kernels.iter().find(|name| !names.contains(&name.as_str())) {
        Some(name) => bail!("there is no kernel `{name}`: there are {}", names.join(", ")),
        None => Ok(()),
    }
}

/// Builds the networks' runners for the virtual board and holds each to its budget.
///
/// # Errors
/// When one does not build, or takes more.
pub fn hold_to_budgets() -> Result<()> {
    let list = repo::root().join("firmware/kernels/networks.csv");
    let list = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let toolchain = choose(None)?;
    let mut over = Vec::new();
    for (network, bits, budget_kb) in BUDGETS_KB {
        let budget = 1024 * budget_kb;
        let flash = build_one(&toolchain, Board::Mps2An386, &kernels_in(&list, network, bits)?)?.sizes.flash();
        keep(network, bits)?;
        println!("runner for {network:<4} {bits:<6} {flash:>6} bytes of flash, of {budget}");
        if flash > budget {
            over.push(format!("{network} {bits} takes {flash} bytes, {budget} are allowed"));
        }
    }
    ensure!(over.is_empty(), "runners for one network are over their budgets: {}", over.join("; "));
    Ok(())
}

/// Keeps what was just built for the tests that run it.
fn keep(network: &str, bits: &str) -> Result<()> {
    let folder = repo::root().join("target/firmware/single");
    let file = folder.join(format!("{network}-{}.elf", bits.replace('/', "-")));
    fs::create_dir_all(&folder)?;
    fs::copy(Board::Mps2An386.single_elf(), &file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// The kernels of one line.
fn kernels_in(list: &str, network: &str, bits: &str) -> Result<Vec<String>> {
    let line = list.lines().find_map(|line| line.strip_prefix(&format!("{network},{bits},")));
    let kernels = line.with_context(|| format!("firmware/kernels/networks.csv has no line for {network} {bits}"))?;
    Ok(kernels.split(' ').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(file: &Path) -> String {
        format!("{:#}", kernels_of(&[file.to_owned()]).unwrap_err())
    }

    #[test]
    fn every_network_with_a_budget_is_in_the_list() {
        let list = fs::read_to_string(repo::root().join("firmware/kernels/networks.csv")).unwrap();
        for (network, bits, _) in BUDGETS_KB {
            let kernels = kernels_in(&list, network, bits).unwrap();
            check_names(&kernels).unwrap();
            assert!(kernels.iter().any(|kernel| kernel.starts_with("activations-")), "{network} {bits}: {kernels:?}");
        }
        assert!(kernels_in(&list, "KWS", "3/3").is_err());
    }

    #[test]
    fn what_is_no_image_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("notes.img");
        assert!(error(&file).contains("cannot read") && error(&file).contains("notes.img"));
        fs::write(&file, [0xFF; 100]).unwrap();
        let said = error(&file);
        assert!(said.contains("notes.img is no image of a candidate") && said.contains("BTRK"), "{said}");
    }

    #[test]
    fn a_name_that_is_no_kernel_is_refused_with_those_that_are() {
        let said = check_names(&["softmax".to_owned(), "conv2d".to_owned()]).unwrap_err().to_string();
        assert!(said.contains("no kernel `conv2d`") && said.contains("conv2d-w8"), "{said}");
    }
}
