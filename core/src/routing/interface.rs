//! What every table can do: the trait, and the requests of its maintenance.

use core::fmt;
use core::time::Duration;

use super::limits::Limits;
use super::peer::{Origin, Peer};
use crate::address::Address;
use crate::config_error::ConfigError;
use crate::contact::Contact;
use crate::geometry::Geometry;
use crate::id::{Distance, Id};
use crate::time::Instant;

/// A table of contacts for one geometry.
///
/// A table is told which contacts were discovered, responded and failed. It names the contacts closest to an
/// identifier, and the requests that its maintenance needs, with their times. It does no I/O, and [`Node`](crate::Node)
/// knows nothing of its geometry. Every call is harmless at any time.
///
/// This is how a node drives its table, whatever the geometry:
///
/// ```
/// use core::time::Duration;
/// use kadlet::routing::{ContactState, Limits, Maintenance, Origin};
/// use kadlet::{Chord, Contact, Id, Instant, Kademlia, Routing};
///
/// fn drive<R: Routing<Address = u16>>(mut table: R) {
///     let mut now = Instant::ZERO;
///     let contact = |byte: u8| Contact::new(Id::from_bytes([byte; 20]), u16::from(byte));
///     table.start(now, contact(0x40).id, &Limits::DEFAULT, 42).unwrap();
///
///     // A contact that another node named is unverified, and is not named to others.
///     assert!(table.discovered(now, contact(0x50), Origin::Named), "a request to it is worth sending");
///     let mut named = [Contact::EMPTY; 8];
///     assert_eq!(table.closest(&contact(0x60).id, &mut named), 0);
///
///     // Maintenance asks it, when its time has come.
///     let mut asked = None;
///     while asked.is_none() {
///         now = table.next_maintenance();
///         match table.maintenance(now) {
///             Some(Maintenance::Ask(contact)) => asked = Some(contact),
///             Some(Maintenance::Neighbourhood) => table.looked_up(now, &table.own()),
///             _ => {}
///         }
///     }
///     assert_eq!(asked, Some(contact(0x50)));
///
///     // Its response verifies it, and a request without a response makes it a failing contact.
///     table.responded(now, contact(0x50), Some(Duration::from_millis(20)));
///     assert_eq!(table.closest(&contact(0x60).id, &mut named), 1);
///     table.failed(now, &contact(0x50).id);
///     assert_eq!(table.get(&contact(0x50).id).map(|peer| peer.state), Some(ContactState::Failing));
/// }
///
/// drive(Kademlia::<u16, 128>::EMPTY);
/// drive(Chord::<u16>::EMPTY);
/// ```
pub trait Routing {
    /// The address of a contact.
    type Address: Address;
    /// The geometry, which gives the two orders of identifiers.
    type Geometry: Geometry;

    /// An empty table, all zeros, which lies in `.bss`. It takes no contact until it is started.
    const EMPTY: Self;

    /// Forgets everything and begins as the table of `own`. `random` is the seed of the ids that refreshes look up and
    /// of the spread of the waits; it needn't be secret.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: a limit is out of its range, as [`Limits::check`] finds. The table is as it was.
    fn start(&mut self, now: Instant, own: Id, limits: &Limits, random: u64) -> Result<(), ConfigError>;

    /// The node's own identifier.
    fn own(&self) -> Id;

    /// Sets the limits on contacts of one address prefix, in a bucket or cell and in the table; `u8::MAX` is no limit.
    /// Until the first call, those given to [`start`](Routing::start) apply. A table without such limits ignores them.
    fn limit_prefixes(&mut self, _in_bucket: u8, _in_table: u8) {}

    /// Continues as the table of another own identifier. The contacts are kept, but for one with this identifier, and
    /// the neighbourhood must be checked at once.
    fn rekey(&mut self, now: Instant, own: Id);

    /// What is known of one contact.
    fn get(&self, id: &Id) -> Option<Peer<Self::Address>>;

    /// All contacts in the table, in an order that depends on nothing but the calls made.
    fn peers(&self) -> impl Iterator<Item = Peer<Self::Address>>;

    /// A contact was discovered but has not responded. Returns whether a request to it is worth sending: if it
    /// responds, the table takes it.
    fn discovered(&mut self, now: Instant, contact: Contact<Self::Address>, how: Origin) -> bool;

    /// A contact responded to a request of the own node. `rtt` is the round trip, `None` if it can't be told because
    /// the request was retransmitted (Karn's rule).
    fn responded(&mut self, now: Instant, contact: Contact<Self::Address>, rtt: Option<Duration>);

    /// A contact did not respond to any attempt of a request. Call it only for a request that was sent to the address
    /// that the table has for the contact: other nodes can name a contact with any address.
    fn failed(&mut self, now: Instant, id: &Id);

    /// Removes a contact: another node responded at the address that the table has for it.
    fn evict(&mut self, now: Instant, id: &Id);

    /// Writes the contacts to name to others for `target` into `out`, best first, as many as there are and fit, and
    /// returns how many. They are verified.
    fn closest(&self, target: &Id, out: &mut [Contact<Self::Address>]) -> usize;

    /// Writes the contacts to which a request about `target` should be forwarded into `out`, best first, as many as
    /// there are and fit, and returns how many. They are verified, and nearer than the own node to where the request
    /// ends. 0 if it ends here.
    fn next_hops(&self, target: &Id, out: &mut [Contact<Self::Address>]) -> usize {
        let count = self.closest(target, out);
        let own = Self::Geometry::progress(target, &self.own());
        let named = out.get(..count).unwrap_or(&[]);
        named.iter().take_while(|contact| Self::Geometry::progress(target, &contact.id) < own).count()
    }

    /// Writes the contacts with which an own lookup of `target` begins into `out`, and returns how many. They are those
    /// that [`closest`](Routing::closest) names; where these are fewer than k, failing and then unverified contacts
    /// follow, up to k in all.
    fn initial_contacts(&self, target: &Id, out: &mut [Contact<Self::Address>]) -> usize;

    /// How many verified contacts come before the own node in the order of responsibility for `key`; counts no further
    /// than `limit`.
    fn rank_of_own(&self, key: &Id, limit: usize) -> usize;

    /// How far from a key the k-th node responsible for it is expected, if the whole network is as dense as the own
    /// neighbourhood. `None` while fewer than k neighbours are verified.
    fn expected_reach(&self) -> Option<Distance>;

    /// A contact that must learn of the own node before the own node has joined, and has not sent it a request yet. In
    /// Chord it is the predecessor, which leads other nodes here. A join sends it requests until it knows the own node.
    /// `None` in a geometry without such a rule.
    fn contact_to_notify(&self) -> Option<Contact<Self::Address>> {
        None
    }

    /// A lookup of `target` has ended: the part of the table that it covers needs no refresh for a while.
    fn looked_up(&mut self, now: Instant, target: &Id);

    /// When the neighbourhood last changed: a near contact came, failed or was removed. Records that were replicated
    /// since then are on the right nodes.
    fn changed(&self) -> Instant;

    /// Something near the own node changed that the table can't see, such as a new record: the neighbourhood must be
    /// checked soon.
    fn check_neighbourhood_soon(&mut self, now: Instant);

    /// The next request of maintenance, if one is due. A node asks for one whenever an operation slot is free. The
    /// request counts as sent.
    fn maintenance(&mut self, now: Instant) -> Option<Maintenance<Self::Address>>;

    /// When the next request of maintenance is due. Costs constant time.
    fn next_maintenance(&self) -> Instant;
}

/// A request of maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Maintenance<A> {
    /// Ask one contact what is near the own identifier. Its response shows that it is alive, and names contacts.
    /// (Kademlia's ping of a quiet contact, Chord's stabilise and check_predecessor, Pastry's leaf exchange.)
    Ask(Contact<A>),
    /// Look up `target`. (Kademlia's bucket refresh, Chord's fix_fingers, Pastry's row maintenance.)
    Lookup {
        /// The identifier to look up.
        target: Id,
    },
    /// Check the neighbourhood: look up the own identifier, then replicate the stored records.
    Neighbourhood,
}

impl<A: fmt::Debug> fmt::Display for Maintenance<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(contact) => write!(f, "ask {} at {:?}", contact.id, contact.address),
            Self::Lookup { target } => write!(f, "look up {target}"),
            Self::Neighbourhood => f.write_str("check the neighbourhood"),
        }
    }
}
