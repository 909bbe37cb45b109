//! Children that never outlive the daemon, however it ends.
//!
//! The kernel's parent-death signal is tied to the *thread* that started the child, so all children are started by one
//! thread that lives as long as the process.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getppid};

type Request = (Command, Sender<io::Result<Child>>);

/// Starts `command`; the child is killed when the daemon dies, SIGKILL included.
///
/// # Errors
/// What [`Command::spawn`] says.
pub fn spawn(mut command: Command) -> io::Result<Child> {
    let parent = Pid::this();
    let die_with_parent = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above.
        if getppid() == parent { Ok(()) } else { Err(io::Error::other("the daemon is gone")) }
    };
    // SAFETY: between fork and exec the closure makes two system calls and no allocation on its successful path.
    unsafe { command.pre_exec(die_with_parent) };
    let gone = |_| io::Error::other("the thread that starts children has ended");
    let (answer, child) = channel();
    spawner()?.send((command, answer)).map_err(|_| gone(()))?;
    child.recv().map_err(|_| gone(()))?
}

fn spawner() -> io::Result<&'static Sender<Request>> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    if SPAWNER.get().is_none() {
        let (requests, queue) = channel::<Request>();
        let work = move || {
            for (mut command, answer) in queue {
                // Whoever asked may have given up; the child it would have got is dropped, and dies with this process.
                let _ = answer.send(command.spawn());
            }
        };
        std::thread::Builder::new().name("spawner".into()).spawn(work)?;
        // When two threads race here, the other's thread is used and this one ends with its queue.
        let _ = SPAWNER.set(requests);
    }
    SPAWNER.get().ok_or_else(|| io::Error::other("unreachable: it was just set"))
}

/// Asks a child to end, waits up to `patience`, then kills it. Always reaps.
pub fn stop(child: &mut Child, patience: Duration) {
    let deadline = Instant::now() + patience;
    // An error means that it has ended already.
    let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Ok(Some(_)) | Err(_) => return,
        }
    }
    // Errors mean that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// A program of ours: beside this one, one folder up (test binaries lie in `deps`), or on `PATH`. An environment
/// variable overrides: `HIL_AGENT`, `HIL_VIRTUAL_BOARD`, `HIL_QEMU_SYSTEM_ARM`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let short = name.strip_prefix("hil-").unwrap_or(name);
    let variable = format!("HIL_{}", short.replace('-', "_").to_ascii_uppercase());
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let here = std::env::current_exe().ok();
    let folder = here.as_deref().and_then(Path::parent);
    let beside = folder.into_iter().chain(folder.and_then(Path::parent)).map(|f| f.join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).map(|f| f.join(name)).collect();
    beside.chain(on_path).find(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_child_is_stopped_and_reaped_even_if_it_will_not_listen() {
        for script in ["exec sleep 600", "trap '' TERM; while :; do :; done"] {
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdout(Stdio::null());
            let mut child = spawn(command).expect("sh");
            stop(&mut child, Duration::from_millis(200));
            assert!(child.try_wait().expect("reaped").is_some());
        }
    }

    #[test]
    fn a_missing_program_is_an_error() {
        assert!(spawn(Command::new("/nonexistent/program")).is_err());
        assert_eq!(find_program("no-such-program-of-ours"), None);
    }
}
