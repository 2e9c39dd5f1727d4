//! A clock of microseconds since the start, with an alarm, on a Cortex-M's SysTick (ARMv7-M Architecture Reference
//! Manual, B3.3).
//!
//! There is no periodic tick. The timer counts down from at most 24 bits. It is set to reach zero when the alarm is
//! due, or after its longest period: 1.3 s at 12.5 MHz, 0.7 s at 25 MHz. So an idle board wakes once in each longest
//! period only to count it. A 32-bit timer would wake it a few times an hour. Every chip has one, but each chip a
//! different one.

use crate::bus::Bus;

const CSR: usize = 0x0;
const RVR: usize = 0x4;
const CVR: usize = 0x8;

/// For `CSR`: on, with its interrupt, at the processor's frequency.
const RUN: u32 = 7;
/// In `CSR`: the counter has reached zero since the last read of `CSR`.
const REACHED_ZERO: u32 = 1 << 16;
/// The longest period in ticks, less one.
const LONGEST: u32 = 0x00FF_FFFF;
/// The shortest period in ticks. An alarm nearer than this counts as due.
const SHORTEST: u32 = 100;

/// A clock. It must be read, or its alarm set, at least once in its longest period.
#[derive(Debug)]
pub struct Clock<B> {
    bus: B,
    /// Twice the ticks in a microsecond, as 12.5 MHz is no whole number of ticks in one.
    half_micros: u32,
    /// Ticks from the start to the beginning of the running period.
    began: u64,
    /// The running period in ticks, less one.
    period: u32,
}

impl<B: Bus> Clock<B> {
    /// Starts the clock. `hz` is its frequency, a multiple of 500,000.
    pub fn new(mut bus: B, hz: u32) -> Self {
        bus.write(RVR, LONGEST);
        bus.write(CVR, 0);
        bus.write(CSR, RUN);
        Self { bus, half_micros: hz / 500_000, began: 0, period: LONGEST }
    }

    /// Microseconds since the start.
    pub fn now(&mut self) -> u64 {
        self.ticks() * 2 / u64::from(self.half_micros)
    }

    /// Sets the timer to reach zero at `due`, in microseconds since the start, or after its longest period if that is
    /// earlier. Returns false if `due` is not in the future.
    pub fn alarm(&mut self, due: Option<u64>) -> bool {
        let now = self.ticks();
        let left = match due {
            // Rounded up, so that the alarm is never early.
            Some(due) => due.saturating_mul(u64::from(self.half_micros)).div_ceil(2).saturating_sub(now),
            None => u64::MAX,
        };
        if left < u64::from(SHORTEST) {
            return false;
        }
        let period = u32::try_from(left).unwrap_or(LONGEST).min(LONGEST);
        // The new period begins at once. The longest one follows it, so that the clock needn't be read soon after the
        // alarm.
        self.bus.write(RVR, period);
        self.bus.write(CVR, 0);
        self.began = now;
        self.period = period;
        // The counter loads the period at its next tick.
        while self.bus.read(CVR) == 0 {}
        self.bus.write(RVR, LONGEST);
        true
    }

    /// Ticks since the start.
    pub fn ticks(&mut self) -> u64 {
        loop {
            self.count_period();
            let elapsed = self.period.saturating_sub(self.bus.read(CVR));
            // A period may have ended between the two reads: then read again.
            if !self.count_period() {
                return self.began + u64::from(elapsed);
            }
        }
    }

    /// Counts the running period if it is over. Returns whether it was.
    fn count_period(&mut self) -> bool {
        if self.bus.read(CSR) & REACHED_ZERO == 0 {
            return false;
        }
        self.began += u64::from(self.period) + 1;
        self.period = LONGEST;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SysTick that counts `pace` ticks at each read.
    #[derive(Default)]
    struct Timer {
        reload: u32,
        value: u32,
        zero: bool,
        pace: u32,
        total: u64,
    }

    impl Timer {
        fn pass(&mut self, ticks: u64) {
            for _ in 0..ticks {
                match self.value {
                    0 => self.value = self.reload,
                    1 => (self.value, self.zero) = (0, true),
                    _ => self.value -= 1,
                }
            }
            self.total += ticks;
        }
    }

    impl Bus for Timer {
        fn read(&mut self, offset: usize) -> u32 {
            self.pass(u64::from(self.pace));
            match offset {
                CSR => u32::from(core::mem::take(&mut self.zero)) << 16 | RUN,
                CVR => self.value,
                _ => panic!("read at {offset:#x}"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            match offset {
                RVR => self.reload = value,
                CVR => (self.value, self.zero) = (0, false),
                CSR => assert_eq!(value, RUN),
                _ => panic!("{value:#x} written at {offset:#x}"),
            }
        }
    }

    fn clock() -> Clock<Timer> {
        Clock::new(Timer { pace: 1, ..Timer::default() }, 12_500_000)
    }

    /// How many ticks the clock is behind its timer.
    fn lag(clock: &mut Clock<Timer>) -> u64 {
        let ticks = clock.ticks();
        clock.bus.total - ticks
    }

    #[test]
    fn microseconds_pass_as_the_frequency_says() {
        let mut clock = clock();
        clock.bus.pass(12_500_000);
        assert_eq!(clock.now() / 10, 100_000);
    }

    #[test]
    fn no_period_is_lost_if_the_clock_is_read_once_in_each() {
        let mut clock = clock();
        let before = lag(&mut clock);
        for _ in 0..9 {
            clock.bus.pass(u64::from(LONGEST) - 50);
            clock.ticks();
        }
        assert!(lag(&mut clock) <= before + 9, "{}", lag(&mut clock));
    }

    #[test]
    fn time_never_goes_back_when_a_period_ends_during_a_read() {
        for pace in 1..9 {
            let mut clock = Clock::new(Timer { pace, ..Timer::default() }, 25_000_000);
            clock.bus.pass(u64::from(LONGEST) - 100);
            let mut last = 0;
            for _ in 0..100 {
                let ticks = clock.ticks();
                assert!(ticks >= last);
                last = ticks;
            }
        }
    }

    #[test]
    fn the_timer_reaches_zero_when_the_alarm_is_due_and_time_goes_on() {
        let mut clock = clock();
        for after in [100, 1_000, 500_000] {
            let due = clock.now() + after;
            assert!(clock.alarm(Some(due)));
            while !clock.bus.zero {
                clock.bus.pass(1);
            }
            let now = clock.now();
            assert!((due..due + 2).contains(&now), "{now} for {due}");
        }
        clock.bus.pass(1_000);
        assert!(lag(&mut clock) < 40, "{}", lag(&mut clock));
    }

    #[test]
    fn an_alarm_beyond_the_longest_period_or_no_alarm_sets_the_longest_period() {
        for due in [Some(u64::MAX), Some(60_000_000), None] {
            let mut clock = clock();
            assert!(clock.alarm(due));
            assert_eq!(clock.period, LONGEST);
        }
    }

    #[test]
    fn an_alarm_that_is_due_is_not_set() {
        let mut clock = clock();
        clock.bus.pass(12_500);
        let now = clock.now();
        assert!(!clock.alarm(Some(now)));
        assert!(!clock.alarm(Some(0)));
    }
}
