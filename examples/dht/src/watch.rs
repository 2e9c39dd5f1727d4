//! What is shown on stderr while somebody waits: the story if they asked for it, else a line of progress after a second.

use core::fmt::Write;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use kadlet::{Contact, Id, Progress, QueryStats};

use crate::trace::{Rank, Trace, Turn};

/// What takes no longer needs no progress shown.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows how an operation stands; nothing where stderr is no terminal, unless the story was asked for.
pub(crate) struct Watch {
    bar: ProgressBar,
    told: Arc<Told>,
}

/// What the thread that drives the node may touch.
struct Told {
    verbose: bool,
    doing: Mutex<String>,
    trace: Mutex<Option<Trace>>,
}

impl Watch {
    pub(crate) fn new(verbose: bool) -> Self {
        let told = Arc::new(Told { verbose, doing: Mutex::default(), trace: Mutex::default() });
        let bar = if verbose { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let shown = Arc::clone(&told);
        let late = move |state: &ProgressState, out: &mut dyn Write| {
            if state.elapsed() > PATIENCE {
                let _ = write!(out, "{} ({} s)", lock(&shown.doing), state.elapsed().as_secs());
            }
        };
        if let Ok(style) = ProgressStyle::with_template("{late}") {
            bar.set_style(style.with_key("late", late));
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, told }
    }

    /// Something else is being done from here on.
    pub(crate) fn begin(&self, doing: &str) {
        if self.told.verbose {
            eprintln!("{doing}");
        }
        doing.clone_into(&mut lock(&self.told.doing));
    }

    /// Shows a search's story as it goes on.
    pub(crate) fn follow(
        &self,
        target: Id,
        then: &'static str,
        rank: Rank,
    ) -> impl Fn(Progress<'_, SocketAddr>) + Send + Sync + use<> {
        *lock(&self.told.trace) = Some(Trace::new(target, then, rank));
        let told = Arc::clone(&self.told);
        move |progress| {
            if let Some(trace) = lock(&told.trace).as_mut() {
                let turns = trace.look(&progress);
                turns.iter().for_each(|turn| told.tell(trace, turn));
            }
        }
    }

    /// Shows the last round of a search, which ended it.
    pub(crate) fn end(&self, stats: &QueryStats, nearest: &[Contact<SocketAddr>]) {
        if let Some(mut trace) = lock(&self.told.trace).take() {
            let turn = trace.end(stats, nearest);
            turn.iter().for_each(|turn| self.told.tell(&trace, turn));
        }
    }
}

impl Told {
    fn tell(&self, trace: &Trace, turn: &Turn) {
        if self.verbose {
            eprintln!("{}", trace.words(turn, true));
        }
        *lock(&self.doing) = trace.words(turn, false);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
