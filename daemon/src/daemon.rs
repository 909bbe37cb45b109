//! The daemon: everything put together, started in order and stopped in reverse.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, oneshot};
use tracing::info;

use crate::api::{self, App};
use crate::campaign::{AgentPlan, Campaigns};
use crate::config::Config;
use crate::images::Images;
use crate::measuring::Measuring;
use crate::rack::Rack;
use crate::store::{Store, now};

/// Changes a slow listener may fall behind before it has to ask anew.
const EVENTS: usize = 1024;
/// How long open connections are waited for when the daemon stops; event streams never end by themselves.
const GRACE: Duration = Duration::from_millis(500);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Another daemon owns the database, the address is taken, or the store cannot be opened.
pub async fn run(config: Config) -> Result<()> {
    let _only_one = lock(&config.daemon.database)?;
    let listen = config.daemon.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let store = Arc::new(Store::open(&config.daemon.database)?);
    let (events, _) = broadcast::channel(EVENTS);
    let rack = Rack::start(&config, store.clone(), events.clone()).await?;
    let images = Images::new(&config.daemon.cache);
    let measuring =
        Measuring { rack: rack.clone(), store: store.clone(), images: images.clone(), events: events.clone() };
    let config = Arc::new(config);
    let campaigns =
        Campaigns::new(config, store.clone(), measuring.clone(), events.clone(), AgentPlan::new(url.clone()));
    campaigns.resume_all().await?;
    let app =
        App { store, rack: rack.clone(), campaigns: campaigns.clone(), measuring, images, events, started_at: now() };
    println!("hil {} is listening on {url}", crate::revision());
    info!(%url, "listening");
    let served = serve(listener, Arc::new(app)).await;
    campaigns.shut_down().await;
    rack.shut_down().await;
    info!("stopped");
    served
}

async fn serve(listener: TcpListener, app: Arc<App>) -> Result<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    let graceful = axum::serve(listener, api::router(app)).with_graceful_shutdown(async {
        // A dropped sender asks for the same.
        let _ = stopped.await;
    });
    let mut server = tokio::spawn(graceful.into_future());
    tokio::select! {
        ended = &mut server => ended.context("the HTTP server died")?.context("the HTTP server failed")?,
        caught = asked_to_stop() => {
            info!("{} caught, stopping", caught?);
            drop(stop);
            if tokio::time::timeout(GRACE, &mut server).await.is_err() {
                server.abort();
            }
        }
    }
    Ok(())
}

async fn asked_to_stop() -> Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// Takes the database for this process; the kernel gives it back however the process ends.
fn lock(database: &Path) -> Result<Flock<std::fs::File>> {
    let path = PathBuf::from(format!("{}.lock", database.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let file = std::fs::File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err(_) => bail!("another daemon already uses {}", database.display()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_database_has_one_daemon() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = folder.path().join("hil.sqlite");
        let first = super::lock(&database).expect("free");
        assert!(super::lock(&database).expect_err("taken").to_string().contains("another daemon"));
        drop(first);
        assert!(super::lock(&database).is_ok());
    }
}
