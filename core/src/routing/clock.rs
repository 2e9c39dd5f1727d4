//! When a table's upkeep is due: what the tables of all geometries have in common.
//!
//! Upkeep adapts to the churn that the table sees (as MSPastry's does: Castro, Costa and Rowstron, 2004, §4.1). The configured waits
//! for quiet contacts, for refreshes and between checks of the neighbourhood hold in calm. Each contact that was believed to be there
//! and isn't cuts the wait for quiet ones by a quarter, down to a 32nd; each that answers after having been silent for half the wait
//! or more lets it grow by a twelfth. It settles where one in five that are asked is gone: a contact is asked about five times in its
//! lifetime, if that is below two and a half hours. The waits for refreshes and checks are whole until it is cut to a half, and shrink
//! with it from there, down to a sixteenth. A newcomer begins with a sixteenth of the wait for quiet contacts: by the time it had seen
//! what churn there is, a short session would be over.

use core::time::Duration;

use super::Limits;
use super::entry::TableEntry;
use crate::time::Micros;
use crate::{Address, Id, Instant};

const SECOND: Micros = Micros::from_secs(1);
/// Between two contacts that are asked.
const ASK_PAUSE: Micros = SECOND;
/// An asked contact is asked again after so long at most if nobody tells what came of it.
const ASKED_PAUSE: Micros = Micros::from_secs(60);
/// The neighbourhood is checked so long after it was first looked up.
const SECOND_LOOK: Micros = Micros::from_secs(3);
/// A contact that was only heard of is asked so long after.
const DISCOVERY_PAUSE: Micros = Micros::from_secs(2);
/// A failing contact is asked again after so many seconds, then twice as many and so on.
const RETRY_PAUSE: u64 = 30;
/// One that was lost, or fails again and again, is asked at least so often; and not less often than quiet ones are in calm.
const RETRY_MAX: Micros = Micros::from_secs(15 * 60);
/// Depths that are refreshed. Parts of a table deeper than this exist in networks of more than 10^10 nodes.
pub(super) const DEPTHS: usize = 32;
/// The part of the configured waits that is waited in calm, by a newcomer, and the least part.
const CALM: u16 = 1024;
const NEWCOMER: u16 = CALM / 16;
const LEAST_CALM: u16 = CALM / 32;
/// Parts that a wait has where one of so many is taken.
const WHOLE: u64 = 2048;
/// A second that never comes.
pub(super) const NEVER: u32 = u32::MAX;

/// When things are due.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// When anything is.
    pub(super) next: Instant,
    /// When somebody near the own identifier last came, failed or was lost.
    pub(super) changed: Instant,
    /// When the neighbourhood is to be checked; never, while nobody is known.
    pub(super) check: Instant,
    /// How long after that it is to be checked again, in calm.
    pause: Micros,
    /// No contact is asked before this.
    pub(super) rest: Instant,
    /// The part of the configured waits that is waited: up to [`CALM`].
    calm: u16,
    /// The own identifier was looked up: what else there is can be refreshed.
    pub(super) joined: bool,
    /// The second at which each part of the table is to be refreshed.
    pub(super) refresh: [u32; DEPTHS],
    random: u64,
    waits: Waits,
}

/// The waits of [`Limits`].
#[derive(Clone, Copy, Debug)]
struct Waits {
    neighbourhood_min: Micros,
    neighbourhood_max: Micros,
    refresh: Micros,
    quiet: Micros,
}

impl Waits {
    const ZERO: Self = Self {
        neighbourhood_min: Micros::ZERO,
        neighbourhood_max: Micros::ZERO,
        refresh: Micros::ZERO,
        quiet: Micros::ZERO,
    };

    /// None is below a second, nor beyond three centuries, of which parts can be reckoned without overflow.
    fn new(limits: &Limits) -> Self {
        let wait = |configured| Micros::of(configured).clamp(SECOND, Micros(u64::MAX / WHOLE));
        let neighbourhood_min = wait(limits.neighbourhood_min);
        Self {
            neighbourhood_min,
            neighbourhood_max: wait(limits.neighbourhood_max).max(neighbourhood_min),
            refresh: wait(limits.refresh),
            quiet: wait(limits.quiet),
        }
    }
}

impl Clock {
    pub(super) const EMPTY: Self = Self {
        next: Instant::ZERO,
        changed: Instant::ZERO,
        check: Instant::ZERO,
        pause: Micros::ZERO,
        rest: Instant::ZERO,
        calm: 0,
        joined: false,
        refresh: [0; DEPTHS],
        random: 0,
        waits: Waits::ZERO,
    };

    pub(super) fn start(&mut self, limits: &Limits, random: u64) {
        let waits = Waits::new(limits);
        let pause = waits.neighbourhood_min;
        *self =
            Self { next: Instant::NEVER, check: Instant::NEVER, pause, random, waits, calm: NEWCOMER, ..Self::EMPTY };
    }

    /// The table isn't empty.
    pub(super) fn somebody_known(&mut self, now: Instant) {
        if self.check == Instant::NEVER {
            self.check = now;
        }
    }

    /// Somebody near the own identifier came, failed or was lost.
    pub(super) fn neighbourhood_changed(&mut self, now: Instant) {
        self.changed = now;
        self.check_soon(now);
    }

    pub(super) fn check_soon(&mut self, now: Instant) {
        self.pause = self.waits.neighbourhood_min;
        self.check = self.check.min(now + self.spread(self.waits.neighbourhood_min));
    }

    /// The own identifier was looked up. Those who came at the same time weren't there to be found the first time.
    pub(super) fn looked_up_own(&mut self, now: Instant) {
        if !self.joined {
            self.joined = true;
            self.check = now + SECOND_LOOK;
        }
    }

    /// Whether the neighbourhood is to be checked now; if so, the next check waits three times as long as this did.
    pub(super) fn takes_check(&mut self, now: Instant, nobody: bool) -> bool {
        if !self.check.is_due(now) {
            return false;
        }
        if nobody {
            self.check = Instant::NEVER;
            return false;
        }
        let pause = self.pause;
        self.check = now + self.spread(pause);
        self.pause =
            Micros(3 * pause.0).min(self.half_calm(self.waits.neighbourhood_max)).max(self.waits.neighbourhood_min);
        true
    }

    /// How long a contact may be silent before it is asked.
    fn quiet(&self) -> Micros {
        part(self.waits.quiet, 2 * u64::from(self.calm))
    }

    fn half_quiet(&self) -> Micros {
        Micros(self.quiet().0 / 2)
    }

    /// How long a part of the table may go without a lookup.
    fn refresh_pause(&self) -> Micros {
        self.half_calm(self.waits.refresh)
    }

    /// A contact answers that was believed to be there, and that was to be asked at the second `due`. If it was silent for long, it
    /// might have died without being missed: the more such answer, the less often need they be asked.
    pub(super) fn reassured(&mut self, now: Instant, due: u32) {
        if at(due) <= now + self.half_quiet() {
            self.calm = self.calm.saturating_add(self.calm / 12).min(CALM);
        }
    }

    /// A contact that was believed to be there is not: the others are asked sooner, and the table is refreshed sooner.
    pub(super) fn alarm<A: Address>(&mut self, now: Instant, others: &mut [TableEntry<A>]) {
        if self.calm == LEAST_CALM {
            return;
        }
        self.calm = self.calm.saturating_sub(self.calm / 4).max(LEAST_CALM);
        let quiet = self.quiet();
        for entry in others.iter_mut().filter(|entry| entry.is_verified()) {
            entry.due = entry.due.min(self.after(now, quiet));
        }
        let refresh = self.after_refresh(now);
        for due in &mut self.refresh {
            *due = refresh.min(*due);
        }
    }

    /// The part of a wait that is cut only where quiet contacts are asked more than twice as often as in calm.
    fn half_calm(&self, wait: Micros) -> Micros {
        part(wait, (4 * u64::from(self.calm)).min(WHOLE))
    }

    /// A contact is asked: the next only a while later. When to ask this one again if nobody tells what came of it.
    pub(super) fn asks(&mut self, now: Instant) -> u32 {
        self.rest = now + ASK_PAUSE;
        self.after(now, ASKED_PAUSE.min(self.half_quiet()))
    }

    /// When to ask one that was heard of.
    pub(super) fn after_discovery(&mut self, now: Instant) -> u32 {
        self.after(now, DISCOVERY_PAUSE)
    }

    /// A contact answers, after such a round trip if one was measured: it is asked again only when it is quiet.
    pub(super) fn responded<A: Address>(&mut self, now: Instant, entry: &mut TableEntry<A>, rtt: Option<Duration>) {
        if entry.is_verified() {
            self.reassured(now, entry.due);
        }
        entry.response(now, rtt);
        entry.due = self.after_response(now);
    }

    /// When to ask one again that answers.
    pub(super) fn after_response(&mut self, now: Instant) -> u32 {
        self.after(now, self.quiet())
    }

    /// The same for one that matters more than others: before long, whatever the calm.
    pub(super) fn after_response_of_next(&mut self, now: Instant) -> u32 {
        self.after(now, self.quiet().min(Micros(2 * self.waits.neighbourhood_min.0)))
    }

    /// When to ask one again that is lost.
    pub(super) fn after_loss(&mut self, now: Instant) -> u32 {
        self.after(now, RETRY_MAX.min(self.waits.quiet))
    }

    /// When to refresh a part of the table again.
    pub(super) fn after_refresh(&mut self, now: Instant) -> u32 {
        self.after(now, self.refresh_pause())
    }

    /// When to ask one again that has failed so many times.
    pub(super) fn after_failure(&mut self, now: Instant, failures: u8) -> u32 {
        let pause = Micros::from_secs(RETRY_PAUSE << failures.clamp(1, 16).saturating_sub(1));
        self.after(now, pause.min(RETRY_MAX).min(self.waits.quiet))
    }

    /// Finds out when the next question is due, where the first refresh and the first contact to be asked are due at these seconds.
    pub(super) fn schedule(&mut self, refresh: u32, ask: u32) {
        self.next = self.check.min(at(refresh)).min(at(ask).max(self.rest));
    }

    /// One contact is due at another time than before. Whether that settles when the next question is due without a look at all
    /// others: it does unless this contact may have been the next.
    pub(super) fn moved(&mut self, was: u32, due: u32) -> bool {
        if at(was) <= self.next {
            return false;
        }
        self.next = self.next.min(at(due).max(self.rest));
        true
    }

    /// The second about `wait` after `now`, and certainly after `now`.
    pub(super) fn after(&mut self, now: Instant, wait: Micros) -> u32 {
        (now + self.spread(wait).max(SECOND)).stamp()
    }

    /// A wait that is cut by up to an eighth at random, so that nodes which were started together don't act together.
    fn spread(&mut self, wait: Micros) -> Micros {
        let cut = self.draw().to_le_bytes()[0];
        part(wait, WHOLE - u64::from(cut))
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014): not for secrets.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A random identifier that begins with the first `bits` bits of `prefix`.
    pub(super) fn random_id(&mut self, prefix: &Id, bits: usize) -> Id {
        let mut bytes = [0; Id::LEN];
        for (index, (byte, prefix)) in bytes.iter_mut().zip(prefix.as_bytes()).enumerate() {
            let kept = bits.saturating_sub(index.saturating_mul(8)).min(8);
            let keep = !(0xFF_u16 >> kept).to_le_bytes()[0];
            let random = self.draw().to_le_bytes()[0];
            *byte = prefix & keep | random & !keep;
        }
        Id::from_bytes(bytes)
    }
}

/// So many of [`WHOLE`] parts of a wait.
fn part(wait: Micros, parts: u64) -> Micros {
    Micros(wait.0 * parts / WHOLE)
}

/// The instant of a stamp.
pub(super) fn at(second: u32) -> Instant {
    if second == NEVER { Instant::NEVER } else { Instant::from_secs(u64::from(second)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_what_the_inventors_of_splitmix64_draw() {
        let mut clock = Clock::EMPTY;
        assert_eq!(
            [(); 3].map(|()| clock.draw()),
            [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]
        );
    }

    #[test]
    fn losses_cut_the_waits_down_and_responses_after_silence_lengthen_them_again() {
        let limits = Limits::DEFAULT;
        let mut clock = Clock::EMPTY;
        clock.start(&limits, 1);
        assert_eq!(clock.quiet().duration(), limits.quiet / 16, "a newcomer is alert");
        clock.reassured(Instant::ZERO, 60);
        assert_eq!(
            clock.quiet().duration(),
            limits.quiet / 16,
            "of one that answered a moment ago, another answer tells nothing"
        );
        for _ in 0..60 {
            clock.reassured(Instant::ZERO, 0);
        }
        assert_eq!(clock.quiet().duration(), limits.quiet);
        let mut quiet = [TableEntry::new(Instant::ZERO, crate::Contact::new(Id::ZERO, 7_u16))];
        quiet[0].response(Instant::ZERO, None);
        clock.alarm(Instant::ZERO, &mut quiet);
        assert_eq!(clock.quiet().duration(), limits.quiet * 3 / 4);
        assert!(at(quiet[0].due) <= Instant::ZERO + limits.quiet * 3 / 4, "the others are asked sooner");
        clock.alarm(Instant::ZERO, &mut quiet);
        assert_eq!(
            clock.refresh_pause().duration(),
            limits.refresh,
            "refreshed as in calm until quiet ones are asked twice as often"
        );
        clock.alarm(Instant::ZERO, &mut quiet);
        assert!(clock.refresh_pause().duration() < limits.refresh * 7 / 8);
        assert!(clock.refresh.iter().all(|due| at(*due) <= Instant::ZERO + clock.refresh_pause().duration()));
        for _ in 0..20 {
            clock.alarm(Instant::ZERO, &mut quiet);
        }
        assert_eq!(
            (clock.quiet().duration(), clock.refresh_pause().duration()),
            (limits.quiet / 32, limits.refresh / 16)
        );
        for _ in 0..60 {
            clock.reassured(Instant::ZERO, 0);
        }
        assert_eq!(clock.quiet().duration(), limits.quiet);
    }
}
