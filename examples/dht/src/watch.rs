//! What stderr shows while the user waits: the lookup trace with --verbose, otherwise a line of progress after a
//! second.

use core::fmt::Write;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use kadlet::{Contact, Id, Progress, QueryStats};

use crate::output::{note, spawn};
use crate::trace::{Rank, Step, Trace};

/// Progress is shown only of an operation that takes longer than this.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often progress is drawn.
const TICK: Duration = Duration::from_millis(200);

/// Shows an operation's progress. Shows nothing if stderr is no terminal, except with --verbose.
pub(crate) struct Watch {
    bar: ProgressBar,
    shared: Arc<Shared>,
}

/// What the server's thread uses too.
struct Shared {
    verbose: bool,
    doing: Mutex<String>,
    trace: Mutex<Option<Trace>>,
}

impl Watch {
    pub(crate) fn new(verbose: bool) -> Self {
        let shared = Arc::new(Shared { verbose, doing: Mutex::default(), trace: Mutex::default() });
        let bar = if verbose { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let shown = Arc::clone(&shared);
        let late = move |state: &ProgressState, out: &mut dyn Write| {
            if state.elapsed() > PATIENCE {
                let _ = write!(out, "{} ({} s)", lock(&shown.doing), state.elapsed().as_secs());
            }
        };
        if let Ok(style) = ProgressStyle::with_template("{late}") {
            bar.set_style(style.with_key("late", late));
        }
        if !bar.is_hidden() {
            // indicatif's own thread panics if the system has none left. Without progress the command works too.
            let ticked = bar.clone();
            let _ = spawn(move || {
                while !ticked.is_finished() {
                    ticked.tick();
                    thread::sleep(TICK);
                }
            });
        }
        Self { bar, shared }
    }

    /// Shows what the command does from now on.
    pub(crate) fn begin(&self, doing: &str) {
        if self.shared.verbose {
            note(doing);
        }
        doing.clone_into(&mut lock(&self.shared.doing));
    }

    /// Shows no progress any more.
    pub(crate) fn stop(&self) {
        self.bar.finish_and_clear();
    }

    /// Prints a line while an operation goes on.
    pub(crate) fn tell(&self, line: &str) {
        self.bar.suspend(|| note(line));
    }

    /// Shows the trace of a lookup while it runs. The returned function must receive the lookup's progress.
    pub(crate) fn follow(
        &self,
        target: Id,
        then: &'static str,
        rank: Rank,
    ) -> impl Fn(Progress<'_, SocketAddr>) + Send + Sync + use<> {
        *lock(&self.shared.trace) = Some(Trace::new(target, then, rank));
        let shared = Arc::clone(&self.shared);
        move |progress| {
            if let Some(trace) = lock(&shared.trace).as_mut() {
                let steps = trace.update(&progress);
                steps.iter().for_each(|step| shared.show(trace, step));
            }
        }
    }

    /// Shows the last round of a lookup that has ended.
    pub(crate) fn end(&self, stats: &QueryStats, nearest: &[Contact<SocketAddr>]) {
        if let Some(mut trace) = lock(&self.shared.trace).take() {
            let step = trace.end(stats, nearest);
            step.iter().for_each(|step| self.shared.show(&trace, step));
        }
    }
}

impl Shared {
    fn show(&self, trace: &Trace, step: &Step) {
        if self.verbose {
            note(trace.text(step, true));
        }
        *lock(&self.doing) = trace.text(step, false);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
