//! Whether a server's thread still runs, and why it has ended.

use core::any::Any;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};

/// What a server and its handles know of its thread.
#[derive(Debug, Default)]
pub(crate) struct Life {
    thread: OnceLock<ThreadId>,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    end: Option<End>,
    /// The tasks that wait for the end.
    tasks: Vec<Waker>,
}

/// Why a thread has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was told to.
    Stopped,
    /// By an error of the system, or a panic.
    Died(String),
}

impl Life {
    /// Called on the thread when it begins.
    pub(crate) fn begin(&self) {
        let _ = self.thread.set(thread::current().id());
    }

    /// Called on the thread when it ends.
    pub(crate) fn end(&self, end: End) {
        let mut state = self.lock();
        state.end = Some(end);
        let tasks = core::mem::take(&mut state.tasks);
        drop(state);
        self.ended.notify_all();
        tasks.into_iter().for_each(Waker::wake);
    }

    /// Waits for the end of the thread, at most for `limit`. `None`: it still runs.
    pub(crate) fn ended(&self, limit: Duration) -> Option<End> {
        let waited = self.ended.wait_timeout_while(self.lock(), limit, |state| state.end.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.end.clone()
    }

    /// Waits for the end of the thread, in a task.
    pub(crate) async fn over(&self) -> End {
        poll_fn(|context| {
            let mut state = self.lock();
            match state.end.clone() {
                Some(end) => Poll::Ready(end),
                None => {
                    if !state.tasks.iter().any(|task| task.will_wake(context.waker())) {
                        state.tasks.push(context.waker().clone());
                    }
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether this is called on the thread.
    pub(crate) fn is_current(&self) -> bool {
        self.thread.get() == Some(&thread::current().id())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    /// The end of a thread that returned `result`.
    pub(crate) fn of<T>(result: &io::Result<T>) -> Self {
        result.as_ref().map_or_else(|error| Self::Died(error.to_string()), |_| Self::Stopped)
    }
}

/// A panic as an error.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> io::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    io::Error::other(format!("it panicked: {}", text.unwrap_or("without a text")))
}
