//! What must hold in every history. These checks always run, on every datagram and every event.
//!
//! | check | what is seen from outside |
//! |---|---|
//! | bounds | no datagram is larger than configured, and no store holds more than it may |
//! | one event per operation | an operation that began ends once, and in time unless its node dies |
//! | contacts | whoever is named is in the namer's table as verified, and has, or had, that identifier at that address |
//! | no forgery | a get returns nothing that was never put |
//! | tokens | a store that is taken showed a token that its holder gave its sender within ten minutes |

use core::time::Duration;
use std::collections::{HashMap, HashSet};

use kadlet::record::Version;
use kadlet::wire::Token;
use kadlet::{Instant, Key, Kind, QueryId};

/// How long a token counts: two epochs of five minutes.
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// Violations beyond these are only counted.
const KEPT: usize = 20;

/// The checks of one network, and what they need to remember.
#[derive(Debug, Default)]
pub struct Checks {
    /// The first of them, in words.
    violations: Vec<String>,
    count: u64,
    /// The last two tokens that one gave another, and when each was last given.
    tokens: HashMap<(u32, u32), [(Token, Instant); 2]>,
    swept: Instant,
    /// What was ever put by the network: by key, and the digest of the value.
    put: HashSet<(Key, u64)>,
    keys: HashSet<Key>,
    /// Ended operations, by node and incarnation.
    ended: HashSet<(u32, u32, QueryId)>,
}

impl Checks {
    /// What was violated, in words: the first twenty.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// How often anything was violated.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn require(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if holds {
            return;
        }
        self.count += 1;
        if self.violations.len() < KEPT {
            self.violations.push(words());
        }
    }

    /// `holder` gave `requester` a token.
    pub(crate) fn token_given(&mut self, now: Instant, holder: u32, requester: u32, token: Token) {
        if now.since(self.swept) >= TOKEN_LIFE {
            self.swept = now;
            self.tokens.retain(|_, given| given.iter().any(|(_, at)| now.since(*at) < TOKEN_LIFE));
        }
        let given = self.tokens.entry((holder, requester)).or_insert([(token, now); 2]);
        if given[0].0 != token {
            given[1] = given[0];
        }
        given[0] = (token, now);
    }

    /// `holder` took a record that `requester` sent with this token.
    pub(crate) fn stored(&mut self, now: Instant, holder: u32, requester: u32, token: Option<Token>) {
        let given = self.tokens.get(&(holder, requester)).copied();
        let valid = |(given, at): (Token, Instant)| token == Some(given) && now.since(at) <= TOKEN_LIFE;
        self.require(given.is_some_and(|given| given.into_iter().any(valid)), || {
            format!("{now:?}: {holder} took a record from {requester} with a token that it did not give")
        });
    }

    /// The network begins to put this.
    pub(crate) fn put(&mut self, key: Key, version: Version) {
        self.keys.insert(key);
        self.put.insert((key, version.digest));
    }

    /// A get returned this. Of keys that only applications put nothing is known.
    pub(crate) fn got(&mut self, now: Instant, address: u32, key: Key, found: Key, version: Version) {
        self.require(key == found, || format!("{now:?}: {address} asked for {key:?} and got {found:?}"));
        let known =
            key.kind == Kind::Immutable || !self.keys.contains(&key) || self.put.contains(&(key, version.digest));
        self.require(known, || format!("{now:?}: {address} got a value of {key:?} that was never put"));
    }

    /// An operation ended.
    pub(crate) fn ended(&mut self, now: Instant, address: u32, incarnation: u32, query: QueryId) {
        let first = self.ended.insert((address, incarnation, query));
        self.require(first, || format!("{now:?}: {query:?} at {address} ended twice"));
    }
}
