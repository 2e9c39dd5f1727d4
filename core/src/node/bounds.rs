//! The parts of a node, and the size of each.
//!
//! A bound is named where [`Node`](super::Node) is defined and where [`Bounds`] maps it to its part, nowhere else. All
//! files above use [`Parts`]. The array of a part is its last field. So each part can be used as one unsized type for
//! all bounds, as heapless's `Vec` can be used as `VecView`.

use core::marker::PhantomData;
use core::ops::DerefMut;

use super::buffer::{Buffer, Buffers};
use super::network::Network;
use super::operation::{Operation, SizedOperation};
use super::purpose::Purpose;
use crate::address::Address;
use crate::bootstraps::{Bootstraps, BootstrapsView};
use crate::forwarding::{Forwarding, ForwardingView};
use crate::geometry::Geometry;
use crate::guard::{RateLimiter, RateLimiterView};
use crate::lookup::Shortlist;
use crate::routing::Routing;
use crate::rpc::{Requests, RequestsView};
use crate::store::Store;
use crate::wire::{MAX_DATAGRAM, Wire};

/// The parts of a node, as types.
pub trait Parts {
    /// The address type.
    type Address: Address;
    /// The geometry.
    type Geometry: Geometry;
    /// The table.
    type Routing: Routing<Address = Self::Address, Geometry = Self::Geometry>;
    /// The wire format.
    type Wire: Wire;
    /// The store.
    type Store: Store;
    /// The slots for operations.
    type Operations: Slots<Operation<Self::Geometry, Self::Address, TokenOf<Self>>, Address = Self::Address>;
    /// The requests in flight.
    type Requests: Part<Target = RequestsView<Self::Address, Purpose, TransactionOf<Self>>>;
    /// The buffers for records that were found.
    type Buffers: Part<Target = [Buffer]>;
    /// The rate limiter.
    type RateLimiter: Part<Target = RateLimiterView>;
    /// The bootstrap addresses.
    type Bootstraps: Part<Target = BootstrapsView<Self::Address>>;
    /// The relay requests under way.
    type Forwarding: Part<Target = ForwardingView<Self::Address, Self::Wire>>;
    /// Whether the node takes part in recursive lookups. A constant, so that other nodes don't link their code.
    const FORWARDS: bool;
    /// A compile-time error if a bound is out of its range.
    const BOUNDS_ARE_IN_RANGE: ();
}

/// The token type of a node.
pub(super) type TokenOf<P> = <<P as Parts>::Wire as Wire>::Token;

/// The transaction type of a node.
pub(super) type TransactionOf<P> = <<P as Parts>::Wire as Wire>::Transaction;

/// A part with its bound. It dereferences to the same type for all bounds.
pub trait Part: DerefMut {
    /// All zeros.
    const EMPTY: Self;
}

/// Slots for values that can be used as the unsized type `T`.
pub trait Slots<T: ?Sized> {
    /// The address type.
    type Address;
    /// All zeros.
    const EMPTY: Self;
    /// How many slots there are: at most 255.
    const LEN: usize;

    /// The value in one slot.
    fn get(&self, slot: u8) -> Option<&T>;

    /// The shortlist of the value in one slot, for the user.
    fn shortlist(&self, slot: u8) -> Option<&dyn Shortlist<Self::Address>>;

    /// The value in one slot, to be changed.
    fn get_mut(&mut self, slot: u8) -> Option<&mut T>;

    /// The values in all slots.
    fn iter<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        (0..Self::LEN as u8).filter_map(|slot| self.get(slot))
    }

    /// The values in all slots, to be changed.
    fn iter_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut T>
    where
        T: 'a;
}

/// Maps the bounds of a node to its parts. Only [`Node`](super::Node) needs to name this type.
#[derive(Debug)]
pub struct Bounds<
    N,
    S,
    const OPERATIONS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
>(PhantomData<fn() -> (N, S)>);

impl<
    N: Network,
    S: Store,
    const OPERATIONS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Parts for Bounds<N, S, OPERATIONS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    type Address = <N::Routing as Routing>::Address;
    type Geometry = <N::Routing as Routing>::Geometry;
    type Routing = N::Routing;
    type Wire = N::Wire;
    type Store = S;
    type Operations = [SizedOperation<Self::Geometry, Self::Address, TokenOf<Self>, SHORTLIST>; OPERATIONS];
    type Requests = Requests<Self::Address, Purpose, TransactionOf<Self>, REQUESTS>;
    type Buffers = Buffers<VALUES>;
    type RateLimiter = RateLimiter<SOURCES>;
    type Bootstraps = Bootstraps<Self::Address, BOOTSTRAPS>;
    type Forwarding = Forwarding<Self::Address, Self::Wire, RELAYS>;
    const FORWARDS: bool = RELAYS != 0;
    const BOUNDS_ARE_IN_RANGE: () = {
        assert!(OPERATIONS >= 1 && OPERATIONS <= 255, "OPERATIONS must be 1 to 255");
        assert!(SHORTLIST >= 3 && SHORTLIST <= 255, "SHORTLIST must be 3 to 255, and at least three times k");
        assert!(VALUES <= 255, "VALUES must be 0 to 255");
        assert!(REQUESTS >= 2 && REQUESTS <= 4_096, "REQUESTS must be 2 to 4,096");
        assert!(BOOTSTRAPS >= 1 && BOOTSTRAPS <= 255, "BOOTSTRAPS must be 1 to 255");
        assert!(RELAYS <= 255, "RELAYS must be 0 to 255");
        assert!(RELAYS == 0 || N::Wire::RULES.relays, "RELAYS must be 0: the wire format has no relay requests");
        assert!(N::Wire::MAX_DATAGRAM <= MAX_DATAGRAM, "the wire format has datagrams longer than wire::MAX_DATAGRAM");
        assert!(N::Wire::MIN_DATAGRAM <= N::Wire::MAX_DATAGRAM, "the wire format has MIN_DATAGRAM above MAX_DATAGRAM");
    };
}

impl<A: Address, T: Copy + Eq, const N: usize> Part for Requests<A, Purpose, T, N> {
    const EMPTY: Self = Self::EMPTY;
}

impl<const N: usize> Part for Buffers<N> {
    const EMPTY: Self = Self::EMPTY;
}

impl<const N: usize> Part for RateLimiter<N> {
    const EMPTY: Self = Self::EMPTY;
}

impl<A: Address, const N: usize> Part for Bootstraps<A, N> {
    const EMPTY: Self = Self::EMPTY;
}

impl<A: Address, W: Wire, const N: usize> Part for Forwarding<A, W, N> {
    const EMPTY: Self = Self::EMPTY;
}

impl<G: Geometry, A: Address, T: Copy + Sync + 'static, const N: usize, const L: usize> Slots<Operation<G, A, T>>
    for [SizedOperation<G, A, T, N>; L]
{
    const EMPTY: Self = [const { SizedOperation::EMPTY }; L];
    const LEN: usize = L;
    type Address = A;

    fn get(&self, slot: u8) -> Option<&Operation<G, A, T>> {
        Some(<[_]>::get(self, usize::from(slot))?)
    }

    fn shortlist(&self, slot: u8) -> Option<&dyn Shortlist<A>> {
        Some(&<[_]>::get(self, usize::from(slot))?.lookup)
    }

    fn get_mut(&mut self, slot: u8) -> Option<&mut Operation<G, A, T>> {
        Some(<[_]>::get_mut(self, usize::from(slot))?)
    }

    fn iter_mut<'a>(&'a mut self) -> impl Iterator<Item = &'a mut Operation<G, A, T>>
    where
        Operation<G, A, T>: 'a,
    {
        <[_]>::iter_mut(self).map(|operation| -> &mut Operation<G, A, T> { operation })
    }
}
