//! The signals that end a node.

use crate::error::Error;

/// Calls `ended` when a signal asks the process to end: SIGINT, SIGTERM or SIGHUP, or what a console of Windows has for
/// them. A second one ends the process at once, except SIGHUP: a terminal that closes may send several.
///
/// # Errors
///
/// The system has no thread left.
#[cfg(unix)]
pub(crate) fn watch(ended: impl Fn() + Send + 'static) -> Result<(), Error> {
    use core::sync::atomic::AtomicBool;
    use std::sync::Arc;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;

    let again = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&again))?;
        flag::register(signal, Arc::clone(&again))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !ignores_hangup() {
        signals.add_signal(SIGHUP)?;
    }
    crate::output::spawn(move || signals.forever().for_each(|_| ended()))
}

/// Whether the process was started with SIGHUP ignored, as `nohup` does. Only Linux says so.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

#[cfg(windows)]
pub(crate) fn watch(ended: impl Fn() + Send + 'static) -> Result<(), Error> {
    let mut again = false;
    let handle = move || match core::mem::replace(&mut again, true) {
        false => ended(),
        true => std::process::exit(crate::error::Exit::Usage as i32),
    };
    ctrlc::set_handler(handle).map_err(|error| std::io::Error::other(error).into())
}
