//! Running other programs. No child reads our standard input: a question that nobody answers must not hang CI.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// How much of a failed program's output is worth showing.
const TAIL_LINES: usize = 40;

/// A command with arguments, run in the repository's root.
pub fn command<I, S>(program: impl AsRef<OsStr>, args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(program);
    command.args(args).current_dir(crate::repo::root()).stdin(Stdio::null());
    command
}

/// The cargo that started us, so that a nested build uses the same toolchain and the same build cache.
pub fn cargo<I, S>(args: I) -> Command
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)
}

/// Runs with the output going straight to the terminal.
///
/// # Errors
/// When the program cannot be started or exits non-zero; the error holds the command line.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

/// Runs silently; only a failure shows the end of what the program said.
///
/// # Errors
/// As [`run`], with the last lines of output.
pub fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed ({})\n{}", line(command), output.status, tail(&output));
    }
    Ok(())
}

/// Standard output of a program that must succeed.
///
/// # Errors
/// As [`quietly`].
pub fn stdout(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed ({})\n{}", line(command), output.status, tail(&output));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", line(command)))
}

/// Whether the program is there and exits zero; its output is thrown away.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The first executable of that name on `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", line(command))
}

/// The command as a person would type it.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn tail(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_shows_what_it_said() {
        let error = quietly(&mut command("sh", ["-c", "echo out of disk >&2; exit 3"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("sh -c") && text.contains("out of disk") && text.contains('3'), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut command("no-such-program", ["--now"])).unwrap_err();
        assert!(format!("{error:#}").contains("cannot start `no-such-program --now`"));
    }

    #[test]
    fn a_long_output_is_cut_to_its_end() {
        let error = quietly(&mut command("sh", ["-c", "seq 1 1000; exit 1"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("1000") && !text.contains("\n900\n"), "{text}");
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(which("sh").is_some());
        assert!(which("no-such-program").is_none());
    }
}
