//! embassy's time driver on the board's clock. A tick is one microsecond.

use core::cell::RefCell;
use core::task::Waker;

use board::bus::Mmio;
use board::clock::Clock;
use critical_section::Mutex;
use embassy_time_driver::{Driver, time_driver_impl};
use embassy_time_queue_utils::Queue;

struct Time {
    clock: Mutex<RefCell<Option<Clock<Mmio>>>>,
    queue: Mutex<RefCell<Queue>>,
    /// The counters of [`board::Sleep::wakes`] after the last sleep.
    wakes: Mutex<RefCell<(u32, u32)>>,
}

time_driver_impl!(static TIME: Time = Time {
    clock: Mutex::new(RefCell::new(None)),
    queue: Mutex::new(RefCell::new(Queue::new())),
    wakes: Mutex::new(RefCell::new((0, 0))),
});

impl Driver for Time {
    fn now(&self) -> u64 {
        with_clock(Clock::now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The main loop reads the queue before it sleeps.
        critical_section::with(|cs| self.queue.borrow_ref_mut(cs).schedule_wake(at, waker));
    }
}

/// Starts the time.
pub(crate) fn begin(clock: Clock<Mmio>) {
    critical_section::with(|cs| TIME.clock.borrow_ref_mut(cs).replace(clock));
}

/// Wakes the tasks that are due. Returns when the next one is.
pub(crate) fn wake_due() -> Option<u64> {
    let now = TIME.now();
    let next = critical_section::with(|cs| TIME.queue.borrow_ref_mut(cs).next_expiration(now));
    (next != u64::MAX).then_some(next)
}

/// Calls `f` with the clock. Before [`begin`] there is none, and the result is the default: time 0.
pub(crate) fn with_clock<T: Default>(f: impl FnOnce(&mut Clock<Mmio>) -> T) -> T {
    critical_section::with(|cs| TIME.clock.borrow_ref_mut(cs).as_mut().map(f).unwrap_or_default())
}

pub(crate) fn note_wakes(wakes: (u32, u32)) {
    critical_section::with(|cs| TIME.wakes.replace(cs, wakes));
}

pub(crate) fn wakes() -> (u32, u32) {
    critical_section::with(|cs| *TIME.wakes.borrow_ref(cs))
}
