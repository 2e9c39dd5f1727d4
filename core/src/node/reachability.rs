//! Whether the node can be reached from outside, and the probes by which nodes find this out.

use core::num::NonZeroU8;

use super::bounds::{Parts, TokenOf};
use super::config::Serve;
use super::purpose::Purpose;
use super::shared::Shared;
use crate::address::{Address, EncodedAddress, Prefix};
use crate::contact::Contact;
use crate::message::{ErrorCode, Response};
use crate::routing::{ContactState, Routing};
use crate::rpc::Attempts;
use crate::time::Instant;
use crate::wire::{Header, Wire};

/// A request for a probe.
pub(super) struct ProbeRequest<'a> {
    /// The address to be probed; of no bytes for that of the requester.
    pub(super) address: &'a EncodedAddress,
    pub(super) nonce: u64,
    /// The length of the datagram, in bytes.
    pub(super) len: usize,
}

impl<P: Parts> Shared<P> {
    /// Takes the next step to find out whether the node can be reached.
    pub(super) fn check_reachability(&mut self, now: Instant) {
        let (serves, nonce) = (self.config.serve.serves(), self.random.next());
        let (changes, asks) = self.reachability.step(now, serves, nonce);
        if changes {
            self.set_serves(now, !serves);
        }
        if self.reachability.told != u8::MAX {
            let told = self.table.peers().nth(self.reachability.told.into());
            self.reachability.told += 1;
            match told {
                Some(peer) => {
                    _ = self.begin_request(
                        Purpose::Check,
                        peer.contact.address,
                        Some(&peer.contact.id),
                        Attempts::Known,
                    )
                }
                None => self.reachability.told = u8::MAX,
            }
        }
        if asks && !self.begin_errand(false, &|_| true) {
            self.reachability.failed(now, false);
        }
    }

    /// A ping arrived: it may be the own probe.
    pub(super) fn note_ping(&mut self, now: Instant, header: &Header<P::Wire>) {
        let serves = self.config.serve.serves();
        if self.reachability.arrived(now, header.transaction, serves) {
            self.set_serves(now, !serves);
        }
    }

    /// Another node asks to have its own address probed, which has shown a token, or to probe another address itself.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub(super) fn take_probe(
        &mut self,
        now: Instant,
        from: P::Address,
        probe: &ProbeRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let passes = probe.address.len == 0;
        let named = P::Address::decode(probe.address.family, probe.address.as_bytes());
        let address = if passes { Some(from) } else { named };
        let (address, prefix) =
            address.and_then(|address| Some((address, address.prefix()?))).ok_or(ErrorCode::Invalid)?;
        if passes && (probe.len < P::Wire::LENGTHS.probe || self.reachability.errands[1].nonce != 0) {
            return Err(ErrorCode::Busy);
        }
        self.reachability.take_turn(now, prefix, passes)?;
        let begun = if passes {
            self.reachability.errands[1].begin(address, probe.nonce);
            self.begin_errand(true, &|other| other != prefix)
        } else {
            let (transaction, once) = (P::Wire::transaction(probe.nonce), Attempts::Times(NonZeroU8::MIN));
            self.requests.begin(Purpose::Check, address, None, transaction, None, once).is_ok()
        };
        if begun {
            return Ok(());
        }
        self.reachability.failed(now, passes);
        Err(ErrorCode::Busy)
    }

    /// The helper, or the third node, responded to a request for a probe.
    pub(super) fn probe_responded(
        &mut self,
        now: Instant,
        passed: bool,
        from: &Contact<P::Address>,
        token: Option<TokenOf<P>>,
        response: &Response<'_, P::Address>,
    ) {
        let errand = &mut self.reachability.errands[usize::from(passed)];
        match (response, token) {
            (Response::Error { code: ErrorCode::Token, .. }, Some(token)) if errand.token == P::Wire::NO_TOKEN => {
                errand.token = token;
                if self.begin_request(Purpose::Probe { passed }, from.address, Some(&from.id), Attempts::Known) {
                    return;
                }
            }
            (Response::Accepted, _) if !passed => {
                // It is over if the probe was faster.
                self.reachability.accepted = errand.nonce != 0;
                return;
            }
            (Response::Error { code: ErrorCode::Busy, .. }, _) if passed && errand.left != 0 => {
                (errand.token, errand.left) = (P::Wire::NO_TOKEN, errand.left - 1);
                let prefix = errand.address.prefix();
                if self.begin_errand(true, &|other| Some(other) != prefix) {
                    return;
                }
            }
            _ => {}
        }
        self.reachability.failed(now, passed);
    }

    /// A random verified contact of such a prefix.
    pub(super) fn draw_contact(&self, random: u64, is_wanted: &dyn Fn(Prefix) -> bool) -> Option<Contact<P::Address>> {
        let random = random.to_le_bytes()[0];
        let verified = self.table.peers().filter(|peer| peer.state == ContactState::Verified);
        let wanted = |contact: &Contact<P::Address>| contact.address.prefix().is_some_and(is_wanted);
        let wanted = verified.map(|peer| peer.contact).filter(wanted);
        wanted.min_by_key(|contact| contact.id.as_bytes()[0] ^ random)
    }

    /// Asks a contact for a probe. False if there is none, or no request slot is free.
    fn begin_errand(&mut self, passed: bool, is_wanted: &dyn Fn(Prefix) -> bool) -> bool {
        let random = self.random.next();
        let contact = self.draw_contact(random, is_wanted);
        contact.is_some_and(|contact| {
            self.begin_request(Purpose::Probe { passed }, contact.address, Some(&contact.id), Attempts::Known)
        })
    }

    /// The node becomes a server or a client.
    fn set_serves(&mut self, now: Instant, serves: bool) {
        self.config.serve = if serves { Serve::Always } else { Serve::Never };
        self.reachability.unreported = true;
        self.reachability.told = if serves { u8::MAX } else { 0 };
        if serves {
            self.table.check_neighbourhood_soon(now);
            self.bootstraps.try_now(now);
        }
    }
}
