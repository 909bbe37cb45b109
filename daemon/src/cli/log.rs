//! Where the daemon's log goes: short to the terminal, whole and as JSON to the file.

use std::io::{self, IsTerminal};
use std::path::Path;

use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::logs::{self, Rotating};

/// Without `RUST_LOG`: what we do, and what the libraries complain about.
const DEFAULT: &str = "warn,hil=info";

/// Begins logging. The guard writes what is left when it is dropped.
///
/// # Errors
/// The log file cannot be opened.
pub fn begin(path: &Path) -> io::Result<WorkerGuard> {
    let file = Rotating::open(path, logs::LIMIT)?;
    let (file, guard): (NonBlocking, _) = tracing_appender::non_blocking(file);
    let filter = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let whole = fmt::layer().json().with_current_span(true).with_span_list(true).with_writer(file);
    let short = fmt::layer().compact().with_target(false).with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    tracing_subscriber::registry().with(filter()).with(whole).with(short).init();
    Ok(guard)
}
