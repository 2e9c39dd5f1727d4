//! How far something is that takes a while, on stderr.

use core::fmt::Write;
use core::time::Duration;
use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// What takes less than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the time is drawn anew.
const TICK: Duration = Duration::from_secs(1);

/// A bar with the time left, which appears when two seconds have passed.
#[derive(Debug)]
pub struct Progress(Option<Shown>);

#[derive(Debug)]
struct Shown {
    bar: ProgressBar,
    began: Instant,
    hidden: bool,
}

impl Progress {
    /// Shows nothing, ever.
    #[must_use]
    pub const fn silent() -> Self {
        Self(None)
    }

    /// A bar on stderr, if that is a terminal.
    #[must_use]
    pub fn on_stderr() -> Self {
        let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{msg} {wide_bar} {percent} % {elapsed} gone, {left} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", left));
        Self(Some(Shown { bar, began: Instant::now(), hidden: true }))
    }

    /// Something of its own begins.
    pub fn begin(&self, what: impl Into<String>) {
        if let Some(shown) = &self.0 {
            shown.bar.set_message(what.into());
            shown.bar.reset();
        }
    }

    /// It is so far: 0 to 1.
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

    /// All is done.
    pub fn end(&mut self) {
        if let Some(shown) = self.0.take() {
            shown.bar.finish_and_clear();
        }
    }
}

/// What is left takes as long as what is done took. indicatif's own estimate follows the last steps, which are uneven here.
fn left(state: &ProgressState, words: &mut dyn Write) {
    let part = f64::from(state.fraction());
    // There is nowhere to say that it can't be written.
    let _ = match part {
        0.0 => words.write_char('?'),
        _ => write!(words, "{:#}", HumanDuration(state.elapsed().mul_f64((1.0 - part) / part))),
    };
}
