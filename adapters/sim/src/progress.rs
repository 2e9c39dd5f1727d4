//! Shows on stderr how far a long run is. Without the feature `cli` nothing is shown.

#[cfg(feature = "cli")]
use bar::Bar;

/// A progress bar with the time left. It appears after two seconds.
#[derive(Debug)]
pub struct Progress(#[cfg(feature = "cli")] Option<Bar>);

impl Progress {
    /// Progress that is never shown.
    #[must_use]
    pub const fn silent() -> Self {
        Self(
            #[cfg(feature = "cli")]
            None,
        )
    }

    /// A bar on stderr, if that is a terminal.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn on_stderr() -> Self {
        Self(Some(Bar::new()))
    }

    /// Begins a phase, which is shown by this name, at 0.
    #[cfg_attr(not(feature = "cli"), expect(unused_variables, reason = "there is no bar"))]
    pub fn begin(&self, phase: impl Into<String>) {
        #[cfg(feature = "cli")]
        if let Some(bar) = &self.0 {
            bar.begin(phase);
        }
    }

    /// Shows how much of the phase is done: 0 to 1.
    #[cfg_attr(not(feature = "cli"), expect(unused_variables, reason = "there is no bar"))]
    pub fn at(&mut self, part: f64) {
        #[cfg(feature = "cli")]
        if let Some(bar) = &mut self.0 {
            bar.at(part);
        }
    }

    /// Removes the bar.
    pub fn end(&mut self) {
        #[cfg(feature = "cli")]
        if let Some(bar) = self.0.take() {
            bar.end();
        }
    }
}

#[cfg(feature = "cli")]
mod bar {
    use core::fmt::Write;
    use core::time::Duration;
    use std::time::Instant;

    use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

    /// A run that takes less time than this shows nothing.
    const PATIENCE: Duration = Duration::from_secs(2);
    /// How often the bar is drawn again.
    const TICK: Duration = Duration::from_secs(1);

    #[derive(Debug)]
    pub(super) struct Bar {
        bar: ProgressBar,
        began: Instant,
        hidden: bool,
    }

    impl Bar {
        pub(super) fn new() -> Self {
            let bar = ProgressBar::with_draw_target(Some(1_000), ProgressDrawTarget::hidden());
            let style = ProgressStyle::with_template("{msg} {wide_bar} {percent} % {elapsed} elapsed, {left} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", write_time_left));
            Self { bar, began: Instant::now(), hidden: true }
        }

        pub(super) fn begin(&self, phase: impl Into<String>) {
            self.bar.set_message(phase.into());
            self.bar.reset();
        }

        pub(super) fn at(&mut self, part: f64) {
            if self.hidden && self.began.elapsed() >= PATIENCE {
                self.hidden = false;
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
                self.bar.enable_steady_tick(TICK);
            }
            self.bar.set_position((part * 1_000.0) as u64);
        }

        pub(super) fn end(&self) {
            self.bar.finish_and_clear();
        }
    }

    /// Assumes that the rest goes on at the average speed so far. indicatif's own estimate follows the last steps,
    /// which are uneven here.
    fn write_time_left(state: &ProgressState, words: &mut dyn Write) {
        let part = f64::from(state.fraction());
        // An error can't be reported from here.
        let _ = match part {
            0.0 => words.write_char('?'),
            _ => write!(words, "{:#}", HumanDuration(state.elapsed().mul_f64((1.0 - part) / part))),
        };
    }
}
