//! The one way to call hardware: on a thread of its own, with a deadline, and never twice at once on the same board.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Fault;

/// A board's hardware, as far as taking turns goes: a call that got stuck keeps it until it comes back.
#[derive(Clone)]
pub struct Hands(Arc<Semaphore>);

impl Hands {
    /// Free hands.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }

    /// Runs `f`, which blocks. After `deadline` it is given up on: it goes on in its thread, but nothing else touches
    /// the board before it has ended.
    ///
    /// # Errors
    /// `f`'s, or [`Fault::Stuck`].
    pub async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        deadline: Duration,
        f: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let stuck = || Fault::Stuck { what, after: deadline };
        let turn = timeout(deadline, self.0.clone().acquire_owned()).await.map_err(|_| stuck())?;
        let turn = turn.expect("the semaphore is never closed");
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            span.in_scope(f)
        });
        match timeout(deadline, task).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(Fault::Rig(format!("{what} panicked: {panic}"))),
            Err(_) => Err(stuck()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_stuck_call_is_given_up_on_and_keeps_the_board_until_it_ends() {
        let hands = Hands::new();
        let (release, stuck) = mpsc::channel::<()>();
        let blocks = move || stuck.recv().map_err(|_| Fault::ShuttingDown);
        let short = Duration::from_millis(20);
        assert!(matches!(hands.call("a", short, blocks).await, Err(Fault::Stuck { what: "a", .. })));
        assert!(matches!(hands.call("b", short, || Ok(())).await, Err(Fault::Stuck { what: "b", .. })));
        release.send(()).expect("still waiting");
        assert!(hands.call("c", Duration::from_secs(10), || Ok(())).await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_in_a_driver_is_a_fault() {
        let result: Result<(), _> = Hands::new().call("x", Duration::from_secs(10), || panic!("driver")).await;
        assert!(matches!(result, Err(Fault::Rig(_))));
    }
}
