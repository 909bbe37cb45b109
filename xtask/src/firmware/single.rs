//! Runners for single candidates: which kernels images need, and what the runners of networks may take.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use bitrack_image::{Image, Known};
use bitrack_kernels::{Kernel, Needs};

use super::{Board, build_one, choose};
use crate::{repo, shell};

/// What the runners for one candidate that `cargo xtask test` builds take on the virtual board, at most, in bytes of flash: network and
/// bits as in `firmware/kernels/networks.csv`. 24 KB are the aim.
const BUDGETS: [(&str, &str, u64); 16] = [
    ("KWS", "8/8", 16_896),
    ("KWS", "4/8", 17_152),
    ("KWS", "4/4", 19_456),
    ("KWS", "mixed", 20_224),
    ("IC", "8/8", 15_616),
    ("IC", "4/8", 15_616),
    ("IC", "4/4", 17_664),
    ("IC", "mixed", 19_200),
    ("VWW", "8/8", 21_504),
    ("VWW", "4/8", 19_456),
    ("VWW", "4/4", 22_016),
    ("VWW", "mixed", 24_576),
    ("AD", "8/8", 8_448),
    ("AD", "4/8", 8_960),
    ("AD", "4/4", 10_240),
    ("AD", "mixed", 11_008),
];

/// The same for a runner with the kernels of one line, for any image: it makes every check itself.
const ANY_IMAGE: (&str, &str, u64) = ("KWS", "8/8", 23_552);

/// What a build of the runner holds. All kernels for any image by default.
#[derive(Debug, Default)]
pub struct Content {
    /// Names of cargo features; all when empty.
    pub kernels: Vec<String>,
    /// The images that it is bound to; any when empty.
    known: Vec<Known>,
}

impl Content {
    /// The kernels that images need, all together, for these images alone. They are checked in full: the runner relies on it.
    ///
    /// # Errors
    /// A file cannot be read, is no image, or has an op that no runner would run; the error names the file.
    pub fn of_images(images: &[PathBuf]) -> Result<Self> {
        let (mut needs, mut known) = (Needs::NONE, Vec::new());
        for file in images {
            let (needed, image) = check(file)?;
            needs = needs.join(needed);
            known.push(image);
        }
        Ok(Self { kernels: needs.kernels().map(|kernel| kernel.name().to_owned()).collect(), known })
    }

    /// A candidate's image, or where the networks are absent what it would be: its kernels, bound to something of the same size.
    ///
    /// # Errors
    /// As the two others.
    fn of_candidate(image: &Path, kernels: Vec<String>) -> Result<Self> {
        if image.is_file() {
            return Self::of_images(&[image.to_owned()]);
        }
        Ok(Self { known: vec![Known { id: 0, body_crc: 0 }], ..Self::of_kernels(kernels)? })
    }

    /// Certain kernels, for any image that needs no others.
    ///
    /// # Errors
    /// The first name that is no kernel, before cargo says so in its own words, and all that there are.
    pub fn of_kernels(kernels: Vec<String>) -> Result<Self> {
        let names: Vec<&str> = Kernel::ALL.iter().map(|kernel| kernel.name()).collect();
        match kernels.iter().find(|name| !names.contains(&name.as_str())) {
            Some(name) => bail!("there is no kernel `{name}`: there are {}", names.join(", ")),
            None => Ok(Self { kernels, known: Vec::new() }),
        }
    }

    /// Whether it is the runner for any image.
    pub fn is_all(&self) -> bool {
        self.kernels.is_empty()
    }

    /// Whether it is a runner for certain images alone.
    pub fn is_bound(&self) -> bool {
        !self.known.is_empty()
    }

    /// The images, as `firmware/runner/build.rs` reads them.
    pub fn known_in_words(&self) -> String {
        let words = self.known.iter().map(|known| format!("{:08x}-{:08x}", known.id, known.body_crc));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// What an image needs, and what it is recognized by, once it passed every check that a runner for any image makes.
fn check(file: &Path) -> Result<(Needs, Known)> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let image = Image::parse(&bytes).with_context(|| format!("{} is no image of a candidate", file.display()))?;
    let needs = bitrack_engine::kernels(&image).with_context(|| format!("{} cannot be run", file.display()))?;
    Ok((needs, Known::of(&image)))
}

/// Builds the networks' runners for the virtual board, each bound to its image, and holds each to its budget. Runners and images stay for
/// the tests that run them, in `target/firmware/single`.
///
/// # Errors
/// When one does not build, or takes more.
pub fn hold_to_budgets() -> Result<()> {
    let folder = repo::root().join("target/firmware/single");
    write_images(&folder)?;
    let list = repo::root().join("firmware/kernels/networks.csv");
    let list = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let toolchain = choose(None)?;
    let mut over = Vec::new();
    let mut hold = |what: String, content: &Content, budget: u64| -> Result<()> {
        let flash = build_one(&toolchain, Board::Mps2An386, content)?.sizes.flash();
        let file = folder.join(format!("{what}.elf"));
        fs::copy(Board::Mps2An386.single_elf(), &file).with_context(|| format!("cannot write {}", file.display()))?;
        println!("runner for {what:<12} {flash:>6} bytes of flash, of {budget}");
        if flash > budget {
            over.push(format!("{what} takes {flash} bytes, {budget} are allowed"));
        }
        Ok(())
    };
    for (network, bits, budget) in BUDGETS {
        let stem = file_stem(network, bits);
        let content = Content::of_candidate(&folder.join(format!("{stem}.img")), kernels_in(&list, network, bits)?)?;
        hold(stem, &content, budget)?;
    }
    let (network, bits, budget) = ANY_IMAGE;
    let content = Content::of_kernels(kernels_in(&list, network, bits)?)?;
    hold(format!("{}-any", file_stem(network, bits)), &content, budget)?;
    ensure!(over.is_empty(), "runners for one network are over their budgets: {}", over.join("; "));
    Ok(())
}

/// Has the candidates' images written into `folder`, which holds nothing else then.
fn write_images(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    // Built beside this program.
    let program = std::env::current_exe()?.with_file_name("bitrack-single-images");
    shell::run(&mut shell::command(program, [folder]))
}

fn file_stem(network: &str, bits: &str) -> String {
    format!("{network}-{}", bits.replace('/', "-"))
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
        format!("{:#}", Content::of_images(&[file.to_owned()]).unwrap_err())
    }

    #[test]
    fn every_network_with_a_budget_is_in_the_list() {
        let list = fs::read_to_string(repo::root().join("firmware/kernels/networks.csv")).unwrap();
        for (network, bits, _) in BUDGETS {
            let kernels = kernels_in(&list, network, bits).unwrap();
            Content::of_kernels(kernels.clone()).unwrap();
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
        let said = Content::of_kernels(vec!["softmax".to_owned(), "conv2d".to_owned()]).unwrap_err().to_string();
        assert!(said.contains("no kernel `conv2d`") && said.contains("conv2d-w8"), "{said}");
    }
}
