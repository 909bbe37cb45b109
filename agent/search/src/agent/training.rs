//! A candidate's training inside a campaign: told to the daemon and to people on the way, and gone on with after a death.

use super::AgentError;
use super::api::Training;
use super::client::Client;
use crate::qat::{QatError, Told, Watch};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Between two words to the daemon; it tells everybody who looks on.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Between two lines of the log.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Looks on while the candidate of one episode is trained.
#[derive(Debug)]
pub struct EpisodeRun<'a> {
    client: &'a Client,
    index: u32,
    label: Option<&'a str>,
    /// Steps between two checkpoints.
    every: usize,
    /// The daemon has a checkpoint of this very episode.
    begun_before: bool,
    /// Drawn on a terminal only; otherwise the log has lines.
    bar: ProgressBar,
    told: Option<Instant>,
    logged: Instant,
}

impl<'a> EpisodeRun<'a> {
    /// The training of episode `index`, which people call `label`.
    pub fn new(client: &'a Client, index: u32, label: Option<&'a str>, every: usize, begun_before: bool) -> Self {
        let name = label.map_or_else(|| format!("episode {index}"), |label| format!("episode {index}, {label}"));
        let style = ProgressStyle::with_template("training {prefix} {bar:30} {percent} %, {msg}, {eta} to go");
        let bar = ProgressBar::new(1000).with_style(style.expect("the template is a constant")).with_prefix(name);
        Self { client, index, label, every, begun_before, bar, told: None, logged: Instant::now() }
    }

    fn draw(&mut self, told: &Told, over: bool) {
        let steps = told.steps.map_or_else(String::new, |steps| format!(" of {steps}"));
        let text = format!("step {}{steps}, loss {:.3}", told.step, told.loss);
        if !self.bar.is_hidden() {
            self.bar.set_position((1000.0 * told.share) as u64);
            self.bar.set_message(text);
            if over {
                self.bar.finish_and_clear();
            }
        } else if over || self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            tracing::info!(episode = self.index, "training: {text}, {:.0} s to go", told.remaining_s);
        }
    }
}

impl Watch for EpisodeRun<'_> {
    type Error = AgentError;

    fn checkpoint_every(&self) -> usize {
        self.every
    }

    fn saved(&mut self) -> Result<Option<Vec<u8>>, AgentError> {
        self.begun_before.then(|| self.client.training_checkpoint(self.index)).transpose()
    }

    /// Nothing is lost but time: the training begins anew, and ends in the same image.
    fn unusable(&mut self, error: QatError) -> Result<(), AgentError> {
        tracing::warn!(episode = self.index, "the training begins anew: {error}");
        Ok(())
    }

    fn resumed(&mut self, step: usize) {
        tracing::info!(episode = self.index, step, "the training goes on");
    }

    fn keep(&mut self, checkpoint: &[u8]) -> Result<(), AgentError> {
        self.client.put_training_checkpoint(self.index, checkpoint)
    }

    fn tell(&mut self, told: &Told) -> Result<(), AgentError> {
        let over = told.share >= 1.0;
        self.draw(told, over);
        if over || self.told.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            self.client.put_training(self.index, &Training::of(told, self.label))?;
        }
        Ok(())
    }
}
