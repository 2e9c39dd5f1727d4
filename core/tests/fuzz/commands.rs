//! Commands that the user of a fuzzed node calls, and checks of what the node says to them.

use core::net::SocketAddrV4;
use core::time::Duration;

use kadlet::message::Target;
use kadlet::record::Kind;
use kadlet::{BeginError, Config, Dht, GetError, Key, Mode, Options, Outcome, PutError, QueryId, QueryResult, Routing};

use super::peers::{OWN, number};
use super::record::VERIFY;
use super::{BOOTSTRAPS, History, OPERATIONS, Operation, SHORTLIST, VALUES};

impl<R: Routing<Address = SocketAddrV4>, const RELAYS: usize> History<'_, R, RELAYS> {
    pub(super) fn bootstrap(&mut self) {
        let addresses: Vec<SocketAddrV4> = (0..self.input.below(BOOTSTRAPS + 2)).map(|_| self.peer().address).collect();
        let begun = self.node.bootstrap(self.now, &addresses);
        self.bootstraps.extend(&addresses);
        match begun {
            Err(BeginError::NoAddresses) => assert!(addresses.is_empty()),
            Ok(joining) => {
                assert_eq!(joining.taken, addresses.len().min(BOOTSTRAPS));
                self.begun(Ok(joining.query), &Options::DEFAULT, Target::Nodes(OWN));
            }
            Err(error) => self.begun(Err(error == BeginError::Busy(OPERATIONS)), &Options::DEFAULT, Target::Nodes(OWN)),
        }
    }

    pub(super) fn find(&mut self) {
        if self.input.once_in(2) {
            let to = self.peer().address;
            let begun = self.node.ping(self.now, to);
            if begun.is_ok() {
                self.accounts.entry(to).or_default().commanded += 1;
            }
            return self.begun(
                begun.map_err(|error| error == BeginError::Busy(OPERATIONS)),
                &Options::DEFAULT,
                Target::Nodes(OWN),
            );
        }
        let (target, options) = (self.target(), self.options());
        match self.node.find_node(self.now, target, &options) {
            Err(BeginError::NoContacts) => assert_eq!(self.node.routing().peers().count(), 0),
            Err(BeginError::NoRelays) => assert!(RELAYS == 0 && options.mode == Mode::Recursive),
            begun => self.begun(
                begun.map_err(|error| error == BeginError::Busy(OPERATIONS)),
                &options,
                Target::Nodes(target),
            ),
        }
    }

    pub(super) fn get(&mut self) {
        let (parts, options) = (self.record(), self.options());
        let key = parts.record().key();
        self.records.push(parts);
        match self.node.get(self.now, key, &options) {
            Err(GetError::NoContacts) => assert_eq!(self.node.routing().peers().count(), 0),
            Err(GetError::Unsupported(kind)) => assert!(!self.supports(kind)),
            Err(GetError::NoRelays) => assert!(RELAYS == 0 && options.mode == Mode::Recursive),
            Err(GetError::NoBuffer(VALUES)) => {
                assert_eq!(self.operations.iter().filter(|running| running.gets()).count(), VALUES)
            }
            begun => {
                self.begun(begun.map_err(|error| error == GetError::Busy(OPERATIONS)), &options, Target::Value(key))
            }
        }
    }

    pub(super) fn put(&mut self) {
        let (parts, options) = (self.record(), self.options());
        let record = parts.record();
        let begun = self.node.put(self.now, &record, &options);
        self.claims.put(&record, &options, begun.ok());
        match begun {
            Ok(_) | Err(PutError::Busy(_)) => {
                self.begun(
                    begun.map_err(|error| error == PutError::Busy(OPERATIONS)),
                    &options,
                    Target::Nodes(record.key().id),
                );
            }
            Err(PutError::NoRelays) => assert!(RELAYS == 0 && options.mode == Mode::Recursive),
            Err(PutError::NoContacts) => assert_eq!(self.node.routing().peers().count(), 0),
            Err(PutError::Unsupported(kind)) => assert!(!self.supports(kind)),
            Err(PutError::Record(error)) => assert_eq!(record.check(), Err(error)),
            Err(PutError::TooLarge(limit)) => assert!(limit < record.value.len().max(1)),
            Err(PutError::Lifetime) => assert!(options.lifetime < Duration::from_secs(1)),
            Err(PutError::Signature) => assert!(!record.verify(0, VERIFY)),
            Err(PutError::CompareUnsigned) => assert!(options.compare.is_some() && record.kind() != Kind::Signed),
            Err(PutError::Conflict(held)) => assert_ne!(options.compare, Some(held)),
            Err(PutError::Store(_)) => {}
            Err(other) => panic!("{other}"),
        }
        self.records.push(parts);
    }

    fn begun(&mut self, begun: Result<QueryId, bool>, options: &Options, seeks: Target) {
        match begun {
            Ok(query) => {
                assert!(self.operations.len() < OPERATIONS, "more operations than the bound");
                assert!(self.operations.iter().all(|running| running.query != query) && !self.ended.contains(&query));
                let recursive = options.mode == Mode::Recursive;
                self.recursive += usize::from(recursive);
                self.operations.push(Operation { query, deadline: self.now + options.timeout, seeks, recursive });
            }
            Err(busy) => assert!(busy && self.operations.len() == OPERATIONS, "refused for no reason"),
        }
    }

    pub(super) fn end_operation(&mut self) {
        let index = self.input.below(OPERATIONS);
        let Some(query) = self.operations.get(index).map(|running| running.query) else {
            let key = Key::plain(&[self.input.byte() % 4]);
            self.node.unpublish(&key);
            self.claims.command(key);
            return;
        };
        if self.input.once_in(2) {
            self.node.cancel(query);
            self.operations.remove(index);
            self.ended.push(query);
        } else if let Some(result) = self.node.take_result(query) {
            check_result(&result, &mut self.operations, &self.config);
            self.claims.check_outcome(&result, &self.responded);
            self.ended.push(query);
        }
    }

    pub(super) fn restore(&mut self) {
        if self.input.once_in(2) {
            let parts = self.record();
            let (lifetime, publish) = (self.options().lifetime, self.input.once_in(2));
            let restored = self.node.restore_record(self.now, &parts.record(), lifetime, publish);
            self.claims.command(parts.record().key());
            assert!(restored.is_err() || (parts.record().verify(0, VERIFY) && self.supports(parts.record().kind())));
            self.records.push(parts);
        } else {
            let peer = self.peer();
            self.node.restore_contact(self.now, peer);
        }
    }

    fn options(&mut self) -> Options {
        Options {
            mode: if self.input.once_in(4) { Mode::Recursive } else { Mode::Iterative },
            timeout: self.input.pick(&[
                Duration::from_secs(30),
                Duration::from_millis(1),
                Duration::ZERO,
                Duration::MAX,
            ]),
            lifetime: self.input.pick(&[
                Duration::from_secs(86_400),
                Duration::from_secs(2),
                Duration::ZERO,
                Duration::MAX,
            ]),
            publish: self.input.once_in(2),
            compare: self.input.once_in(8).then(|| number(&mut self.input)),
        }
    }
}

/// Checks an operation's result, and takes the operation off the list of those that run.
pub(super) fn check_result(result: &QueryResult<'_, SocketAddrV4>, operations: &mut Vec<Operation>, config: &Config) {
    let index = operations.iter().position(|running| running.query == result.query);
    let ended = operations.remove(index.expect("an operation ends once"));
    match &result.outcome {
        Outcome::Value { record, holders, .. } => {
            assert_eq!(Target::Value(record.key()), ended.seeks);
            assert!(record.check().is_ok() && record.verify(0, config.verify.unwrap_or(VERIFY)));
            assert!(holders.len() <= SHORTLIST);
        }
        Outcome::NotFound { closest } => assert!(ended.gets() && closest.len() <= SHORTLIST),
        Outcome::Nodes(found) | Outcome::Joined { neighbours: found } | Outcome::Stored { holders: found, .. } => {
            assert!(!ended.gets() && found.len() <= SHORTLIST);
            // Its identifier may have been another one meanwhile.
            assert!(config.bind_ids || found.iter().all(|contact| contact.id != OWN));
        }
        _ => {}
    }
}
