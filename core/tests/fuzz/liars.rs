//! Liars: peers that lie to a fuzzed node about versions, holders, addresses and refusals. One input byte makes many of
//! them lie for minutes, so that the fuzzer reaches what the node believes only after several rounds.

use core::net::SocketAddrV4;

use kadlet::message::{Contacts, ErrorCode, Features, Observed, Request, Response, Target};
use kadlet::record::Version;
use kadlet::wire::{Body, Header, Kadlet, Message, Token, Transaction};
use kadlet::{Dht, Geometry, Id, Key, Kind, Routing, Store};

use super::peers::{OWN, PEERS, number, peer, peer_at};
use super::{About, Contact4, History, LAST, REQUESTS, SentRequest};

/// The most turns that all campaigns of a history take.
const MOST_TURNS: usize = 200;

/// The campaigns of a history.
#[derive(Default)]
pub(super) struct Campaigns {
    /// How many turns they have taken.
    turns: usize,
    /// Whether one is under way. It needs no more input.
    pub(super) under_way: bool,
}

/// What liars do, and who they are.
struct Campaign {
    /// The number of the first liar, and how many there are.
    first: u8,
    liars: u8,
    /// Where the honest peers see the node, and where the liars say that they do.
    seen_at: SocketAddrV4,
    claimed: SocketAddrV4,
    refusal: Option<ErrorCode>,
    /// A sequence number or age that the liars claim to hold.
    held: u64,
    about_values: u8,
    about_nodes: u8,
}

impl<R: Routing<Address = SocketAddrV4>, const RELAYS: usize> History<'_, R, RELAYS> {
    pub(super) fn lie(&mut self, kind: u8) {
        match kind {
            0..=2 => self.claim_replication(),
            _ => self.campaign(),
        }
    }

    /// A peer claims to hold a record that the node holds: in the same version, or in a newer one.
    fn claim_replication(&mut self) {
        let peer = self.peer();
        let slot = self.input.below(self.node.store().len());
        let Some(held) = self.node.store().get(slot) else {
            return;
        };
        let (key, mut have) = (held.key, held.version(self.now));
        let shows = self.input.below(4);
        if shows & 1 != 0 && key.kind != Kind::Immutable {
            have.digest ^= 1;
        }
        let token = if shows & 2 == 0 { self.token(&peer) } else { None };
        let request = Request::FindValue { key, have: Some(have) };
        self.send(peer.address, &message::<R>(&self.config, peer.id, [shows as u8; 8], token, request));
    }

    /// For some turns, the liars lie in response to each request, and the other peers are honest.
    fn campaign(&mut self) {
        let campaign = self.read_campaign();
        let turns = self.input.below(40).min(MOST_TURNS - self.campaigns.turns);
        self.campaigns.turns += turns;
        self.campaigns.under_way = true;
        for _ in 0..turns {
            let due = self.node.poll_timeout().map_or(self.now, |(at, _)| at);
            self.now = self.now.max(due).min(LAST);
            self.latest = self.latest.max(self.now);
            self.node.handle_timeout(self.now);
            self.drain();
            self.events();
            self.check();
            let older = self.requests.len().saturating_sub(REQUESTS);
            for request in self.requests.split_off(older) {
                self.respond_in(&campaign, request);
            }
        }
        self.campaigns.under_way = false;
    }

    fn read_campaign(&mut self) -> Campaign {
        let input = &mut self.input;
        let (first, liars) = (input.byte() % PEERS, input.byte() % (PEERS + 1));
        let (seen_at, claimed) = (input.byte(), input.byte());
        let refusals = [
            None,
            Some(ErrorCode::Outdated),
            Some(ErrorCode::Conflict),
            Some(ErrorCode::Full),
            Some(ErrorCode::Unsupported),
            Some(ErrorCode::Token),
            Some(ErrorCode::Busy),
        ];
        Campaign {
            first,
            liars,
            seen_at: peer(seen_at, &self.config).address,
            claimed: peer(claimed, &self.config).address,
            refusal: input.pick(&refusals),
            held: number(input),
            about_values: input.byte(),
            about_nodes: input.byte(),
        }
    }

    fn respond_in(&mut self, campaign: &Campaign, request: SentRequest) {
        let responder = peer_at(request.to, &self.config);
        let number = (responder.address.port() - 4_000) as u8;
        let lies = number.wrapping_sub(campaign.first) % PEERS < campaign.liars;
        let target = match request.about {
            About::Nodes(target) => target,
            About::Value(key) | About::Relay(_, Target::Value(key)) => key.id,
            About::Relay(_, target) => *target.id(),
            _ => OWN,
        };
        let mut named: Vec<Contact4> = (0..PEERS).map(|number| peer(number, &self.config)).collect();
        named.sort_by_key(|contact| R::Geometry::rank(&target, &contact.id));
        if lies && campaign.about_nodes & 1 != 0 {
            // Honest identifiers at other addresses.
            let address = named[..4].iter().map(|contact| contact.address).collect::<Vec<_>>();
            (0..4).for_each(|at| named[at].address = address[(at + 1) % 4]);
        }
        if lies && campaign.about_nodes & 2 != 0 {
            named[0] = Contact4::new(self.node.id(), campaign.claimed);
        }
        // Liars who name nobody leave the node with few contacts.
        let count = if lies && campaign.about_nodes & 16 != 0 { 0 } else { 4 };
        let contacts = Contacts::new(&named[..count]);
        let key = match request.about {
            About::Value(key) | About::Relay(_, Target::Value(key)) => Some(key),
            _ => None,
        };
        let parts = key.and_then(|key| self.records.iter().position(|parts| parts.record().key() == key));
        let parts = parts.map(|index| self.records.remove(index));
        let version = Version { number: campaign.held, digest: 1 };
        let refused = |code| Response::Error { code, detail: campaign.held };
        let response = match request.about {
            About::Presence => {
                Response::Pong { observed: Observed::new(if lies { campaign.claimed } else { campaign.seen_at }) }
            }
            About::Store => match campaign.refusal.filter(|_| lies) {
                Some(code) => refused(code),
                None => Response::Stored { lifetime: 60 },
            },
            About::Nodes(_) if lies && campaign.about_nodes & 12 == 12 => refused(ErrorCode::Full),
            About::Value(key) if lies => match (campaign.about_values % 4, &parts) {
                (0, _) => refused(ErrorCode::Unsupported),
                (1, _) => Response::Held { version: of_kind(key, version), size: 1_208, contacts },
                (2, Some(parts)) => Response::Value { record: parts.record(), lifetime: 60, contacts },
                _ => Response::Nodes { contacts },
            },
            About::Relay(..) if lies && campaign.about_nodes & 4 != 0 => Response::Accepted,
            About::Relay(..) => Response::Relayed { hops: 1, found: None, contacts },
            _ => Response::Nodes { contacts },
        };
        let header = header::<R>(&self.config, responder.id, request.transaction);
        self.send(request.to, &Message { header, body: Body::Response { token: Token([9; 8]), response } });
        self.records.extend(parts);
    }
}

/// The version as a message can have it.
fn of_kind(key: Key, version: Version) -> Version {
    Version { number: if key.kind == Kind::Immutable { 0 } else { version.number }, ..version }
}

fn header<R: Routing>(config: &kadlet::Config, sender: Id, transaction: Transaction) -> Header<Kadlet> {
    Header { geometry: R::Geometry::TAG, network: config.network, transaction, sender, features: Features::SERVES }
}

fn message<'a, R: Routing>(
    config: &kadlet::Config,
    sender: Id,
    transaction: [u8; 8],
    token: Option<Token>,
    request: Request<'a>,
) -> Message<'a, SocketAddrV4, Kadlet> {
    let body = Body::Request { largest: 1_208, token, request, padding: 60 };
    Message { header: header::<R>(config, sender, Transaction(transaction)), body }
}
