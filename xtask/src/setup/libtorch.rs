//! libtorch out of PyPI's wheels: 550 MB fetched, of which the 440 MB that a CPU needs are kept.
//!
//! PyPI has no CPU-only build under that version, so the CUDA libraries are left in the wheel, and `libtorch.so`,
//! which would ask for them, becomes a linker script naming the CPU library alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::cache::{is_linked, link, lock};
use crate::progress::Step;
use crate::{repo, shell};

/// The version that the `tch` crate of `Cargo.lock` is written for.
const VERSION: &str = "2.13.0";

/// The wheels, at the versions checked together. libtorch_cpu.so itself links the two CUDA ones.
const WHEELS: &[&str] = &["torch==2.13.0", "nvidia-cuda-runtime==13.5.37", "nvidia-cuda-cupti==13.5.25"];

/// What counts as one wheel platform for PyPI. pip takes the names literally, hence all that occur.
const PLATFORMS: &[&str] = &["manylinux_2_28_x86_64", "manylinux_2_25_x86_64", "manylinux_2_17_x86_64"];

/// Parts of the torch wheel that are not wanted.
const LEFT_OUT: &[&str] = &["torch/lib/libtorch_cuda*", "torch/lib/libtorch_python*", "torch/lib/libtorch_nvshmem*"];

/// What must be there for a link step and a run to succeed.
const ESSENTIAL: &[&str] = &[
    "include/torch/csrc/api/include/torch/torch.h",
    "lib/libc10.so",
    "lib/libtorch.so",
    "lib/libtorch_cpu.so",
    "lib/libcudart.so.13",
    "lib/libcupti.so.13",
];

/// `.libtorch` in the repository, a link into the cache.
pub struct Libtorch {
    dir: PathBuf,
    link: PathBuf,
}

impl Libtorch {
    /// # Errors
    /// When there is no place for the cache.
    pub fn new() -> Result<Self> {
        Ok(Self { dir: repo::cache()?.join(format!("libtorch-{VERSION}")), link: repo::root().join(".libtorch") })
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        self.dir.with_file_name(format!("libtorch-{VERSION}.{suffix}"))
    }

    /// Fetches into a folder beside the final one, and moves it there only when whole.
    fn fetch(&self) -> Result<()> {
        let partial = self.beside("partial");
        let wheels = self.beside("wheels");
        for dir in [&partial, &wheels] {
            renew(dir)?;
        }
        download(&wheels)?;
        unpack(&wheels, &partial)?;
        fs::write(partial.join(".complete"), stamp())?;
        fs::remove_dir_all(&wheels)?;
        replace(&partial, &self.dir)
    }
}

impl Step for Libtorch {
    fn name(&self) -> String {
        format!("libtorch {VERSION}")
    }

    fn is_done(&self) -> bool {
        has_own(&self.link) || (is_complete(&self.dir) && is_linked(&self.link, &self.dir))
    }

    fn doing(&self) -> String {
        if is_complete(&self.dir) {
            return format!("linking {}", self.dir.display());
        }
        format!("pip download {} (550 MB) into {}", WHEELS.join(" "), self.dir.display())
    }

    fn work(&self) -> Result<()> {
        let _lock = lock("libtorch")?;
        if !is_complete(&self.dir) {
            self.fetch()?;
        }
        link(&self.link, &self.dir)
    }

    fn by_hand(&self) -> String {
        format!("set LIBTORCH to a libtorch {VERSION}, or LIBTORCH_USE_PYTORCH=1 where PyTorch {VERSION} is installed")
    }
}

/// Whether the user brings a PyTorch. `.cargo/config.toml` sets LIBTORCH to our link for whoever has set nothing.
fn has_own(link: &Path) -> bool {
    env::var_os("LIBTORCH_USE_PYTORCH").is_some() || env::var_os("LIBTORCH").is_some_and(|dir| Path::new(&dir) != link)
}

fn stamp() -> String {
    WHEELS.join("\n")
}

fn is_complete(dir: &Path) -> bool {
    fs::read_to_string(dir.join(".complete")).is_ok_and(|text| text == stamp())
        && ESSENTIAL.iter().all(|file| dir.join(file).exists())
}

fn download(wheels: &Path) -> Result<()> {
    if env::consts::ARCH != "x86_64" {
        bail!("no recipe for libtorch on {}", env::consts::ARCH);
    }
    shell::quietly(&mut pip_download(wheels))
}

/// The target is spelled out, so that any python3 with pip fetches the same files.
fn pip_download(wheels: &Path) -> Command {
    let mut pip = shell::command("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]);
    pip.args(["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=none"]);
    pip.args(PLATFORMS.iter().map(|platform| format!("--platform={platform}")));
    pip.arg("--dest").arg(wheels).args(WHEELS);
    pip
}

/// Lays out `include/` and `lib/` from the wheels. unzip checks each file's CRC.
fn unpack(wheels: &Path, dir: &Path) -> Result<()> {
    let mut whole = shell::command("unzip", ["-q", "-o"]);
    whole.arg(find_wheel(wheels, "torch-")?);
    whole.args(["torch/lib/*", "torch/include/*", "-x"]).args(LEFT_OUT).arg("-d").arg(dir);
    shell::quietly(&mut whole)?;
    for part in ["lib", "include"] {
        fs::rename(dir.join("torch").join(part), dir.join(part)).with_context(|| format!("no {part} in the wheel"))?;
    }
    fs::remove_dir(dir.join("torch"))?;
    for (wheel, library) in [("nvidia_cuda_runtime-", "libcudart.so.13"), ("nvidia_cuda_cupti-", "libcupti.so.13")] {
        // -j: without the wheel's folders.
        let mut single = shell::command("unzip", ["-q", "-o", "-j"]);
        single.arg(find_wheel(wheels, wheel)?);
        single.arg(format!("nvidia/*/{library}")).arg("-d").arg(dir.join("lib"));
        shell::quietly(&mut single)?;
    }
    fs::write(dir.join("lib/libtorch.so"), "INPUT(-ltorch_cpu)\n").context("cannot write the linker script")
}

fn find_wheel(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let mut files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let is_it = |file: &PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    files.find(is_it).with_context(|| format!("pip fetched no {prefix}*.whl"))
}

fn renew(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

/// Moves `from` to `to`, an unfinished `to` of an earlier version out of the way first.
fn replace(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    fs::rename(from, to).with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(dir: &Path) {
        for file in ESSENTIAL {
            let path = dir.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(dir.join(".complete"), stamp()).unwrap();
    }

    #[test]
    fn half_a_libtorch_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_complete(dir.path()));
        whole(dir.path());
        assert!(is_complete(dir.path()));
        fs::remove_file(dir.path().join("lib/libcupti.so.13")).unwrap();
        assert!(!is_complete(dir.path()));
    }

    #[test]
    fn another_version_is_not_taken_for_ours() {
        let dir = tempfile::tempdir().unwrap();
        whole(dir.path());
        fs::write(dir.path().join(".complete"), "torch==1.0.0").unwrap();
        assert!(!is_complete(dir.path()));
    }

    #[test]
    fn an_unfinished_folder_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        whole(&from);
        fs::create_dir(&to).unwrap();
        fs::write(to.join("half"), "").unwrap();
        replace(&from, &to).unwrap();
        assert!(is_complete(&to) && !to.join("half").exists() && !from.exists());
    }
}
