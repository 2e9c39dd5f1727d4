//! What a node is made of, and how large each part is.
//!
//! A bound is named where [`Node`](super::Node) is defined and where [`Sizes`] maps it to its part, nowhere else. Everything above
//! works on [`Parts`]: most of them end in their array and are used as one type for all bounds, as heapless's `VecView` is for `Vec`.

use core::marker::PhantomData;
use core::ops::DerefMut;

use super::bootstraps::{Bootstraps, BootstrapsView};
use super::buffer::{Buffer, Buffers};
use super::network::Network;
use super::operation::{Operation, SizedOperation};
use super::purpose::Purpose;
use crate::address::Address;
use crate::forwarding::{Forwarding, ForwardingView};
use crate::geometry::Geometry;
use crate::guard::{RateLimiter, RateLimiterView};
use crate::lookup::Shortlist;
use crate::routing::Routing;
use crate::rpc::{Requests, RequestsView};
use crate::store::Store;
use crate::wire::Wire;

/// What a node is made of.
pub trait Parts {
    /// What nodes are reached by.
    type Address: Address;
    /// The table's two orders.
    type Geometry: Geometry;
    /// The table.
    type Routing: Routing<Address = Self::Address, Geometry = Self::Geometry>;
    /// The wire format.
    type Wire: Wire;
    /// The store.
    type Store: Store;
    /// Operations under way.
    type Operations: Slots<Operation<Self::Geometry, Self::Address, TokenOf<Self>>, Address = Self::Address>;
    /// Requests in flight.
    type Requests: Part<Target = RequestsView<Self::Address, Purpose, TransactionOf<Self>>>;
    /// Buffers for records found.
    type Buffers: Part<Target = [Buffer]>;
    /// The rate limiter.
    type RateLimiter: Part<Target = RateLimiterView>;
    /// Bootstrap addresses.
    type Bootstraps: Part<Target = BootstrapsView<Self::Address>>;
    /// Relayed requests under way.
    type Forwarding: Part<Target = ForwardingView<Self::Address, Self::Wire>>;
    /// Whether there are any of those: a constant, so that a node without doesn't link their code.
    const FORWARDS: bool;
    /// Evaluates to an error of the compiler where a bound is out of its range.
    const BOUNDS_ARE_IN_RANGE: ();
}

/// A token of a node's wire format.
pub(super) type TokenOf<P> = <<P as Parts>::Wire as Wire>::Token;

/// A transaction of a node's wire format.
pub(super) type TransactionOf<P> = <<P as Parts>::Wire as Wire>::Transaction;

/// A part with its bound. It derefs to the same part whatever its bound.
pub trait Part: DerefMut {
    /// All zeros.
    const EMPTY: Self;
}

/// Slots of `T`, which is unsized: each ends in an array.
pub trait Slots<T: ?Sized> {
    /// What nodes are reached by.
    type Address;
    /// All zeros.
    const EMPTY: Self;
    /// How many slots there are: at most 255.
    const LEN: usize;

    /// One slot.
    fn get(&self, slot: u8) -> Option<&T>;

    /// The shortlist of one slot, to be shown to the user.
    fn shortlist(&self, slot: u8) -> Option<&dyn Shortlist<Self::Address>>;

    /// One slot, to be changed.
    fn get_mut(&mut self, slot: u8) -> Option<&mut T>;

    /// All slots.
    fn iter<'a>(&'a self) -> impl Iterator<Item = &'a T>
    where
        T: 'a,
    {
        (0..Self::LEN as u8).filter_map(|slot| self.get(slot))
    }
}

/// The bounds of a node, by number. [`Node`](super::Node) names it, and nobody else needs to.
#[derive(Debug)]
pub struct Sizes<
    N,
    S,
    const LOOKUPS: usize,
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
    const LOOKUPS: usize,
    const SHORTLIST: usize,
    const VALUES: usize,
    const REQUESTS: usize,
    const SOURCES: usize,
    const BOOTSTRAPS: usize,
    const RELAYS: usize,
> Parts for Sizes<N, S, LOOKUPS, SHORTLIST, VALUES, REQUESTS, SOURCES, BOOTSTRAPS, RELAYS>
{
    type Address = <N::Routing as Routing>::Address;
    type Geometry = <N::Routing as Routing>::Geometry;
    type Routing = N::Routing;
    type Wire = N::Wire;
    type Store = S;
    type Operations = [SizedOperation<Self::Geometry, Self::Address, TokenOf<Self>, SHORTLIST>; LOOKUPS];
    type Requests = Requests<Self::Address, Purpose, TransactionOf<Self>, REQUESTS>;
    type Buffers = Buffers<VALUES>;
    type RateLimiter = RateLimiter<SOURCES>;
    type Bootstraps = Bootstraps<Self::Address, BOOTSTRAPS>;
    type Forwarding = Forwarding<Self::Address, Self::Wire, RELAYS>;
    const FORWARDS: bool = RELAYS != 0;
    const BOUNDS_ARE_IN_RANGE: () = {
        assert!(LOOKUPS >= 1 && LOOKUPS <= 255, "LOOKUPS is 1 to 255");
        assert!(SHORTLIST >= 3 && SHORTLIST <= 255, "SHORTLIST is 3 to 255: three times k");
        assert!(VALUES <= 255, "VALUES is 0 to 255");
        assert!(REQUESTS >= 2 && REQUESTS <= 4_096, "REQUESTS is 2 to 4,096");
        assert!(BOOTSTRAPS >= 1 && BOOTSTRAPS <= 255, "BOOTSTRAPS is 1 to 255");
        assert!(RELAYS <= 255, "RELAYS is 0 to 255");
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
}
