//! Bound identifiers: on the open internet, the address of a node decides which identifiers it can have.
//!
//! An attacker who can choose identifiers can own any key: 20 nodes next to it suffice. So an identifier is computed,
//! in all its bits, from the address prefix of its node and the number of a *seat*. An address prefix has two
//! first-class seats. The others are for networks of few prefixes, such as a campus or a lab, where more nodes than two
//! of a prefix must serve.
//!
//! This does not defend against an attacker with addresses of many prefixes, nor in networks of few prefixes or
//! without them.
//!
//! ```
//! use core::net::SocketAddrV4;
//! use kadlet::{Address, Id};
//!
//! let [here, next, away]: [SocketAddrV4; 3] =
//!     ["192.0.2.7:4000", "192.0.2.8:4000", "198.51.100.7:4000"].map(|text| text.parse().unwrap());
//! let id = Id::bound(here.prefix().unwrap(), 1);
//! assert!(id.is_bound(&here) && id.is_bound(&next) && !id.is_bound(&away));
//! assert_eq!((id.seat(), id.is_first_class()), (1, true));
//! ```

use crate::address::{Address, Prefix};
use crate::id::Id;
use crate::random::mix;

/// The first-class seats of an address prefix. An attacker who chooses between more ids gets nearer to any key: with
/// two for each of 100 prefixes, 1.6 of its nodes are nearer than the 8th of 1,000 honest ones, with 8 seats it is 6.3.
const FIRST_CLASS: u16 = 2;

impl Id {
    /// The identifier of the node in a seat of an address prefix. The last two bytes are the number of the seat, the
    /// other 18 are a hash of both (`core/SPEC.md` has it). The hash is public, and cheap on a microcontroller: it only
    /// spreads identifiers evenly.
    #[must_use]
    pub fn bound(prefix: Prefix, seat: u16) -> Self {
        let mut bytes = [0; Self::LEN];
        let mut word = mix(prefix.number()) ^ u64::from(seat);
        for chunk in bytes.chunks_mut(8) {
            word = mix(word);
            chunk.iter_mut().zip(word.to_be_bytes()).for_each(|(to, from)| *to = from);
        }
        [bytes[18], bytes[19]] = seat.to_be_bytes();
        Self::from_bytes(bytes)
    }

    /// Whether the node at this address can have this identifier: it is that of a seat of the address prefix, or the
    /// address has no prefix. Private and loopback addresses have none.
    #[must_use]
    pub fn is_bound(&self, address: &impl Address) -> bool {
        address.prefix().is_none_or(|prefix| *self == Self::bound(prefix, self.seat()))
    }

    /// The number of the seat: the last two bytes, most significant first.
    #[must_use]
    pub const fn seat(&self) -> u16 {
        let bytes = self.as_bytes();
        u16::from_be_bytes([bytes[18], bytes[19]])
    }

    /// Whether the seat is one of the two first-class ones, 0 and 1, which count in every network.
    #[must_use]
    pub const fn is_first_class(&self) -> bool {
        self.seat() < FIRST_CLASS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddr;
    use proptest::prelude::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn bound_ids_are_those_of_the_specification() {
        let id = |text: &str, seat| std::format!("{}", Id::bound(at(text).prefix().unwrap(), seat));
        assert_eq!(id("192.0.2.7:4000", 0), "0bce25f64dd5898cdda8fb000492bebece1a0000");
        assert_eq!(id("192.0.2.255:1", 1), "81cd1dd8409e4012bc3cc6e94437e767c5800001");
        assert_eq!(id("[2001:db8:7::1]:4000", 513), "64e990407792458500d16628c1f1e602aa660201");
    }

    #[test]
    fn an_address_without_a_prefix_can_have_any_id() {
        for text in ["10.1.2.3:1", "127.0.0.1:1", "100.64.0.1:1", "[fd00::1]:1", "[::1]:1"] {
            assert!(Id::from_bytes([7; 20]).is_bound(&at(text)), "{text}");
        }
        assert!(Id::from_bytes([7; 20]).is_bound(&7_u32));
        assert!(!Id::from_bytes([7; 20]).is_bound(&at("192.0.2.7:1")));
    }

    #[test]
    fn every_bit_of_an_id_follows_from_the_prefix_and_the_seat() {
        let ids = |change: &dyn Fn(u64) -> (u64, u16)| {
            let ids = (1..=4_096).map(move |n| {
                let (prefix, seat) = change(n);
                Id::bound(Prefix::new(prefix).unwrap(), seat)
            });
            ids.collect::<std::vec::Vec<_>>()
        };
        for ids in [ids(&|n| (0x0400_0000 + n, 0)), ids(&|n| (0x0600_2001_0DB8_0000 + n, 1)), ids(&|n| (4, n as u16))] {
            // Of 4,096 fair coins, 1,800 or fewer show heads once in 10^14 times.
            for bit in 0..144 {
                let set = ids.iter().filter(|id| id.bit(bit)).count();
                assert!((1_800..2_296).contains(&set), "bit {bit} is set in {set} of 4,096 ids");
            }
        }
    }

    proptest! {
        #[test]
        fn an_id_with_any_bit_changed_is_not_bound(ip: [u8; 3], seat: u16, bit in 0_usize..160) {
            let address = SocketAddr::from(([ip[0], ip[1], ip[2], 1], 4000));
            if let Some(prefix) = address.prefix() {
                let mut bytes = *Id::bound(prefix, seat).as_bytes();
                prop_assert!(Id::from_bytes(bytes).is_bound(&address));
                bytes[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(!Id::from_bytes(bytes).is_bound(&address));
            }
        }
    }
}
