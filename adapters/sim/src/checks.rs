//! Invariants of every history. They are checked all the time, on every datagram and every event.
//!
//! | invariant | what is checked from outside the nodes |
//! |---|---|
//! | bounds | no datagram is larger than configured |
//! | one result per operation | an operation ends once, and in time unless its node dies |
//! | contacts | a node names only contacts that are verified in its table, and that have or had that identifier at that address |
//! | no forgery | a get returns only values that were put |
//! | tokens | a node stores a record only if the request showed a token that it gave to the requester in the last ten minutes |

use core::time::Duration;
use std::collections::{HashMap, HashSet};

use kadlet::record::Version;
use kadlet::wire::Token;
use kadlet::{Instant, Key, Kind, QueryId};

use crate::address::HostAddress;

/// How long a token is valid: two epochs of five minutes.
const TOKEN_LIFE: Duration = Duration::from_secs(600);
/// How many violations are kept in words. All are counted.
const KEPT: usize = 20;

/// The checks of one network, and what they must remember.
#[derive(Debug, Default)]
pub struct Checks {
    violations: Vec<String>,
    count: u64,
    /// The last two tokens that a responder gave to a requester, and when it last gave each.
    tokens: HashMap<(u32, HostAddress), [(Token, Instant); 2]>,
    /// When old tokens were last removed.
    swept: Instant,
    /// Everything that was ever put: the key, and the digest of the value.
    put: HashSet<(Key, u64)>,
    keys: HashSet<Key>,
    /// The operations that ended, by host and incarnation.
    ended: HashSet<(u32, u32, QueryId)>,
}

impl Checks {
    /// The first twenty violations, in words.
    #[must_use]
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// How many violations there were.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Counts a violation unless this holds. `words` describes it.
    pub(crate) fn require(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if holds {
            return;
        }
        self.count += 1;
        if self.violations.len() < KEPT {
            self.violations.push(words());
        }
    }

    /// `responder` gave `requester` a token.
    pub(crate) fn token_given(&mut self, now: Instant, responder: u32, requester: HostAddress, token: Token) {
        if now.since(self.swept) >= TOKEN_LIFE {
            self.swept = now;
            self.tokens.retain(|_, given| given.iter().any(|(_, at)| now.since(*at) < TOKEN_LIFE));
        }
        let given = self.tokens.entry((responder, requester)).or_insert([(token, now); 2]);
        if given[0].0 != token {
            given[1] = given[0];
        }
        given[0] = (token, now);
    }

    /// `responder` stored a record that `requester` sent with this token.
    pub(crate) fn stored(&mut self, now: Instant, responder: u32, requester: HostAddress, token: Option<Token>) {
        let given = self.tokens.get(&(responder, requester)).copied();
        let valid = |(given, at): (Token, Instant)| token == Some(given) && now.since(at) <= TOKEN_LIFE;
        self.require(given.is_some_and(|given| given.into_iter().any(valid)), || {
            format!("{now:?}: {responder} stored a record of {requester} for a token that it did not give")
        });
    }

    /// The network begins to put this version.
    pub(crate) fn put(&mut self, key: Key, version: Version) {
        self.keys.insert(key);
        self.put.insert((key, version.digest));
    }

    /// A get of `key` returned this version of a record under the key `found`. Keys that only applications put are not
    /// checked.
    pub(crate) fn got(&mut self, now: Instant, host: u32, key: Key, found: Key, version: Version) {
        self.require(key == found, || format!("{now:?}: {host} requested {key:?} and got {found:?}"));
        let known =
            key.kind == Kind::Immutable || !self.keys.contains(&key) || self.put.contains(&(key, version.digest));
        self.require(known, || format!("{now:?}: {host} got a value of {key:?} that was never put"));
    }

    /// An operation ended.
    pub(crate) fn ended(&mut self, now: Instant, host: u32, incarnation: u32, query: QueryId) {
        let first = self.ended.insert((host, incarnation, query));
        self.require(first, || format!("{now:?}: {query:?} at {host} ended twice"));
    }
}
