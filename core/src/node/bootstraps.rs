//! The bootstrap addresses, and when to try them again.

use core::ops::{Deref, DerefMut};

use heapless::{Vec, VecView};

use crate::address::Address;
use crate::time::{Instant, Micros};

/// The first pause before bootstrap addresses are tried again, and the longest of those that each take twice as long.
const PAUSE: (Micros, Micros) = (Micros::from_secs(5), Micros::from_secs(15 * 60));

/// An address whose node responded is asked again after this time: so are all nodes that joined through it.
const VISIT: Micros = Micros::from_secs(30 * 60);

/// At most `N` bootstrap addresses.
pub(crate) type Bootstraps<A, const N: usize> = BootstrapsInner<Vec<A, N>>;

/// [`Bootstraps`] whatever their bound.
pub(crate) type BootstrapsView<A> = BootstrapsInner<VecView<A>>;

#[derive(Debug)]
pub struct BootstrapsInner<V: ?Sized> {
    /// Never, while there are none.
    due: Instant,
    pause: Micros,
    next: u8,
    addresses: V,
}

impl<A: Address, const N: usize> Bootstraps<A, N> {
    /// Zeros, to be cleared before they are used.
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

    /// Takes these addresses in place of the earlier ones: the first that fit, and says how many.
    pub(super) fn remember(&mut self, now: Instant, addresses: &[A]) -> usize {
        self.addresses.clear();
        addresses.iter().map_while(|address| self.addresses.push(address.canonical()).ok()).for_each(drop);
        self.try_soon(now);
        self.addresses.len()
    }

    /// The addresses are tried soon, then ever later, until one has responded.
    pub(super) fn try_soon(&mut self, now: Instant) {
        self.pause = PAUSE.0;
        self.due = now + self.pause;
    }

    /// The node at this address responded: from now on they are only asked now and then, so that halves of a split network meet again.
    pub(super) fn responded(&mut self, now: Instant, address: A) {
        if self.addresses.contains(&address) {
            self.pause = PAUSE.1;
            self.due = now + VISIT;
        }
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// The next address to try. The pause until the one after it is longer.
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
