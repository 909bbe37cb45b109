//! A campaign as everybody sees it: its rows, its task, and the clock.

use super::Runtime;
use super::hours::window;
use crate::config::{Window, WindowState};
use crate::store::{StoredCampaign, format_time};
use crate::types::{Campaign, CampaignState};

/// Rows and task as one.
pub fn campaign(stored: StoredCampaign, runtime: Runtime) -> Campaign {
    let state = match (stored.state.as_str(), runtime.running) {
        ("active", true) => CampaignState::Running,
        ("active", false) => CampaignState::Waiting,
        ("stopped", _) => CampaignState::Stopped,
        ("finished", _) => CampaignState::Finished,
        _ => CampaignState::Failed,
    };
    let hours = window(&stored);
    let waits = (state == CampaignState::Waiting).then_some(runtime.reason).flatten();
    Campaign {
        reason: waits.or(stored.reason),
        window: stored.window.as_ref().map(|w| format!("{} on {}, {}", w.hours, w.days, w.zone)),
        window_open: hours.open,
        window_changes_at: hours.changes_at.map(format_time),
        id: stored.id,
        name: stored.name,
        state,
        strategy: stored.strategy,
        objective: stored.objective,
        seed: stored.seed,
        model: stored.model,
        data: stored.data,
        board_types: stored.board_types,
        unit: stored.unit,
        section: stored.section,
        origin: stored.origin,
        budget: stored.budget,
        measured: stored.progress.measured,
        episodes: stored.progress.episodes,
        infeasible: stored.progress.infeasible,
        failed: stored.progress.failed,
        reused: stored.progress.reused,
        limits: stored.limits,
        training: runtime.training,
        best: stored.best,
        prediction_error: stored.prediction_error,
        created_at: stored.created_at,
        started_at: stored.progress.started_at,
        finished_at: stored.finished_at,
        candidates_per_hour: stored.progress.per_hour,
    }
}

/// When a closed window opens, in its own time zone.
pub fn opens(stored: &StoredCampaign, state: &WindowState) -> String {
    let text = stored.window.as_ref();
    let window = text.and_then(|w| Window::new(&w.hours, &w.days, &w.zone).ok());
    match (window, state.changes_at) {
        (Some(window), Some(at)) => format!("opens at {}", window.local(at)),
        _ => "its window never opens".into(),
    }
}
