//! The agent's process.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::AgentPlan;
use crate::{logs, process};

/// How long an agent may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);
/// The exit code by which an agent says that another start would end the same way.
const FINAL: i32 = 3;
/// The loader's exit code for a program whose libraries are not there, and a shell's for a program that is not.
const NO_PROGRAM: i32 = 127;
/// How often a child is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// How an agent's run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with success.
    Done,
    /// By itself, otherwise; its last words.
    Died(String),
    /// As before, but another start would end the same way.
    Hopeless(String),
    /// Because it was asked to, or has nothing left to do.
    Stopped,
}

/// A running agent. Dropping it kills it.
pub struct Agent {
    child: Arc<Mutex<Child>>,
    pid: u32,
    log: PathBuf,
    /// Where in the log this agent's words begin.
    log_begin: u64,
}

impl Agent {
    /// Starts one; what it says goes to the end of `log`.
    ///
    /// # Errors
    /// In words: the program is missing, or the log cannot be written.
    pub fn start(plan: &AgentPlan, campaign: i64, log: PathBuf) -> Result<Self, String> {
        let missing = "no `hil-agent` program beside hil or on PATH; build it: cargo build -p bitrack-search";
        let program = plan.program.clone().or_else(|| process::find_program("hil-agent")).ok_or(missing)?;
        let failed = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        let output = logs::open(&log, logs::LIMIT).map_err(|e| e.to_string())?;
        let errors = output.try_clone().map_err(|e| failed(&log, e))?;
        let log_begin = output.metadata().map_or(0, |log| log.len());
        let mut command = Command::new(&program);
        command.args(["run", "--daemon", &plan.url, "--campaign", &campaign.to_string()]);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = process::spawn(command).map_err(|e| failed(&program, e))?;
        Ok(Self { pid: child.id(), child: Arc::new(Mutex::new(child)), log, log_begin })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it has ended by itself. Cancel-safe.
    pub async fn ended(&mut self) -> Ended {
        loop {
            let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            match status {
                Ok(None) => tokio::time::sleep(GLANCE).await,
                Ok(Some(status)) if status.success() => return Ended::Done,
                Ok(Some(status)) => return self.died(status),
                Err(e) => return Ended::Died(e.to_string()),
            }
        }
    }

    fn died(&self, status: ExitStatus) -> Ended {
        let words = last_words(&self.log, self.log_begin);
        let see = format!("(see {})", self.log.display());
        match status.code() {
            Some(FINAL) => Ended::Hopeless(format!("{} {see}", words.trim_start_matches("error: "))),
            Some(NO_PROGRAM) => {
                Ended::Hopeless(format!("the agent cannot start: {words}; `hil doctor` says what is missing {see}"))
            }
            _ => Ended::Died(format!("{status}: {words} {see}")),
        }
    }

    /// Asks it to end, and makes it.
    pub async fn stop(self) {
        let stop = self.stop_in_background();
        // A panic there leaves a child that dies with this process.
        let _ = stop.await;
    }

    fn stop_in_background(&self) -> JoinHandle<()> {
        let child = self.child.clone();
        tokio::task::spawn_blocking(move || {
            process::stop(&mut child.lock().unwrap_or_else(PoisonError::into_inner), PATIENCE);
        })
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // Errors mean that it has ended and was reaped.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// What it wrote last since `begin`: usually the reason. Of a panic, what it says, and not where.
fn last_words(log: &Path, begin: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(begin.max(len.saturating_sub(16 << 10)).min(len)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let panic = lines.iter().rposition(|line| line.contains(" panicked at ")).and_then(|at| lines.get(at + 1));
    panic.or(lines.last()).map_or_else(|| "it said nothing".to_owned(), |line| (*line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_the_last_line_with_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("agent.log");
        std::fs::write(&log, "first\nmodel cannot be read\n\n").expect("written");
        assert_eq!(last_words(&log, 0), "model cannot be read");
        assert_eq!(last_words(&log, 28), "it said nothing", "the words of an earlier agent are not this one's");
    }

    #[test]
    fn a_panic_is_told_by_what_it_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("agent.log");
        let panic =
            "info\n\nthread 'main' panicked at src/a.rs:1:2:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`\n";
        std::fs::write(&log, panic).expect("written");
        assert_eq!(last_words(&log, 0), "index out of bounds");
    }
}
