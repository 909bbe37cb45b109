//! A campaign's hours on this host's clock.

use std::time::Duration;

use tokio::sync::{Notify, watch};
use tracing::warn;

use crate::config::{Window, WindowState};
use crate::store::StoredCampaign;

/// A window may be far away, and clocks are set: look again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Whether a campaign may run now, and until when that stays so.
pub fn window(campaign: &StoredCampaign) -> WindowState {
    let always = WindowState { open: true, changes_at: None };
    let Some(text) = &campaign.window else { return always };
    match Window::new(&text.hours, &text.days, &text.zone) {
        Ok(window) => window.at(jiff::Timestamp::now()),
        Err(e) => {
            warn!("the campaign's window cannot be understood, it stays closed: {e}");
            WindowState { open: false, changes_at: None }
        }
    }
}

/// Sleeps until the window changes or somebody wakes the campaign.
pub async fn nap(window: &WindowState, wake: &Notify, shutdown: &mut watch::Receiver<bool>) {
    let until = window.changes_at.map(|at| at.duration_until_now());
    let until = until.map_or(LONGEST_SLEEP, |u| u.min(LONGEST_SLEEP)) + Duration::from_millis(50);
    tokio::select! {
        () = tokio::time::sleep(until) => {}
        () = wake.notified() => {}
        _ = shutdown.wait_for(|down| *down) => {}
    }
}

trait DurationUntilNow {
    /// From now until this moment; nothing when it is past.
    fn duration_until_now(self) -> Duration;
}

impl DurationUntilNow for jiff::Timestamp {
    fn duration_until_now(self) -> Duration {
        let millis = self.as_millisecond() - jiff::Timestamp::now().as_millisecond();
        Duration::from_millis(millis.max(0) as u64)
    }
}
