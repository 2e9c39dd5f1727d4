//! The calls on their way to a server's thread, within one bound.

use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kadlet::{Dht, Event, Id, Progress, QueryId, QueryResult};

use crate::driver::Driver;
use crate::mailbox::Sender;
use crate::outcome::Error;

/// The longest time limit of a call. A longer one counts as this, so that a deadline doesn't overflow.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A message from a handle to the thread.
pub(crate) enum Command<D: Dht> {
    Begin(Operation<D>),
    Run(Box<Run<D>>),
}

/// A call that waits for its result.
pub(crate) struct Operation<D: Dht> {
    pub(crate) begin: Box<Begin<D>>,
    pub(crate) reply: Box<dyn Reply<D::Address>>,
    pub(crate) deadline: Instant,
    pub(crate) watcher: Option<Watcher<D::Address>>,
}

/// Receives an operation's progress.
pub(crate) type Watcher<A> = Arc<dyn Fn(Progress<'_, A>) + Send + Sync>;

/// Begins an operation with the given timeout.
pub(crate) type Begin<D> = dyn FnMut(&mut D, kadlet::Instant, Duration) -> Begun<<D as Dht>::Address> + Send;
/// The result of a [`Begin`]; `None` if all slots are busy.
pub(crate) type Begun<A> = Option<Result<QueryId, Error<A>>>;

pub(crate) type Run<D> = dyn FnOnce(&mut Driver<D>, &mut News<<D as Dht>::Address>) + Send;

/// Where the result of an operation goes.
pub(crate) trait Reply<A>: Send {
    fn finish(self: Box<Self>, done: Result<QueryResult<'_, A>, Error<A>>);

    /// Whether nobody waits for the result any more.
    fn is_abandoned(&self) -> bool;
}

/// What the thread knows of the node's events.
pub(crate) struct News<A: 'static> {
    /// The external address and the identifier that belongs to it, once they are known.
    pub(crate) external: Option<(A, Id)>,
    pub(crate) readers: Vec<Sender<Event<'static, A>>>,
}

/// The calls that wait for the thread, or for a slot of its node. Each takes a place from when it is sent until it
/// begins or ends.
pub(crate) struct Queue<D: Dht> {
    /// How many places there are.
    places: usize,
    thread: mio::Waker,
    state: Mutex<State<D>>,
}

struct State<D: Dht> {
    /// The calls that the thread has not taken yet.
    commands: VecDeque<Command<D>>,
    /// How many places are taken, also by calls that wait for a slot.
    taken: usize,
    /// Callers that wait for a place. The one whose time limit ends first gets the next.
    callers: BTreeMap<Turn, Waker>,
    turns: u64,
    closed: bool,
}

/// When the time limit of a caller without a place ends, and a number that tells it from others.
pub(crate) type Turn = (Instant, u64);

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// All places are taken: this many.
    Full(usize),
    /// There was no place within the time limit.
    TimedOut,
    /// The thread has ended.
    Closed,
}

/// A caller that waits for a place. Dropping it gives up.
pub(crate) struct Caller<'a, D: Dht> {
    queue: &'a Queue<D>,
    command: Option<Command<D>>,
    deadline: Instant,
    turn: Option<Turn>,
}

impl<D: Dht> Queue<D> {
    /// A queue with this many places for a thread that `thread` wakes.
    pub(crate) fn new(places: usize, thread: mio::Waker) -> Self {
        let state = State { commands: VecDeque::new(), taken: 0, callers: BTreeMap::new(), turns: 0, closed: false };
        Self { places, thread, state: Mutex::new(state) }
    }

    /// Wakes the thread, so that it looks at the queue, at its stop flag and for calls that nobody waits for.
    pub(crate) fn wake(&self) {
        // Fails only if the thread's poll is gone, and the thread with it.
        let _ = self.thread.wake();
    }

    /// Sends a command, if there is a place.
    pub(crate) fn send(&self, command: Command<D>) -> Result<(), Refusal> {
        self.lock().push(self.places, &mut Some(command))?;
        self.wake();
        Ok(())
    }

    /// A caller that sends a command as soon as there is a place.
    pub(crate) fn caller(&self, command: Command<D>, deadline: Instant) -> Caller<'_, D> {
        Caller { queue: self, command: Some(command), deadline, turn: None }
    }

    /// On the thread: takes the commands.
    pub(crate) fn take(&self) -> VecDeque<Command<D>> {
        core::mem::take(&mut self.lock().commands)
    }

    /// On the thread: frees the places of calls that have begun or ended.
    pub(crate) fn free(&self, count: usize) {
        if count > 0 {
            let mut state = self.lock();
            state.taken = state.taken.saturating_sub(count);
            let next: Vec<_> = (0..count).map_while(|_| state.next_caller()).collect();
            drop(state);
            next.into_iter().for_each(Waker::wake);
        }
    }

    /// On the thread, in each turn of its loop: wakes the callers whose time limit has ended, and as many as there are
    /// free places: one that was woken before may be in a task that isn't polled. Returns when the next limit ends.
    pub(crate) fn wake_callers(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let (mut free, mut woken) = (self.places.saturating_sub(state.taken), Vec::new());
        let next = loop {
            match state.callers.first_key_value() {
                Some(((deadline, _), _)) if *deadline > now && free == 0 => break Some(*deadline),
                Some(((deadline, _), _)) => free -= usize::from(*deadline > now),
                None => break None,
            }
            woken.extend(state.next_caller());
        };
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        next
    }

    /// On the thread: takes no more commands, and drops those that are there.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let (commands, callers) = (core::mem::take(&mut state.commands), core::mem::take(&mut state.callers));
        drop(state);
        drop(commands);
        callers.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Dht> State<D> {
    fn push(&mut self, places: usize, command: &mut Option<Command<D>>) -> Result<(), Refusal> {
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.taken >= places {
            return Err(Refusal::Full(places));
        }
        self.taken += 1;
        self.commands.extend(command.take());
        Ok(())
    }

    /// The caller whose turn it is, to be woken when the lock is free.
    fn next_caller(&mut self) -> Option<Waker> {
        self.callers.pop_first().map(|(_, caller)| caller)
    }
}

impl<D: Dht> Caller<'_, D> {
    /// Sends the command if there is a place, or has `waker` woken when that may be so.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<(), Refusal>> {
        let mut state = self.queue.lock();
        if let Some(turn) = &self.turn {
            state.callers.remove(turn);
        }
        let sent = match state.push(self.queue.places, &mut self.command) {
            Err(Refusal::Full(_)) if self.deadline <= Instant::now() => Err(Refusal::TimedOut),
            Err(Refusal::Full(_)) => {
                let number = self.turn.map_or(state.turns, |turn| turn.1);
                state.turns += 1;
                self.turn = Some((self.deadline, number));
                state.callers.insert((self.deadline, number), waker.clone());
                drop(state);
                // It ends the wait at the time limit.
                self.queue.wake();
                return Poll::Pending;
            }
            sent => sent,
        };
        self.turn = None;
        drop(state);
        self.queue.wake();
        Poll::Ready(sent)
    }
}

impl<D: Dht> Drop for Caller<'_, D> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            let mut state = self.queue.lock();
            // If it was woken for a place that it doesn't take, another one takes it.
            let waits = state.callers.remove(&turn).is_some();
            let next = if waits { None } else { state.next_caller() };
            drop(state);
            next.into_iter().for_each(Waker::wake);
        }
    }
}
