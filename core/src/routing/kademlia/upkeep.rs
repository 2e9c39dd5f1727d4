//! What is due, and when.
//!
//! | question | when |
//! |---|---|
//! | `Neighbourhood` | at once when the first contact is known; 3 s after that; 30 s after a change; then 30 s, 60 s, 2 min .. 15 min apart |
//! | `Lookup` | when no lookup touched a bucket for an hour, or ever; for buckets no deeper than the neighbourhood's edge |
//! | `Ask` one heard of | after 2 s |
//! | `Ask` a quiet one | 15 minutes after it last answered |
//! | `Ask` a failing one | 30 s after its first failure, then 1, 2, 4 .. 15 min apart |
//! | `Ask` a spare | when there is a place for it: one of its bucket failed, or went |
//! | `Ask` a lost one | every 15 minutes |
//!
//! (With the default [`Limits`].) One is asked at a time, a second apart. Every wait is cut by up to an eighth at random, so
//! that nodes which were started together don't act together.

use core::time::Duration;

use super::buckets::depth;
use super::{Entry, NEVER, Table};
use crate::routing::{Limits, Upkeep};
use crate::{Address, Id, Instant};

/// Between two contacts that are asked.
const ASK_PAUSE: Duration = Duration::from_secs(1);
/// An asked contact is asked again after so long if nobody tells what came of it.
const ASKED_PAUSE: Duration = Duration::from_secs(60);
/// The neighbourhood is checked so long after it was first looked up.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// Depths that are refreshed. Buckets deeper than this exist in networks of more than 10^10 nodes.
const DEPTHS: usize = 32;

/// When things are due.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// When anything is.
    pub(super) next: Instant,
    /// When somebody near the own identifier last came, failed or was lost.
    pub(super) changed: Instant,
    /// When the neighbourhood is to be checked; never, while nobody is known.
    check: Instant,
    /// How long after that it is to be checked again, in calm.
    pause: Duration,
    /// No contact is asked before this.
    rest: Instant,
    /// The own identifier was looked up: what else there is can be refreshed.
    joined: bool,
    /// The second at which each bucket is to be refreshed.
    refresh: [u32; DEPTHS],
    random: u64,
}

impl Clock {
    pub(super) const EMPTY: Self = Self {
        next: Instant::ZERO,
        changed: Instant::ZERO,
        check: Instant::ZERO,
        pause: Duration::ZERO,
        rest: Instant::ZERO,
        joined: false,
        refresh: [0; DEPTHS],
        random: 0,
    };

    pub(super) fn start(&mut self, pause: Duration, random: u64) {
        *self = Self { next: Instant::NEVER, check: Instant::NEVER, pause, random, ..Self::EMPTY };
    }

    /// The table isn't empty.
    pub(super) fn somebody_known(&mut self, now: Instant) {
        if self.check == Instant::NEVER {
            self.check = now;
        }
    }

    /// Somebody near the own identifier came, failed or was lost.
    pub(super) fn neighbourhood_changed(&mut self, now: Instant, limits: &Limits) {
        self.changed = now;
        self.check_soon(now, limits);
    }

    pub(super) fn check_soon(&mut self, now: Instant, limits: &Limits) {
        self.pause = limits.neighbourhood_min;
        self.check = self.check.min(now + self.spread(limits.neighbourhood_min));
    }

    /// The second about `wait` after `now`, and certainly after `now`.
    pub(super) fn after(&mut self, now: Instant, wait: Duration) -> u32 {
        (now + self.spread(wait)).stamp().max(now.stamp().saturating_add(1))
    }

    fn spread(&mut self, wait: Duration) -> Duration {
        let cut = self.draw().to_le_bytes()[0];
        wait.saturating_sub((wait / (8 * 256)).saturating_mul(u32::from(cut)))
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014): not for secrets.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A random identifier that shares exactly `depth` bits with `own`.
    fn random_id(&mut self, own: &Id, depth: usize) -> Id {
        let mut bytes = [0; Id::LEN];
        for (index, (byte, own)) in bytes.iter_mut().zip(own.as_bytes()).enumerate() {
            // Of this byte, so many bits are the own identifier's, and the next is not.
            let shared = depth.saturating_sub(index.saturating_mul(8)).min(8);
            let keep = !(0xFF_u16 >> shared).to_le_bytes()[0];
            let flip = if depth / 8 == index { 0x80 >> (depth % 8) } else { 0 };
            let random = self.draw().to_le_bytes()[0];
            *byte = own & keep | (own ^ 0xFF) & flip | random & !keep & !flip;
        }
        Id::from_bytes(bytes)
    }
}

impl<A: Address> Table<'_, A> {
    pub(super) fn looked_up(&mut self, now: Instant, target: &Id) {
        if self.rules.k == 0 {
            return;
        }
        let touched = usize::try_from(depth(&self.rules.own, target)).unwrap_or(DEPTHS);
        let due = self.clock.after(now, self.rules.limits.refresh);
        if let Some(refresh) = self.clock.refresh.get_mut(touched) {
            *refresh = due;
        }
        if *target == self.rules.own && !self.clock.joined {
            // Those who came at the same time weren't there to be found.
            self.clock.joined = true;
            self.clock.check = now + SECOND_LOOK;
        }
        self.schedule();
    }

    pub(super) fn disturbed(&mut self, now: Instant) {
        if self.contacts.is_empty() {
            return;
        }
        self.clock.check_soon(now, &self.rules.limits);
        self.schedule();
    }

    pub(super) fn upkeep(&mut self, now: Instant) -> Option<Upkeep<A>> {
        if self.rules.k == 0 || !reached(self.clock.next, now) {
            return None;
        }
        let question = self.check(now).or_else(|| self.refresh(now)).or_else(|| self.ask(now));
        self.schedule();
        question
    }

    /// Finds out when the next question is due.
    pub(super) fn schedule(&mut self) {
        let refresh = self.refreshed().iter().min();
        let ask = self.contacts.iter().chain(self.spares.iter()).map(|entry| entry.due).min();
        let ask = ask.map_or(Instant::NEVER, at).max(self.clock.rest);
        self.clock.next = self.clock.check.min(refresh.map_or(Instant::NEVER, |due| at(*due))).min(ask);
    }

    fn check(&mut self, now: Instant) -> Option<Upkeep<A>> {
        if !reached(self.clock.check, now) {
            return None;
        }
        if self.contacts.is_empty() {
            self.clock.check = Instant::NEVER;
            return None;
        }
        let pause = self.clock.pause;
        self.clock.check = now + self.clock.spread(pause);
        self.clock.pause = pause.saturating_mul(2).min(self.rules.limits.neighbourhood_max);
        Some(Upkeep::Neighbourhood)
    }

    fn refresh(&mut self, now: Instant) -> Option<Upkeep<A>> {
        let depth = self.refreshed().iter().position(|due| reached(at(*due), now))?;
        let due = self.clock.after(now, self.rules.limits.refresh);
        if let Some(refresh) = self.clock.refresh.get_mut(depth) {
            *refresh = due;
        }
        Some(Upkeep::Lookup { target: self.clock.random_id(&self.rules.own, depth) })
    }

    fn ask(&mut self, now: Instant) -> Option<Upkeep<A>> {
        if !reached(self.clock.rest, now) {
            return None;
        }
        let asked = self.clock.after(now, ASKED_PAUSE);
        let entries = self.contacts.iter_mut().chain(self.spares.iter_mut());
        let entry: &mut Entry<A> = entries.min_by_key(|entry| entry.due).filter(|entry| reached(at(entry.due), now))?;
        entry.due = asked;
        let contact = entry.contact;
        self.clock.rest = now + ASK_PAUSE;
        Some(Upkeep::Ask(contact))
    }

    /// When the buckets are due, from the farthest to the one where the k closest end; the neighbourhood's check covers what
    /// is deeper. None before the own identifier was looked up, or while all there is are neighbours.
    fn refreshed(&self) -> &[u32] {
        let edge = self.buckets().neighbour(self.rules.k).filter(|_| self.clock.joined);
        let len = edge.map_or(0, |edge| usize::try_from(self.depth(edge)).map_or(DEPTHS, |depth| depth.saturating_add(1)));
        self.clock.refresh.get(..len.min(DEPTHS)).unwrap_or(&[])
    }
}

/// The instant of a stamp.
fn at(second: u32) -> Instant {
    if second == NEVER { Instant::NEVER } else { Instant::from_secs(u64::from(second)) }
}

fn reached(deadline: Instant, now: Instant) -> bool {
    deadline <= now && deadline != Instant::NEVER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_what_the_inventors_of_splitmix64_draw() {
        let mut clock = Clock::EMPTY;
        assert_eq!([(); 3].map(|()| clock.draw()), [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
    }
}
