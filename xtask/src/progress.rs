//! One line per step: what it does, how long it took, and on failure what to do by hand.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Something to bring about once. Cheap to ask, safe to repeat.
pub trait Step {
    /// Short name, the first column of the progress line.
    fn name(&self) -> String;
    /// Whether there is nothing to do. Asked before *and after* the work: a step that leaves its goal unmet failed.
    fn is_done(&self) -> bool;
    /// What the work does, said before it starts.
    fn doing(&self) -> String;
    /// Brings it about.
    ///
    /// # Errors
    /// Whatever stopped it; [`perform`] adds [`Step::by_hand`].
    fn work(&self) -> Result<()>;
    /// What a person can do when the work fails.
    fn by_hand(&self) -> String;
    /// Whether everything after is pointless without it.
    fn is_required(&self) -> bool {
        true
    }
}

/// Performs a step with its progress lines.
///
/// # Errors
/// When a required step fails, or reports success without being done.
pub fn perform(step: &dyn Step) -> Result<()> {
    if step.is_done() {
        say(&step.name(), "there");
        return Ok(());
    }
    say(&step.name(), &format!("{} ...", step.doing()));
    let start = Instant::now();
    match attempt(step) {
        Ok(()) => say(&step.name(), &format!("done in {}", seconds(start.elapsed()))),
        Err(error) if step.is_required() => return Err(error),
        Err(error) => say(&step.name(), &format!("skipped: {error:#}")),
    }
    Ok(())
}

fn attempt(step: &dyn Step) -> Result<()> {
    let name = step.name();
    match step.work() {
        Err(error) => bail!("{name}: {error:#}\n  by hand: {}", step.by_hand()),
        Ok(()) if !step.is_done() => bail!("{name}: still missing after the step\n  by hand: {}", step.by_hand()),
        Ok(()) => Ok(()),
    }
}

/// Runs a piece of work between two progress lines.
///
/// # Errors
/// The work's own.
pub fn timed<T>(name: &str, doing: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    say(name, &format!("{doing} ..."));
    let start = Instant::now();
    let value = work()?;
    say(name, &format!("done in {}", seconds(start.elapsed())));
    Ok(value)
}

/// Prints a progress line. On standard error: standard output belongs to results and to the test runner.
pub fn say(name: &str, text: &str) {
    eprintln!("xtask  {name:<20} {text}");
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A step whose work is counted, and can be told to fail or to lie.
    #[derive(Default)]
    struct Fake {
        done: Cell<bool>,
        worked: Cell<u32>,
        fails: bool,
        lies: bool,
        optional: bool,
    }

    impl Step for Fake {
        fn name(&self) -> String {
            "fake".into()
        }
        fn is_done(&self) -> bool {
            self.done.get()
        }
        fn doing(&self) -> String {
            "pretending".into()
        }
        fn work(&self) -> Result<()> {
            self.worked.set(self.worked.get() + 1);
            if self.fails {
                bail!("no network");
            }
            self.done.set(!self.lies);
            Ok(())
        }
        fn by_hand(&self) -> String {
            "apt-get install fake".into()
        }
        fn is_required(&self) -> bool {
            !self.optional
        }
    }

    #[test]
    fn work_is_done_once() {
        let step = Fake::default();
        perform(&step).unwrap();
        perform(&step).unwrap();
        assert_eq!(step.worked.get(), 1);
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let step = Fake { fails: true, ..Fake::default() };
        let text = format!("{:#}", perform(&step).unwrap_err());
        assert!(text.contains("no network") && text.contains("apt-get install fake"), "{text}");
    }

    #[test]
    fn success_without_effect_is_a_failure() {
        let step = Fake { lies: true, ..Fake::default() };
        assert!(perform(&step).unwrap_err().to_string().contains("still missing"));
    }

    #[test]
    fn an_optional_step_may_fail() {
        let step = Fake { fails: true, optional: true, ..Fake::default() };
        perform(&step).unwrap();
    }
}
