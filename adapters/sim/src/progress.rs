//! Shows on stderr how far a long run is.

use core::fmt::Write;
use core::time::Duration;
use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// A run that takes less time than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the bar is drawn again.
const TICK: Duration = Duration::from_secs(1);

/// A progress bar with the time left. It appears after two seconds.
#[derive(Debug)]
pub struct Progress(Option<Bar>);

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    began: Instant,
    hidden: bool,
}

impl Progress {
    /// Progress that is never shown.
    #[must_use]
    pub const fn silent() -> Self {
        Self(None)
    }

    /// A bar on stderr, if that is a terminal.
    #[must_use]
    pub fn on_stderr() -> Self {
        let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg} {wide_bar} {percent} % {elapsed} elapsed, {left} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", write_time_left));
        Self(Some(Bar { bar, began: Instant::now(), hidden: true }))
    }

    /// Begins a phase, which is shown by this name, at 0.
    pub fn begin(&self, phase: impl Into<String>) {
        if let Some(Bar { bar, .. }) = &self.0 {
            bar.set_message(phase.into());
            bar.reset();
        }
    }

    /// Shows how much of the phase is done: 0 to 1.
    pub fn at(&mut self, part: f64) {
        if let Some(shown) = &mut self.0 {
            if shown.hidden && shown.began.elapsed() >= PATIENCE {
                shown.hidden = false;
                shown.bar.set_draw_target(ProgressDrawTarget::stderr());
                shown.bar.enable_steady_tick(TICK);
            }
            shown.bar.set_position((part * 1_000.0) as u64);
        }
    }

    /// Removes the bar.
    pub fn end(&mut self) {
        if let Some(shown) = self.0.take() {
            shown.bar.finish_and_clear();
        }
    }
}

/// Assumes that the rest goes on at the average speed so far. indicatif's own estimate follows the last steps, which
/// are uneven here.
fn write_time_left(state: &ProgressState, words: &mut dyn Write) {
    let part = f64::from(state.fraction());
    // An error can't be reported from here.
    let _ = match part {
        0.0 => words.write_char('?'),
        _ => write!(words, "{:#}", HumanDuration(state.elapsed().mul_f64((1.0 - part) / part))),
    };
}
