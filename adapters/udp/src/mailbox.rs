//! What the server's thread sends to a caller: a few values, for which the caller can wait in a task or on a thread.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

/// The sending half. Dropping it ends the mailbox.
pub(crate) struct Sender<T>(Arc<Mailbox<T>>);

/// The receiving half.
pub(crate) struct Receiver<T>(Arc<Mailbox<T>>);

struct Mailbox<T> {
    bound: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    values: VecDeque<T>,
    missed: u64,
    ended: bool,
    waker: Option<Waker>,
}

/// Makes a mailbox with room for `bound` values, at least one.
pub(crate) fn mailbox<T>(bound: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { values: VecDeque::new(), missed: 0, ended: false, waker: None };
    let mailbox = Arc::new(Mailbox { bound: bound.max(1), state: Mutex::new(state) });
    (Sender(mailbox.clone()), Receiver(mailbox))
}

impl<T> Sender<T> {
    /// Sends a value. If there is no room, the oldest value is lost.
    pub(crate) fn send(&self, value: T) {
        let mut state = self.0.lock();
        if state.values.len() >= self.0.bound {
            state.values.pop_front();
            state.missed += 1;
        }
        state.values.push_back(value);
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Whether the receiver was dropped.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Receiver<T> {
    /// Waits for a value. `None`: the sender was dropped, and all values were received.
    pub(crate) async fn receive(&mut self) -> Option<T> {
        poll_fn(|context| self.poll(context)).await
    }

    /// How many values were lost because there was no room.
    pub(crate) fn missed(&self) -> u64 {
        self.0.lock().missed
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        match state.values.pop_front() {
            None if !state.ended => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
            value => Poll::Ready(value),
        }
    }
}

impl<T> Mailbox<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a future on this thread. `None`: it had no result at the time `until`.
pub(crate) fn wait<F: Future>(future: F, until: Option<Instant>) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Arc::new(Parked(thread::current())).into();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        match until {
            Some(until) => thread::park_timeout(until.checked_duration_since(Instant::now())?),
            None => thread::park(),
        }
    }
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn a_full_mailbox_loses_its_oldest_values_and_counts_them() {
        let (sender, mut receiver) = mailbox(2);
        (0..5).for_each(|number| sender.send(number));
        assert_eq!(receiver.missed(), 3);
        drop(sender);
        assert_eq!([0; 3].map(|_| wait(receiver.receive(), None).flatten()), [Some(3), Some(4), None]);
    }

    #[test]
    fn a_sender_knows_that_nobody_receives() {
        let (sender, receiver) = mailbox::<u8>(1);
        assert!(!sender.is_abandoned());
        drop(receiver);
        assert!(sender.is_abandoned());
    }

    #[test]
    fn a_thread_waits_for_a_value_and_no_longer_than_it_was_told() {
        let (sender, mut receiver) = mailbox(1);
        let soon = Some(Instant::now() + Duration::from_millis(20));
        assert_eq!(wait(receiver.receive(), soon), None);
        let sending = thread::spawn(move || sender.send(7));
        assert_eq!(wait(receiver.receive(), None), Some(Some(7)));
        sending.join().unwrap();
    }
}
