//! Hosts with address prefixes.

use kadlet::{Address, EncodedAddress, Prefix};

use crate::net::Place;

/// From this number on, addresses are those of hosts that have moved: 10,000 + n is that of host n.
pub const MOVED: u16 = 10_000;

/// The address of the n-th host. `EACH` hosts after one another share an address prefix, and each has a seat there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host<const EACH: u16>(pub u16);

impl<const EACH: u16> Address for Host<EACH> {
    const EMPTY: Self = Self(0);

    fn encode(&self) -> EncodedAddress {
        EncodedAddress::new(128, &self.0.to_be_bytes())
    }

    fn decode(family: u8, bytes: &[u8]) -> Option<Self> {
        (family == 128).then_some(Self(u16::from_be_bytes(bytes.try_into().ok()?)))
    }

    fn prefix(&self) -> Option<Prefix> {
        Prefix::new(u64::from(self.0 / EACH) + 1)
    }
}

impl<const EACH: u16> Place for Host<EACH> {
    fn nth(n: u16) -> Self {
        Self(n)
    }

    fn number(self) -> usize {
        usize::from(self.0 % MOVED)
    }

    fn seat(self) -> u16 {
        self.0 % EACH
    }
}
