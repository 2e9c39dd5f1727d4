//! Tokens: proof that a requester receives what is sent to its address.
//!
//! A response carries a token for its requester. A request with this token can't have a forged source address, and a
//! store request must have one. A token is a keyed MAC (SipHash-2-4) over the number of an epoch of five minutes and
//! the requester's address and identifier. So the node that made it keeps no state. It is valid in its own epoch and
//! the next one: for five to ten minutes. The [`Wire`](crate::wire::Wire) defines how the 64 bits of the MAC are
//! encoded.
//!
//! This does not defend against an attacker on the path, which sees tokens and can use them.

use core::fmt;

use crate::address::{Address, MAX_ADDRESS};
use crate::id::Id;
use crate::random::keyed_hash;
use crate::time::{Instant, Micros};

/// How long one epoch lasts, in seconds.
const EPOCH: u16 = 5 * 60;
/// The first byte of what is hashed. Anything else that is ever hashed with the same secret needs another number.
const DOMAIN: u8 = 1;
/// The offset of the address: after domain, epoch, identifier and family. Only the address varies in length, so two
/// different claims are never the same bytes.
const ADDRESS: usize = 1 + 8 + Id::LEN + 1;
const LONGEST: usize = ADDRESS + MAX_ADDRESS;

/// Makes and checks the tokens of one node.
///
/// ```
/// use kadlet::guard::Tokens;
/// use kadlet::{Id, Instant};
///
/// let mut tokens = Tokens::EMPTY;
/// tokens.start(*b"sixteen secrets!");
///
/// let (requester, address) = (Id::ZERO, 7_u32);
/// let token = tokens.make(Instant::ZERO, &address, &requester);
/// assert!(tokens.check(Instant::from_secs(300), &address, &requester, token));
/// assert!(!tokens.check(Instant::from_secs(300), &8_u32, &requester, token));
/// assert!(!tokens.check(Instant::from_secs(600), &address, &requester, token));
/// ```
#[derive(Clone)]
pub struct Tokens {
    secret: Option<[u8; 16]>,
}

impl Tokens {
    /// No secret: makes tokens of zeros, and accepts none.
    pub const EMPTY: Self = Self { secret: None };

    /// Begins with a secret of 16 random bytes, which others must not be able to guess. Tokens made before become
    /// invalid.
    pub fn start(&mut self, secret: [u8; 16]) {
        self.secret = Some(secret);
    }

    /// The token for the node `requester` at `address`.
    #[must_use]
    pub fn make<A: Address>(&self, now: Instant, address: &A, requester: &Id) -> u64 {
        self.renew(now, address, requester, None).1
    }

    /// Whether the token was made for the node `requester` at `address` in this epoch or the last one. The time that
    /// the check takes can reveal in which of the two it was made, but not how close a guess is.
    #[must_use]
    pub fn check<A: Address>(&self, now: Instant, address: &A, requester: &Id, token: u64) -> bool {
        self.renew(now, address, requester, Some(token)).0
    }

    /// [`check`](Self::check) and [`make`](Self::make) in one, at little more than the cost of one of them: whether the
    /// token shown is valid (false if none was shown), and a fresh token.
    #[must_use]
    pub fn renew<A: Address>(&self, now: Instant, address: &A, requester: &Id, shown: Option<u64>) -> (bool, u64) {
        let Some(secret) = self.secret else {
            return (false, 0);
        };
        let (epoch, mut claim) = (epoch(now), Claim::new(address, requester));
        let fresh = claim.mac(&secret, epoch);
        let is_valid =
            shown.is_some_and(|shown| shown ^ fresh == 0 || shown ^ claim.mac(&secret, epoch.wrapping_sub(1)) == 0);
        (is_valid, fresh)
    }
}

/// Doesn't print the secret.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

fn epoch(now: Instant) -> u64 {
    Micros(now.as_micros()).divided(1_000).divided(1_000).divided(EPOCH).0
}

/// The bytes that a token is the MAC of: domain, epoch, identifier, family and address.
struct Claim {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Claim {
    fn new<A: Address>(address: &A, requester: &Id) -> Self {
        let address = address.canonical().encode();
        let mut bytes = [0; LONGEST];
        bytes[0] = DOMAIN;
        bytes[9..29].copy_from_slice(requester.as_bytes());
        bytes[29] = address.family;
        for (to, from) in bytes[ADDRESS..].iter_mut().zip(address.as_bytes()) {
            *to = *from;
        }
        Self { bytes, len: ADDRESS + address.as_bytes().len() }
    }

    fn mac(&mut self, secret: &[u8; 16], epoch: u64) -> u64 {
        self.bytes[1..9].copy_from_slice(&epoch.to_be_bytes());
        keyed_hash(secret, self.bytes.get(..self.len).unwrap_or(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::SocketAddr;

    const NOW: Instant = Instant::from_secs(10_000);
    const REQUESTER: Id = Id::from_bytes([7; 20]);

    fn tokens() -> Tokens {
        let mut tokens = Tokens::EMPTY;
        tokens.start([9; 16]);
        tokens
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_valid_only_for_its_requester_at_its_address() {
        let (tokens, home) = (tokens(), at("192.0.2.7:4000"));
        let token = tokens.make(NOW, &home, &REQUESTER);
        assert!(tokens.check(NOW, &home, &REQUESTER, token));
        assert!(
            tokens.check(NOW, &at("[::ffff:192.0.2.7]:4000"), &REQUESTER, token),
            "another way to write the same address"
        );
        assert!(!tokens.check(NOW, &at("192.0.2.8:4000"), &REQUESTER, token));
        assert!(!tokens.check(NOW, &at("192.0.2.7:4001"), &REQUESTER, token));
        assert!(!tokens.check(NOW, &home, &Id::ZERO, token));
    }

    #[test]
    fn a_token_is_valid_in_its_own_epoch_and_the_next() {
        let tokens = tokens();
        let begin = Instant::from_secs(300 * 40);
        let last = Instant::from_micros(300_000_000 * 41 - 1);
        for made in [begin, last] {
            let token = tokens.make(made, &1_u32, &REQUESTER);
            let valid = |secs| tokens.check(Instant::from_secs(secs), &1_u32, &REQUESTER, token);
            assert!(valid(300 * 40) && valid(300 * 41) && valid(300 * 42 - 1));
            assert!(!valid(300 * 42), "two epochs back");
            assert!(!valid(300 * 50), "too old");
            assert!(!valid(300 * 40 - 1), "from the future");
        }
        let first = tokens.make(Instant::ZERO, &1_u32, &REQUESTER);
        assert!(tokens.check(Instant::ZERO, &1_u32, &REQUESTER, first));
        assert!(!tokens.check(Instant::NEVER, &1_u32, &REQUESTER, first));
    }

    #[test]
    fn a_token_is_renewed_whether_or_not_the_one_shown_is_valid() {
        let (tokens, next) = (tokens(), NOW + core::time::Duration::from_secs(300));
        let (first, second) = (tokens.make(NOW, &1_u32, &REQUESTER), tokens.make(next, &1_u32, &REQUESTER));
        assert_ne!(first, second);
        assert_eq!(tokens.renew(next, &1_u32, &REQUESTER, None), (false, second));
        for (shown, valid) in [(first, true), (second, true), (0, false)] {
            assert_eq!(tokens.renew(next, &1_u32, &REQUESTER, Some(shown)), (valid, second));
        }
    }

    #[test]
    fn a_tampered_token_is_not_valid() {
        let tokens = tokens();
        let token = tokens.make(NOW, &1_u32, &REQUESTER);
        for bit in 0..64 {
            let mut tampered = token;
            tampered ^= 1_u64 << bit;
            assert!(!tokens.check(NOW, &1_u32, &REQUESTER, tampered));
        }
    }

    #[test]
    fn a_token_is_not_valid_with_another_secret_or_without_one() {
        let token = tokens().make(NOW, &1_u32, &REQUESTER);
        let mut other = Tokens::EMPTY;
        assert!(!other.check(NOW, &1_u32, &REQUESTER, other.make(NOW, &1_u32, &REQUESTER)));
        other.start([8; 16]);
        assert!(!other.check(NOW, &1_u32, &REQUESTER, token));
    }

    #[test]
    fn the_longest_address_counts_to_its_last_byte() {
        let (tokens, home) = (tokens(), at("[2001:db8::7]:4000"));
        let token = tokens.make(NOW, &home, &REQUESTER);
        assert!(tokens.check(NOW, &home, &REQUESTER, token));
        assert!(!tokens.check(NOW, &at("[2001:db8::7]:4001"), &REQUESTER, token));
        assert!(!tokens.check(NOW, &at("[2001:db8::8]:4000"), &REQUESTER, token));
    }

    #[test]
    fn addresses_of_different_families_do_not_collide() {
        let tokens = tokens();
        assert_ne!(tokens.make(NOW, &1_u16, &REQUESTER), tokens.make(NOW, &1_u32, &REQUESTER));
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(std::format!("{:?}", tokens()), "Tokens { .. }");
    }
}
