//! When a table's maintenance is due: what the tables of all geometries have in common.
//!
//! The waits adapt to churn, as in MSPastry (Castro, Costa and Rowstron, "Performance and Dependability of Structured
//! Peer-to-Peer Overlays", 2004, section 4.1). The configured waits for quiet contacts, for refreshes and between
//! checks of the neighbourhood hold where nodes stay. Each contact that departed (it was believed to be there, and did
//! not respond) cuts the wait for quiet contacts by a quarter, down to a 32nd of what is configured. Each contact that
//! survived (it responds after a silence of half that wait or more) lengthens it by a twelfth. The wait settles where
//! one in five contacts that are asked is gone: a contact is asked about five times in its lifetime, if that is below
//! two and a half hours.
//!
//! The waits for refreshes and checks stay whole until the wait for quiet contacts is cut to a half, and shrink with it
//! from there, down to a sixteenth. A new node begins with a sixteenth of the wait for quiet contacts: otherwise a
//! short session would be over before the node has seen how much churn there is.

use core::time::Duration;

use super::entry::TableEntry;
use super::limits::Limits;
use super::stamp::Stamp;
use crate::address::Address;
use crate::id::Id;
use crate::random::{GOLDEN, mix};
use crate::time::{Instant, Micros};

const SECOND: Micros = Micros::from_secs(1);
/// Between two contacts that are asked.
const ASK_PAUSE: Micros = SECOND;
/// A contact that was asked is asked again after at most this long, if the table is not told whether it responded.
const ASKED_PAUSE: Micros = Micros::from_secs(60);
/// From the first lookup of the own identifier to the next check of the neighbourhood.
const SECOND_CHECK_PAUSE: Micros = Micros::from_secs(3);
/// From the discovery of a contact until it is asked.
const DISCOVERY_PAUSE: Micros = Micros::from_secs(2);
/// A failing contact is asked again after this many seconds, then after twice as many, and so on.
const RETRY_PAUSE: u64 = 30;
/// The longest wait between two requests to a failing or lost contact. The configured wait for quiet contacts limits it
/// too.
const RETRY_MAX: Micros = Micros::from_secs(15 * 60);
/// How many depths of the table are refreshed. Deeper parts hold contacts only in networks of more than 10^10 nodes.
pub(super) const DEPTHS: usize = 32;
/// The scale of the configured waits: whole, of a new node, and the smallest.
const WHOLE_SCALE: u16 = 1024;
const INITIAL_SCALE: u16 = WHOLE_SCALE / 16;
const MIN_SCALE: u16 = WHOLE_SCALE / 32;
/// A whole wait, in the parts that [`part`] takes.
const WHOLE: u64 = 2048;

/// When each kind of maintenance is due.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// When the first of them is due.
    pub(super) next: Instant,
    /// When a contact near the own identifier last came, failed or was removed.
    pub(super) changed: Instant,
    /// When the neighbourhood must be checked; never, while the table is empty.
    check: Instant,
    /// The wait from that check to the next, while nothing changes.
    check_wait: Micros,
    /// No contact is asked before this.
    ask_pause_ends: Instant,
    /// The scale of the configured waits: [`MIN_SCALE`] to [`WHOLE_SCALE`], smaller where there is churn.
    scale: u16,
    /// The own identifier was looked up, so that the rest of the table can be refreshed.
    pub(super) joined: bool,
    /// When each part of the table must be refreshed.
    pub(super) refresh: [Stamp; DEPTHS],
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

    /// Limits that were checked are small enough for all parts of a wait to be computed without overflow.
    fn new(limits: &Limits) -> Self {
        Self {
            neighbourhood_min: Micros::of(limits.neighbourhood_min),
            neighbourhood_max: Micros::of(limits.neighbourhood_max),
            refresh: Micros::of(limits.refresh),
            quiet: Micros::of(limits.quiet),
        }
    }
}

impl Schedule {
    pub(super) const EMPTY: Self = Self {
        next: Instant::ZERO,
        changed: Instant::ZERO,
        check: Instant::ZERO,
        check_wait: Micros::ZERO,
        ask_pause_ends: Instant::ZERO,
        scale: 0,
        joined: false,
        refresh: [Stamp::ZERO; DEPTHS],
        random: 0,
        waits: Waits::ZERO,
    };

    pub(super) fn start(&mut self, limits: &Limits, random: u64) {
        // One by one: zeros take no flash, but another value would be copied from a constant as large as this.
        *self = Self::EMPTY;
        self.next = Instant::NEVER;
        self.check = Instant::NEVER;
        self.random = random;
        self.waits = Waits::new(limits);
        self.check_wait = self.waits.neighbourhood_min;
        self.scale = INITIAL_SCALE;
    }

    /// A contact was added: the table is not empty, so the neighbourhood can be checked.
    pub(super) fn contact_added(&mut self, now: Instant) {
        if self.check == Instant::NEVER {
            self.check = now;
        }
    }

    /// A contact near the own identifier came, failed or was removed.
    pub(super) fn neighbourhood_changed(&mut self, now: Instant) {
        self.changed = now;
        self.check_soon(now);
    }

    /// The own identifier is another one.
    pub(super) fn own_changed(&mut self, now: Instant) {
        self.neighbourhood_changed(now);
        self.check = now;
    }

    pub(super) fn check_soon(&mut self, now: Instant) {
        self.check_wait = self.waits.neighbourhood_min;
        self.check = self.check.min(now + self.spread(self.waits.neighbourhood_min));
    }

    /// The own identifier was looked up. After the first time another check follows soon: nodes that joined at the same
    /// time were not there to be found.
    pub(super) fn looked_up_own(&mut self, now: Instant) {
        if !self.joined {
            self.joined = true;
            self.check = now + SECOND_CHECK_PAUSE;
        }
    }

    /// Whether the neighbourhood must be checked now. If so, the next check waits three times as long as this one did.
    pub(super) fn begin_check(&mut self, now: Instant, table_is_empty: bool) -> bool {
        if !self.check.is_due(now) {
            return false;
        }
        if table_is_empty {
            self.check = Instant::NEVER;
            return false;
        }
        let wait = self.check_wait;
        self.check = now + self.spread(wait);
        self.check_wait =
            Micros(3 * wait.0).min(self.scaled_late(self.waits.neighbourhood_max)).max(self.waits.neighbourhood_min);
        true
    }

    /// How long a contact can be silent before it is asked.
    fn quiet_wait(&self) -> Micros {
        part(self.waits.quiet, 2 * u64::from(self.scale))
    }

    fn half_quiet_wait(&self) -> Micros {
        Micros(self.quiet_wait().0 / 2)
    }

    /// How long a part of the table can stay without a lookup.
    fn refresh_wait(&self) -> Micros {
        self.scaled_late(self.waits.refresh)
    }

    /// The wait scaled, but whole until the scale is below a half.
    fn scaled_late(&self, wait: Micros) -> Micros {
        part(wait, (4 * u64::from(self.scale)).min(WHOLE))
    }

    /// A verified contact that was due at `due` responded. If it was silent for long, it could have departed without
    /// being noticed: the more such contacts respond, the less often they need to be asked.
    pub(super) fn contact_survived(&mut self, now: Instant, due: Stamp) {
        if due.instant() <= now + self.half_quiet_wait() {
            self.scale = self.scale.saturating_add(self.scale / 12).min(WHOLE_SCALE);
        }
    }

    /// A contact that was believed to be there did not respond: the others are asked sooner, and the table is refreshed
    /// sooner.
    pub(super) fn contact_departed<A: Address>(&mut self, now: Instant, others: &mut [TableEntry<A>]) {
        if self.scale == MIN_SCALE {
            return;
        }
        self.scale = self.scale.saturating_sub(self.scale / 4).max(MIN_SCALE);
        let quiet = self.quiet_wait();
        for entry in others.iter_mut().filter(|entry| entry.is_verified()) {
            entry.due = entry.due.min(self.after(now, quiet));
        }
        let refresh = self.after_refresh(now);
        for due in &mut self.refresh {
            *due = refresh.min(*due);
        }
    }

    /// Whether a contact can be asked: the pause after the last one has ended.
    pub(super) fn can_ask(&self, now: Instant) -> bool {
        self.ask_pause_ends.is_due(now)
    }

    /// A contact is asked. When to ask it again if the table is not told whether it responded.
    pub(super) fn after_ask(&mut self, now: Instant) -> Stamp {
        self.ask_pause_ends = now + ASK_PAUSE;
        self.after(now, ASKED_PAUSE.min(self.half_quiet_wait()))
    }

    /// When to ask a contact that was discovered now.
    pub(super) fn after_discovery(&mut self, now: Instant) -> Stamp {
        self.after(now, DISCOVERY_PAUSE)
    }

    /// A contact responded, after the round trip `rtt` if one was measured: it is asked again only when it is quiet.
    pub(super) fn note_response<A: Address>(&mut self, now: Instant, entry: &mut TableEntry<A>, rtt: Option<Duration>) {
        if entry.is_verified() {
            self.contact_survived(now, entry.due);
        }
        entry.note_response(now, rtt);
        entry.due = self.after_response(now);
    }

    /// When to ask a contact that responded now.
    pub(super) fn after_response(&mut self, now: Instant) -> Stamp {
        self.after(now, self.quiet_wait())
    }

    /// The same for the next node on either side in a ring: soon, however little churn there is.
    pub(super) fn after_response_of_next(&mut self, now: Instant) -> Stamp {
        self.after(now, self.quiet_wait().min(Micros(2 * self.waits.neighbourhood_min.0)))
    }

    /// When to ask a lost contact again.
    pub(super) fn after_loss(&mut self, now: Instant) -> Stamp {
        self.after(now, RETRY_MAX.min(self.waits.quiet))
    }

    /// When to refresh a part of the table again.
    pub(super) fn after_refresh(&mut self, now: Instant) -> Stamp {
        self.after(now, self.refresh_wait())
    }

    /// When to ask a contact again that has failed `failures` times in a row.
    pub(super) fn after_failure(&mut self, now: Instant, failures: u8) -> Stamp {
        let pause = Micros::from_secs(RETRY_PAUSE << failures.clamp(1, 16).saturating_sub(1));
        self.after(now, pause.min(RETRY_MAX).min(self.waits.quiet))
    }

    /// Computes when the next maintenance is due. `refresh` is the time of the first refresh, `ask` that of the first
    /// request to a contact.
    pub(super) fn set_next(&mut self, refresh: Stamp, ask: Stamp) {
        self.next = self.check.min(refresh.instant()).min(ask.instant().max(self.ask_pause_ends));
    }

    /// One contact is due at another time than before. Returns whether [`next`](Self::next) is correct after that. It
    /// is not if this contact may have been the first one due: then all contacts must be looked at.
    pub(super) fn moved(&mut self, before: Stamp, due: Stamp) -> bool {
        if before.instant() <= self.next {
            return false;
        }
        self.next = self.next.min(due.instant().max(self.ask_pause_ends));
        true
    }

    /// The second that lies about `wait` after `now`, and always after `now`.
    pub(super) fn after(&mut self, now: Instant, wait: Micros) -> Stamp {
        Stamp::of(now + self.spread(wait).max(SECOND))
    }

    /// The wait, cut by up to an eighth at random, so that nodes that were started together don't act together.
    fn spread(&mut self, wait: Micros) -> Micros {
        let cut = self.draw().to_le_bytes()[0];
        part(wait, WHOLE - u64::from(cut))
    }

    /// SplitMix64: not for secrets.
    fn draw(&mut self) -> u64 {
        let drawn = mix(self.random);
        self.random = self.random.wrapping_add(GOLDEN);
        drawn
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

/// `parts` of [`WHOLE`] parts of a wait.
fn part(wait: Micros, parts: u64) -> Micros {
    Micros(wait.0 * parts / WHOLE)
}

#[cfg(test)]
mod tests;
