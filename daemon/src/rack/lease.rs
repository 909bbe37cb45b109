//! Who may use which board: first come, first served, and whoever goes away gives back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Want {
    /// This board and no other.
    pub board: Option<String>,
    /// Any board of this type.
    pub board_type: Option<String>,
    /// Boards to use only when no other will ever do: where it failed before.
    pub avoid: Vec<String>,
    /// For people: who holds the board.
    pub holder: String,
}

/// Why there will be no lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoBoard {
    #[error("no board {0} in the rack")]
    Unknown(String),
    #[error("every board that would do is quarantined: {}", .0.join(", "))]
    Quarantined(Vec<String>),
}

/// A board, exclusively, until dropped.
#[derive(Debug)]
pub struct Lease {
    broker: Broker,
    board: String,
}

impl Lease {
    /// The board's name.
    pub fn board(&self) -> &str {
        &self.board
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.broker.give_back(&self.board);
    }
}

/// Whether a board can be leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    Ready,
    /// Busy with itself; will be ready again.
    NotYet,
    /// Not before somebody helps.
    Quarantined,
}

#[derive(Debug)]
struct Entry {
    board_type: String,
    availability: Availability,
    holder: Option<String>,
    failures: u32,
    /// When it was last leased, counted in leases: boards take turns.
    last_used: u64,
}

#[derive(Debug)]
struct Waiter {
    want: Want,
    answer: oneshot::Sender<Result<Lease, NoBoard>>,
}

#[derive(Debug, Default)]
struct State {
    boards: BTreeMap<String, Entry>,
    leases: u64,
    waiters: Vec<Waiter>,
}

/// Hands out leases. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Broker(Arc<Mutex<State>>);

impl Broker {
    /// Adds a board; it is not available yet.
    pub fn add(&self, board: &str, board_type: &str) {
        let entry = Entry {
            board_type: board_type.to_owned(),
            availability: Availability::NotYet,
            holder: None,
            failures: 0,
            last_used: 0,
        };
        self.lock().boards.insert(board.to_owned(), entry);
    }

    /// Notes a board's availability and how often it failed of late; waiters may get it now, or learn that nobody will.
    pub fn set(&self, board: &str, availability: Availability, failures: u32) {
        let mut state = self.lock();
        if let Some(entry) = state.boards.get_mut(board) {
            entry.availability = availability;
            entry.failures = failures;
        }
        self.serve(state);
    }

    /// Waits in line for a board. Dropping the future leaves the line.
    ///
    /// # Errors
    /// [`NoBoard`] as soon as waiting is pointless.
    pub async fn lease(&self, want: Want) -> Result<Lease, NoBoard> {
        let lease = self.queue(want);
        lease.await.expect("the broker answers every waiter before it drops it")
    }

    fn queue(&self, want: Want) -> oneshot::Receiver<Result<Lease, NoBoard>> {
        let (answer, lease) = oneshot::channel();
        let mut state = self.lock();
        state.waiters.push(Waiter { want, answer });
        self.serve(state);
        lease
    }

    /// Who holds the board.
    pub fn holder(&self, board: &str) -> Option<String> {
        self.lock().boards.get(board).and_then(|e| e.holder.clone())
    }

    fn give_back(&self, board: &str) {
        let mut state = self.lock();
        if let Some(entry) = state.boards.get_mut(board) {
            entry.holder = None;
        }
        self.serve(state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives boards to waiters in their order. Answers are sent without the lock: a waiter that is gone drops its lease,
    /// which takes the lock again.
    fn serve(&self, mut state: MutexGuard<'_, State>) {
        let mut answers = Vec::new();
        let waiters = std::mem::take(&mut state.waiters);
        for waiter in waiters {
            if waiter.answer.is_closed() {
                continue;
            }
            match state.decide(&waiter.want) {
                Decision::Wait => state.waiters.push(waiter),
                Decision::Never(why) => answers.push((waiter.answer, Err(why))),
                Decision::Take(board) => {
                    let lease = Lease { broker: self.clone(), board };
                    answers.push((waiter.answer, Ok(lease)));
                }
            }
        }
        drop(state);
        for (answer, result) in answers {
            // Unsent results come back and are dropped here: the lease goes to the next in line.
            drop(answer.send(result));
        }
    }
}

enum Decision {
    Take(String),
    Wait,
    Never(NoBoard),
}

impl State {
    /// Of the free boards with the fewest failures the one that rested longest; those to be avoided only when every other
    /// is quarantined.
    fn decide(&mut self, want: &Want) -> Decision {
        let suits = |(name, e): &(&String, &Entry)| {
            want.board.as_ref().is_none_or(|b| b == *name)
                && want.board_type.as_ref().is_none_or(|t| *t == e.board_type)
        };
        let suitable: Vec<_> = self.boards.iter().filter(suits).collect();
        if suitable.is_empty() {
            let asked = want.board.clone().or(want.board_type.clone()).unwrap_or_default();
            return Decision::Never(NoBoard::Unknown(asked));
        }
        let alive: Vec<_> = suitable.iter().filter(|(_, e)| e.availability != Availability::Quarantined).collect();
        if alive.is_empty() {
            return Decision::Never(NoBoard::Quarantined(suitable.iter().map(|(n, _)| (*n).clone()).collect()));
        }
        let preferred = alive.iter().any(|(name, _)| !want.avoid.contains(name));
        let free = alive
            .iter()
            .filter(|(name, e)| {
                e.availability == Availability::Ready
                    && e.holder.is_none()
                    && (!preferred || !want.avoid.contains(name))
            })
            .min_by_key(|(_, e)| (e.failures, e.last_used))
            .map(|(name, _)| (*name).clone());
        let Some(name) = free else { return Decision::Wait };
        self.leases += 1;
        if let Some(entry) = self.boards.get_mut(&name) {
            entry.holder = Some(want.holder.clone());
            entry.last_used = self.leases;
        }
        Decision::Take(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rack(boards: &[&str]) -> Broker {
        let broker = Broker::default();
        for board in boards {
            broker.add(board, "t");
            broker.set(board, Availability::Ready, 0);
        }
        broker
    }

    fn any(holder: &str) -> Want {
        Want { board: None, board_type: Some("t".into()), avoid: Vec::new(), holder: holder.into() }
    }

    /// Polls once.
    fn poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn first_come_first_served() {
        let broker = rack(&["a"]);
        let held = poll(&mut Box::pin(broker.lease(any("first")))).expect("free").expect("a lease");
        assert_eq!((held.board(), broker.holder("a").as_deref()), ("a", Some("first")));
        let (mut second, mut third) = (Box::pin(broker.lease(any("second"))), Box::pin(broker.lease(any("third"))));
        assert!(poll(&mut second).is_none() && poll(&mut third).is_none());
        drop(held);
        assert!(poll(&mut third).is_none());
        let held = poll(&mut second).expect("its turn").expect("a lease");
        drop(held);
        assert!(poll(&mut third).expect("its turn").is_ok());
        assert_eq!(broker.holder("a"), None);
    }

    #[test]
    fn who_leaves_the_line_blocks_nobody_and_leaks_nothing() {
        let broker = rack(&["a"]);
        let held = poll(&mut Box::pin(broker.lease(any("first")))).expect("free");
        let mut gone = Box::pin(broker.lease(any("gone")));
        let mut served = Box::pin(broker.lease(any("served but gone")));
        let mut last = Box::pin(broker.lease(any("last")));
        assert!(poll(&mut gone).is_none() && poll(&mut served).is_none() && poll(&mut last).is_none());
        drop(gone);
        drop(held);
        // `served` has been given the board and never looks.
        drop(served);
        assert!(poll(&mut last).expect("its turn").is_ok());
    }

    #[test]
    fn boards_take_turns() {
        let broker = rack(&["a", "b"]);
        let next = || poll(&mut Box::pin(broker.lease(any("x")))).expect("free").expect("a lease").board().to_owned();
        assert_eq!([next(), next(), next()], ["a", "b", "a"]);
    }

    #[test]
    fn a_named_board_is_waited_for_while_others_are_free() {
        let broker = rack(&["a", "b"]);
        broker.set("b", Availability::NotYet, 0);
        let mut named = Box::pin(broker.lease(Want { board: Some("b".into()), ..any("x") }));
        assert!(poll(&mut named).is_none());
        assert!(poll(&mut Box::pin(broker.lease(any("y")))).is_some(), "the line for b does not hold up a");
        broker.set("b", Availability::Ready, 0);
        assert_eq!(poll(&mut named).expect("ready").expect("a lease").board(), "b");
    }

    #[test]
    fn failing_boards_come_last_and_avoided_ones_only_in_need() {
        let broker = rack(&["a", "b"]);
        broker.set("a", Availability::Ready, 2);
        let lease = poll(&mut Box::pin(broker.lease(any("x")))).expect("free").expect("a lease");
        assert_eq!(lease.board(), "b");
        let avoid_a = Want { avoid: vec!["a".into()], ..any("y") };
        let mut avoiding = Box::pin(broker.lease(avoid_a));
        assert!(poll(&mut avoiding).is_none(), "a is free, but b will come back");
        broker.set("b", Availability::Quarantined, 3);
        assert_eq!(poll(&mut avoiding).expect("in need").expect("a lease").board(), "a");
    }

    #[test]
    fn waiting_for_what_never_comes_ends() {
        let broker = rack(&["a"]);
        let unknown = Want { board: Some("z".into()), ..any("x") };
        let answer = poll(&mut Box::pin(broker.lease(unknown))).expect("answered");
        assert_eq!(answer.err(), Some(NoBoard::Unknown("z".into())));
        broker.set("a", Availability::NotYet, 0);
        let mut waiting = Box::pin(broker.lease(any("x")));
        assert!(poll(&mut waiting).is_none());
        broker.set("a", Availability::Quarantined, 3);
        let answer = poll(&mut waiting).expect("answered");
        assert_eq!(answer.err(), Some(NoBoard::Quarantined(vec!["a".into()])));
    }
}
