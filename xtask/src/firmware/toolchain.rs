//! The two compilers that can build for the boards.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// Cortex-M4 and M7 with a floating-point unit.
pub const TARGET: &str = "thumbv7em-none-eabihf";

/// Debian's newer Rust, its library sources, and a linker for Arm.
pub const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "binutils-arm-none-eabi", "lld"];

/// The oldest Debian compiler known to build the firmware.
const DEBIAN_MINIMUM: (u32, u32) = (1, 89);

/// A way to compile for [`TARGET`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The toolchain that runs us, with the target's libraries installed.
    Rustup,
    /// Debian's compiler, which builds `core` from source.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// `cargo SUBCOMMAND` for the target in `dir`, to be completed with what to build.
    pub fn cargo(&self, subcommand: &str, dir: &Path) -> Command {
        let mut cargo = match self {
            Self::Rustup => shell::cargo([subcommand]),
            Self::Debian { linker } => debian_cargo(subcommand, linker),
        };
        cargo.args(["--target", TARGET]).current_dir(dir);
        cargo
    }

    /// For progress lines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Debian { .. } => "Debian",
        }
    }
}

/// Debian's stable compiler takes `-Z` options when told that it is bootstrapping.
fn debian_cargo(subcommand: &str, linker: &Path) -> Command {
    let mut cargo = shell::command("/usr/bin/cargo", [subcommand, "-Z", "build-std=core"]);
    cargo.env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
    cargo.env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", linker);
    cargo.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    cargo
}

/// The first route that is complete.
pub fn find() -> Option<Toolchain> {
    find_rustup().or_else(find_debian)
}

/// rustup's route: the target's libraries lie beside the compiler's own.
pub fn find_rustup() -> Option<Toolchain> {
    let mut rustc = shell::command("rustc", ["--print", "target-libdir", "--target", TARGET]);
    let dir = shell::stdout(&mut rustc).ok()?;
    let has_core = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("libcore-");
    let found = std::fs::read_dir(dir.trim()).ok()?.flatten().any(has_core);
    found.then_some(Toolchain::Rustup)
}

/// Debian's route: new enough a compiler, its library sources, and a linker.
pub fn find_debian() -> Option<Toolchain> {
    let version = shell::stdout(&mut shell::command("/usr/bin/rustc", ["--version"])).ok()?;
    let sources = Path::new("/usr/lib/rustlib/src/rust/library/core/src/lib.rs");
    let usable = parse_version(&version)? >= DEBIAN_MINIMUM && sources.exists();
    let linker = ["ld.lld", "arm-none-eabi-ld"].iter().find_map(|name| shell::which(name))?;
    (usable && Path::new("/usr/bin/cargo").exists()).then_some(Toolchain::Debian { linker })
}

/// `(1, 96)` out of `rustc 1.96.0 (ac68faa20 2026-05-25)`.
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().nth(1)?.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(parse_version("rustc 1.96.0 (ac68faa20 2026-05-25)"), Some((1, 96)));
        assert!(parse_version("rustc 1.63.0").unwrap() < DEBIAN_MINIMUM);
        assert_eq!(parse_version("not a version"), None);
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn both_routes_build_for_the_boards() {
        let debian = Toolchain::Debian { linker: "ld.lld".into() };
        for toolchain in [Toolchain::Rustup, debian] {
            let line = shell::line(&toolchain.cargo("build", Path::new("/")));
            assert!(line.ends_with(&format!("--target {TARGET}")), "{line}");
        }
    }
}
