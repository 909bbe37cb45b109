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
/// How often a child is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// How an agent's run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with success.
    Done,
    /// By itself, otherwise; its last words.
    Died(String),
    /// Because it was asked to, or has nothing left to do.
    Stopped,
}

/// A running agent. Dropping it kills it.
pub struct Agent {
    child: Arc<Mutex<Child>>,
    pid: u32,
    log: PathBuf,
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
        let mut command = Command::new(&program);
        command.args(["run", "--daemon", &plan.url, "--campaign", &campaign.to_string()]);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = process::spawn(command).map_err(|e| failed(&program, e))?;
        Ok(Self { pid: child.id(), child: Arc::new(Mutex::new(child)), log })
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
                Ok(Some(status)) => return Ended::Died(last_words(&self.log, status)),
                Err(e) => return Ended::Died(e.to_string()),
            }
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

/// The last line it wrote: usually the reason.
fn last_words(log: &Path, status: ExitStatus) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(4096)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
    format!("{status}: {last} (see {})", log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_words_are_the_last_line_with_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("agent.log");
        std::fs::write(&log, "first\nmodel cannot be read\n\n").expect("written");
        let words = last_words(&log, ExitStatus::default());
        assert!(words.contains("model cannot be read"), "{words}");
    }
}
