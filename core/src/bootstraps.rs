//! The bootstrap addresses, when to ask them again, and which of them leads into the densest network.

mod comparison;

use core::ops::{Deref, DerefMut};

use heapless::{Vec, VecView};

use crate::address::Address;
use crate::time::{Instant, Micros};
use comparison::Comparison;

/// The first and the longest pause before bootstrap addresses are tried again. Each pause is twice as long as the last.
const PAUSE: (Micros, Micros) = (Micros::from_secs(5), Micros::from_secs(15 * 60));

/// A bootstrap address is asked again this long after its node responded. All nodes that joined through it do the same.
const VISIT: Micros = Micros::from_secs(30 * 60);

/// At most `N` bootstrap addresses.
pub(crate) type Bootstraps<A, const N: usize> = BootstrapsInner<Vec<A, N>>;

/// [`Bootstraps`] with any bound.
pub(crate) type BootstrapsView<A> = BootstrapsInner<VecView<A>>;

#[derive(Debug)]
pub struct BootstrapsInner<V: ?Sized> {
    /// When the next address must be tried. Never, if there is none.
    due: Instant,
    pause: Micros,
    next: u8,
    pub(crate) comparison: Comparison,
    addresses: V,
}

impl<A: Address, const N: usize> Bootstraps<A, N> {
    /// All zeros, to be cleared before use.
    pub(crate) const EMPTY: Self =
        Self { due: Instant::ZERO, pause: Micros::ZERO, next: 0, comparison: Comparison::EMPTY, addresses: Vec::new() };
}

impl<A, const N: usize> Deref for Bootstraps<A, N> {
    type Target = BootstrapsView<A>;

    fn deref(&self) -> &BootstrapsView<A> {
        self
    }
}

impl<A, const N: usize> DerefMut for Bootstraps<A, N> {
    fn deref_mut(&mut self) -> &mut BootstrapsView<A> {
        self
    }
}

impl<A: Address> BootstrapsView<A> {
    pub(crate) fn clear(&mut self) {
        self.addresses.clear();
        (self.due, self.next, self.comparison) = (Instant::NEVER, 0, Comparison::EMPTY);
    }

    /// Replaces the addresses by the first of these that fit. Returns how many fit.
    pub(crate) fn remember(&mut self, now: Instant, addresses: &[A]) -> usize {
        self.addresses.clear();
        self.comparison.restart();
        addresses.iter().map_while(|address| self.addresses.push(address.canonical()).ok()).for_each(drop);
        self.try_soon(now);
        self.addresses.len()
    }

    /// Tries the addresses soon, then after longer and longer pauses, until one responds.
    pub(crate) fn try_soon(&mut self, now: Instant) {
        self.pause = PAUSE.0;
        self.due = now + self.pause;
    }

    /// Tries the next address at once: the own node must be known again.
    pub(crate) fn try_now(&mut self, now: Instant) {
        if !self.addresses.is_empty() {
            self.try_soon(now);
            self.due = now;
        }
    }

    /// The node at this address responded. If it is a bootstrap address, one of these is asked only every 30 minutes
    /// from now on, so that the halves of a split network find each other again.
    pub(crate) fn responded(&mut self, now: Instant, address: A) {
        if let Some(index) = self.addresses.iter().position(|bootstrap| *bootstrap == address) {
            self.comparison.note_response(index);
            self.pause = PAUSE.1;
            self.due = now + VISIT;
        }
    }

    /// When an address must be asked: at once, while they are compared.
    pub(crate) fn due(&self) -> Instant {
        if self.comparison.is_due() { Instant::ZERO } else { self.due }
    }

    /// The next address to try. The pause before the one after it is twice as long.
    pub(crate) fn next(&mut self, now: Instant) -> Option<A> {
        self.pause = Micros(2 * self.pause.0).max(PAUSE.0).min(PAUSE.1);
        self.due = now + self.pause;
        self.next = self.next.wrapping_add(1);
        self.addresses.get(usize::from(self.next).checked_rem(self.addresses.len())?).copied()
    }

    pub(crate) fn get(&self, index: usize) -> Option<A> {
        self.addresses.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1_000)
    }

    fn remembered(addresses: &[u32]) -> Bootstraps<u32, 2> {
        let mut bootstraps = Bootstraps::EMPTY;
        bootstraps.clear();
        bootstraps.remember(Instant::ZERO, addresses);
        bootstraps
    }

    #[test]
    fn without_an_address_nothing_is_ever_due() {
        let mut bootstraps: Bootstraps<u32, 2> = Bootstraps::EMPTY;
        bootstraps.clear();
        assert_eq!((bootstraps.due(), bootstraps.next(Instant::ZERO)), (Instant::NEVER, None));
    }

    #[test]
    fn only_the_first_addresses_that_fit_are_remembered() {
        let mut bootstraps = remembered(&[]);
        assert_eq!(bootstraps.remember(Instant::ZERO, &[1, 2, 3]), 2);
        assert_eq!([0, 1, 2].map(|index| bootstraps.get(index)), [Some(1), Some(2), None]);
    }

    #[test]
    fn addresses_that_do_not_respond_are_tried_in_turn_with_pauses_that_double_up_to_a_quarter_of_an_hour() {
        let mut bootstraps = remembered(&[1, 2]);
        let (mut pauses, mut tried, mut now) = (std::vec::Vec::new(), std::vec::Vec::new(), Instant::ZERO);
        for _ in 0..10 {
            pauses.push(bootstraps.due().since(now).as_secs());
            now = bootstraps.due();
            tried.extend(bootstraps.next(now));
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert!(tried.windows(2).all(|pair| pair[0] != pair[1]), "{tried:?}");
    }

    #[test]
    fn after_a_response_one_address_is_visited_every_half_hour() {
        let mut bootstraps = remembered(&[1, 2]);
        bootstraps.responded(seconds(7), 3);
        assert_eq!(bootstraps.due(), seconds(5), "address 3 is no bootstrap address");
        bootstraps.responded(seconds(7), 2);
        assert_eq!(bootstraps.due(), seconds(7 + 30 * 60));
    }
}
