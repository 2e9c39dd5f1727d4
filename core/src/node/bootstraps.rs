//! The bootstrap addresses, and when to ask them again.

use core::ops::{Deref, DerefMut};

use heapless::{Vec, VecView};

use crate::address::Address;
use crate::time::{Instant, Micros};

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
    addresses: V,
}

impl<A: Address, const N: usize> Bootstraps<A, N> {
    /// All zeros, to be cleared before use.
    pub(super) const EMPTY: Self = Self { due: Instant::ZERO, pause: Micros::ZERO, next: 0, addresses: Vec::new() };
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
    pub(super) fn clear(&mut self) {
        self.addresses.clear();
        (self.due, self.next) = (Instant::NEVER, 0);
    }

    /// Replaces the addresses by the first of these that fit. Returns how many fit.
    pub(super) fn remember(&mut self, now: Instant, addresses: &[A]) -> usize {
        self.addresses.clear();
        addresses.iter().map_while(|address| self.addresses.push(address.canonical()).ok()).for_each(drop);
        self.try_soon(now);
        self.addresses.len()
    }

    /// Tries the addresses soon, then after longer and longer pauses, until one responds.
    pub(super) fn try_soon(&mut self, now: Instant) {
        self.pause = PAUSE.0;
        self.due = now + self.pause;
    }

    /// The node at this address responded. If it is a bootstrap address, one of these is asked only every 30 minutes
    /// from now on, so that the halves of a split network find each other again.
    pub(super) fn responded(&mut self, now: Instant, address: A) {
        if self.addresses.contains(&address) {
            self.pause = PAUSE.1;
            self.due = now + VISIT;
        }
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// The next address to try. The pause before the one after it is twice as long.
    pub(super) fn next(&mut self, now: Instant) -> Option<A> {
        self.pause = Micros(2 * self.pause.0).max(PAUSE.0).min(PAUSE.1);
        self.due = now + self.pause;
        self.next = self.next.wrapping_add(1);
        self.addresses.get(usize::from(self.next).checked_rem(self.addresses.len())?).copied()
    }

    pub(super) fn get(&self, index: usize) -> Option<A> {
        self.addresses.get(index).copied()
    }
}
