mod shares;

use std::collections::BTreeMap;
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::address::{EncodedAddress, Prefix};
use crate::wire::Token;

/// Kademlia's metric.
#[derive(Clone, Copy, Debug)]
struct Xor;

impl Geometry for Xor {
    const TAG: u8 = 128;
    const ONE_ORDER: bool = true;

    fn progress(target: &Id, id: &Id) -> Distance {
        id.xor(target)
    }

    fn rank(target: &Id, id: &Id) -> Distance {
        id.xor(target)
    }
}

/// Chord's two orders.
#[derive(Clone, Copy, Debug)]
struct Ring;

impl Geometry for Ring {
    const TAG: u8 = 129;
    const ONE_ORDER: bool = false;

    fn progress(target: &Id, id: &Id) -> Distance {
        id.clockwise(target)
    }

    fn rank(target: &Id, id: &Id) -> Distance {
        target.clockwise(id)
    }
}

/// An address: the number of a node and the number of its prefix. Prefix 0 stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place(usize, u8);

impl Address for Place {
    const EMPTY: Self = Self(0, 0);

    fn encode(&self) -> EncodedAddress {
        EncodedAddress::new(200, &[])
    }

    fn decode(_: u8, _: &[u8]) -> Option<Self> {
        None
    }

    fn prefix(&self) -> Option<Prefix> {
        Prefix::new(u64::from(self.1))
    }
}

const BOUND: usize = 24;

fn limits(k: u8, alpha: u8) -> LookupLimits {
    LookupLimits { k, alpha, prefix: 10 }
}

fn id(first: u8) -> Id {
    let mut bytes = [0; Id::LEN];
    bytes[0] = first;
    Id::from_bytes(bytes)
}

fn contact(first: u8) -> Contact<Place> {
    Contact::new(id(first), Place(usize::from(first), 0))
}

fn prefixed(first: u8, prefix: u8) -> Contact<Place> {
    Contact::new(id(first), Place(usize::from(first), prefix))
}

fn xor(k: u8, alpha: u8, contacts: impl IntoIterator<Item = Contact<Place>>) -> Lookup<Xor, Place, Token, BOUND> {
    let mut lookup = Lookup::EMPTY;
    lookup.start(Id::ZERO, limits(k, alpha)).unwrap();
    for contact in contacts {
        lookup.insert(contact);
    }
    lookup
}

fn numbers(found: Found<'_, Place>) -> Vec<usize> {
    assert_eq!(found.len(), found.iter().count());
    found.iter().map(|contact| contact.address.0).collect()
}

fn asked<G: Geometry, const N: usize>(lookup: &mut Lookup<G, Place, Token, N>) -> Vec<usize> {
    core::iter::from_fn(|| lookup.next()).map(|contact| contact.address.0).collect()
}

#[test]
fn a_lookup_that_was_not_started_takes_no_contact() {
    let mut lookup = Lookup::<Xor, Place, Token, BOUND>::EMPTY;
    assert!(!lookup.insert(contact(1)));
    assert_eq!(lookup.next(), None);
    assert!(lookup.is_done() && lookup.closest().is_empty() && lookup.best().is_none());
}

#[test]
fn limits_out_of_range_are_refused_and_leave_the_lookup_as_it_was() {
    let mut lookup = xor(4, 2, [9].map(contact));
    let refused = |k, alpha| lookup.clone().start(id(1), limits(k, alpha)).unwrap_err().to_string();
    assert_eq!(refused(0, 3), "k is 0; it must be 1 to 24");
    assert_eq!(refused(25, 3), "k is 25; it must be 1 to 24");
    assert_eq!(refused(24, 0), "alpha is 0; it must be 1 to 255");
    lookup.start(id(1), limits(0, 0)).unwrap_err();
    assert_eq!((lookup.target(), asked(&mut lookup)), (Id::ZERO, [9].into()));
}

#[test]
fn at_most_alpha_responses_are_awaited_and_the_nearest_contacts_are_asked_first() {
    let mut lookup = xor(4, 2, [9, 3, 7, 1].map(contact));
    assert_eq!(asked(&mut lookup), [1, 3]);
    lookup.responded(&id(3), None);
    assert_eq!(asked(&mut lookup), [7]);
}

#[test]
fn a_slow_contact_opens_another_branch_and_is_still_awaited() {
    let mut lookup = xor(2, 1, [1, 2, 3, 4].map(contact));
    assert_eq!(asked(&mut lookup), [1]);
    lookup.slow(&id(1));
    assert_eq!(asked(&mut lookup), [2]);
    lookup.responded(&id(2), None);
    assert_eq!(asked(&mut lookup), [3], "another node is asked in place of the slow one");
    lookup.responded(&id(3), None);
    assert_eq!(asked(&mut lookup), []);
    assert!(!lookup.is_done(), "the response of the slow one can still come");
    lookup.responded(&id(1), None);
    assert!(lookup.is_done());
    assert_eq!(numbers(lookup.closest()), [1, 2]);
}

#[test]
fn a_search_is_over_but_for_slow_contacts_once_k_others_have_responded() {
    let mut lookup = xor(2, 1, [1, 2, 3].map(contact));
    assert_eq!(asked(&mut lookup), [1]);
    lookup.slow(&id(1));
    assert_eq!(asked(&mut lookup), [2]);
    lookup.responded(&id(2), None);
    assert!(!lookup.is_done_but_for_slow(), "another can be asked");
    assert_eq!(asked(&mut lookup), [3]);
    lookup.failed(&id(3));
    assert!(!lookup.is_done_but_for_slow(), "only one has responded");
    lookup.named(&id(2), contact(4));
    assert_eq!(asked(&mut lookup), [4]);
    lookup.responded(&id(4), None);
    assert!(lookup.is_done_but_for_slow() && !lookup.is_done());
}

#[test]
fn the_nearest_have_responded_once_nobody_nearer_is_left_to_be_asked() {
    let mut lookup = xor(4, 2, [8, 9].map(contact));
    assert_eq!(asked(&mut lookup), [8, 9]);
    lookup.named(&id(8), contact(2));
    lookup.responded(&id(8), None);
    lookup.responded(&id(9), None);
    assert!(!lookup.have_nearest_responded(2), "a nearer one was named");
    assert_eq!(asked(&mut lookup), [2]);
    lookup.responded(&id(2), None);
    assert!(lookup.have_nearest_responded(2) && lookup.have_nearest_responded(3));
    assert!(!lookup.have_nearest_responded(4), "there are only three");
}

#[test]
fn the_next_contact_is_asked_after_one_failed_which_is_not_asked_again() {
    let mut lookup = xor(2, 3, [1, 2, 3].map(contact));
    assert_eq!(asked(&mut lookup), [1, 2]);
    lookup.failed(&id(1));
    assert!(!lookup.named(&id(2), contact(1)));
    lookup.responded(&id(2), None);
    assert_eq!(asked(&mut lookup), [3]);
    assert!(!lookup.is_done());
    lookup.failed(&id(3));
    assert!(lookup.is_done());
    assert_eq!(numbers(lookup.closest()), [2]);
    assert_eq!(numbers(lookup.candidates()), [2]);
}

#[test]
fn a_node_is_asked_again_if_the_request_could_not_be_sent() {
    let mut lookup = xor(2, 3, [1].map(contact));
    assert_eq!(asked(&mut lookup), [1]);
    lookup.unasked(&id(1));
    assert!(!lookup.is_done());
    assert_eq!(asked(&mut lookup), [1]);
}

#[test]
fn depth_counts_the_steps_from_the_own_table() {
    let mut lookup = xor(4, 3, [8].map(contact));
    lookup.named(&id(8), contact(4));
    lookup.named(&id(4), contact(2));
    lookup.named(&id(99), contact(1));
    assert_eq!([8, 4, 2, 1, 77].map(|first| lookup.depth_of(&id(first))), [1, 2, 3, 1, 0]);
    lookup.responded(&id(2), None);
    assert_eq!(lookup.best().map(Candidate::depth), Some(3));
}

#[test]
fn a_full_shortlist_evicts_the_farthest_but_none_of_the_k_closest_live_contacts() {
    let mut lookup = Lookup::<Xor, Place, Token, 6>::EMPTY;
    lookup.start(Id::ZERO, limits(2, 6)).unwrap();
    for first in [10, 11, 12, 13, 14, 15] {
        assert!(lookup.insert(contact(first)));
    }
    assert!(!lookup.insert(contact(20)));
    assert!(lookup.insert(contact(9)));
    assert_eq!(numbers(lookup.candidates()), [9, 10, 11, 12, 13, 14]);
    for first in [9, 10, 11, 12, 13] {
        assert_eq!(lookup.next().map(|contact| contact.id), Some(id(first)));
        lookup.failed(&id(first));
    }
    assert!(lookup.insert(contact(15)), "it is among the 2 closest live contacts");
    assert_eq!(numbers(lookup.candidates()), [14, 15]);
    assert!(!lookup.insert(contact(13)), "a contact that failed and was evicted stays out");
    assert!(lookup.insert(contact(1)));
    assert_eq!(numbers(lookup.candidates()), [1, 14]);
}

#[test]
fn a_widened_lookup_asks_more_nodes_and_finds_more() {
    let mut lookup = xor(1, 3, [1, 2, 3].map(contact));
    assert_eq!(asked(&mut lookup), [1]);
    lookup.responded(&id(1), None);
    assert!(lookup.is_done());
    lookup.set_width(3);
    assert!(!lookup.is_done());
    assert_eq!(asked(&mut lookup), [2, 3]);
    lookup.responded(&id(2), None);
    lookup.responded(&id(3), None);
    assert!(lookup.is_done());
    assert_eq!(numbers(lookup.closest()), [1, 2, 3]);
    lookup.set_width(2);
    assert_eq!(numbers(lookup.closest()), [1, 2], "those that records are stored at");
}

#[test]
fn a_record_is_stored_at_the_closest_nodes_that_responded_with_their_tokens() {
    let mut lookup = xor(2, 3, [1, 2, 3].map(contact));
    asked(&mut lookup);
    assert!(lookup.stores_done());
    lookup.failed(&id(1));
    lookup.responded(&id(2), Some(Token([2; 8])));
    asked(&mut lookup);
    lookup.responded(&id(3), None);
    lookup.begin_stores(false);
    assert_eq!(lookup.next_store(), Some((contact(2), Some(Token([2; 8])))));
    assert_eq!(lookup.next_store(), Some((contact(3), None)));
    assert_eq!(lookup.next_store(), None);
    lookup.stored(&id(2));
    lookup.set_token(&id(3), Token([3; 8]));
    lookup.unstored(&id(3));
    assert!(!lookup.stores_done());
    assert_eq!(lookup.next_store(), Some((contact(3), Some(Token([3; 8])))));
    lookup.refused(&id(3));
    assert!(lookup.stores_done());
    assert_eq!(numbers(lookup.stored_at()), [2]);
    assert_eq!(numbers(lookup.closest()), [2, 3]);
    assert_eq!(lookup.token(&id(3)), Some(Token([3; 8])));
    lookup.stored(&id(1));
    assert_eq!(numbers(lookup.stored_at()), [2], "a node that never responded stores nothing");
}

#[test]
fn a_newer_record_is_written_back_to_the_nodes_that_lag() {
    let mut lookup = xor(4, 4, [1, 2, 3, 4, 5].map(contact));
    asked(&mut lookup);
    lookup.only_holder(&id(1));
    lookup.holds_newest(&id(2));
    lookup.only_holder(&id(3));
    lookup.holds_newest(&id(4));
    for first in 1..=4 {
        lookup.responded(&id(first), None);
    }
    assert_eq!(numbers(lookup.holders()), [3, 4]);
    lookup.begin_stores(true);
    let lagging: Vec<usize> =
        core::iter::from_fn(|| lookup.next_store()).map(|(contact, _)| contact.address.0).collect();
    assert_eq!(lagging, [1, 2]);
    lookup.only_holder(&Id::ZERO);
    assert!(lookup.holders().is_empty());
    lookup.begin_stores(true);
    assert_eq!(core::iter::from_fn(|| lookup.next_store()).count(), 4);
}

#[test]
fn with_two_orders_a_lookup_converges_before_it_asks_the_responsible_nodes() {
    let mut lookup = Lookup::<Ring, Place, Token, BOUND>::EMPTY;
    lookup.start(id(100), limits(2, 3)).unwrap();
    for first in [110, 120, 130, 40, 60] {
        lookup.insert(contact(first));
    }
    assert_eq!(asked(&mut lookup), [60, 40], "k of those that precede the target");
    lookup.responded(&id(60), None);
    lookup.named(&id(60), contact(90));
    lookup.named(&id(60), contact(105));
    assert_eq!(asked(&mut lookup), [90], "a node that precedes the target more closely comes first");
    assert!(!lookup.is_done());
    assert_eq!(asked(&mut lookup), [], "the response of the predecessor is awaited");
    lookup.responded(&id(90), None);
    lookup.failed(&id(40));
    assert_eq!(asked(&mut lookup), [105, 110], "then the successors");
    lookup.responded(&id(105), None);
    lookup.responded(&id(110), None);
    assert!(lookup.is_done());
    assert_eq!(numbers(lookup.closest()), [105, 110]);
}

#[test]
fn with_two_orders_the_true_successors_are_found() {
    const NODES: usize = 64;
    let numbered = |place: usize| Contact::new(id(u8::try_from(place % NODES * 4).unwrap()), Place(place % NODES, 0));
    for (target, own) in (0..=u8::MAX).zip((0..NODES).cycle().step_by(7)) {
        let target = id(target);
        let mut lookup = Lookup::<Ring, Place, Token, BOUND>::EMPTY;
        lookup.start(target, limits(8, 3)).unwrap();
        // A node knows four predecessors, eight successors and six fingers, and names the best of them by either order.
        let knows = |place: usize| {
            let near = (1..=8).map(|step| place + step).chain((1..=4).map(|step| place + NODES - step));
            let mut known: Vec<_> = near.chain((0..6).map(|bit| place + (1 << bit))).map(numbered).collect();
            known.sort_by_key(|contact| Ring::progress(&target, &contact.id));
            let mut named = known[..4].to_vec();
            known.sort_by_key(|contact| Ring::rank(&target, &contact.id));
            named.extend(&known[..8]);
            named
        };
        for contact in knows(own) {
            lookup.insert(contact);
        }
        let mut requests = 0;
        while let Some(asked) = lookup.next() {
            requests += 1;
            for contact in knows(asked.address.0) {
                lookup.named(&asked.id, contact);
            }
            lookup.responded(&asked.id, None);
        }
        assert!(lookup.is_done());
        let mut truth: Vec<_> = (0..NODES).map(numbered).collect();
        truth.sort_by_key(|contact| Ring::rank(&target, &contact.id));
        let truth: Vec<usize> = truth[..8].iter().map(|contact| contact.address.0).collect();
        assert_eq!(numbers(lookup.closest()), truth);
        assert!(requests <= 20, "{requests} requests");
    }
}

#[test]
fn with_two_orders_failed_successors_do_not_keep_the_next_ones_out() {
    let contact = |byte: u8| Contact::new(id(byte), Place(usize::from(byte), 0));
    let mut lookup = Lookup::<Ring, Place, Token, 8>::EMPTY;
    lookup.start(id(100), limits(2, 1)).unwrap();
    lookup.insert(contact(90));
    assert_eq!(lookup.next(), Some(contact(90)));
    // Two nodes that follow the target are dead, and nodes that precede it fill the shortlist.
    for byte in [101, 102, 103, 80, 70, 60, 50] {
        lookup.named(&id(90), contact(byte));
    }
    lookup.responded(&id(90), None);
    assert_eq!(lookup.next(), Some(contact(80)));
    lookup.responded(&id(80), None);
    for byte in [101, 102] {
        assert_eq!(lookup.next(), Some(contact(byte)));
        lookup.failed(&id(byte));
    }
    assert!(lookup.named(&id(90), contact(104)));
    let kept = |byte: u8| lookup.depth_of(&id(byte)) > 0;
    assert!(kept(101) && kept(102) && !kept(50), "the farthest contact before the target is evicted");
}

/// A network that doesn't change: what each node knows, and which nodes never respond.
#[derive(Debug)]
struct Network {
    nodes: Vec<Contact<Place>>,
    dead: Vec<bool>,
    /// The nodes that each node knows.
    tables: Vec<Vec<usize>>,
}

/// Random numbers that depend only on a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ mixed >> 31) % u64::try_from(sides.max(1)).unwrap()).unwrap()
    }

    fn id(&mut self) -> Id {
        Id::from_bytes(core::array::from_fn(|_| u8::try_from(self.roll(256)).unwrap()))
    }

    fn pick<T: Clone>(&mut self, from: &[T], count: usize) -> Vec<T> {
        let mut from = from.to_vec();
        core::iter::from_fn(|| (!from.is_empty()).then(|| from.swap_remove(self.roll(from.len()))))
            .take(count)
            .collect()
    }
}

impl Network {
    fn new(dice: &mut Dice, size: usize, dead: usize, prefixes: usize) -> Self {
        let nodes = (0..size)
            .map(|place| Contact::new(dice.id(), Place(place, u8::try_from(dice.roll(prefixes)).unwrap())))
            .collect();
        let mut network = Self { nodes, dead: std::vec![false; size], tables: Vec::new() };
        for place in dice.pick(&(0..size).collect::<Vec<_>>(), dead) {
            network.dead[place] = true;
        }
        network
    }

    /// Each node knows 20 random nodes.
    fn with_partial_tables(mut self, dice: &mut Dice) -> Self {
        let all: Vec<usize> = (0..self.nodes.len()).collect();
        self.tables = all.iter().map(|_| dice.pick(&all, 20)).collect();
        self
    }

    /// Each node knows k live nodes in each of its k-buckets, or all if there are fewer.
    fn with_full_buckets(mut self, dice: &mut Dice, k: usize) -> Self {
        let table = |own: &Contact<Place>, dice: &mut Dice| {
            let others = self.nodes.iter().filter(|node| node.id != own.id && !self.dead[node.address.0]);
            let mut buckets = BTreeMap::<u32, Vec<usize>>::new();
            for other in others {
                buckets.entry(own.id.common_prefix_len(&other.id)).or_default().push(other.address.0);
            }
            buckets.values().flat_map(|bucket| dice.pick(bucket, k)).collect()
        };
        self.tables = self.nodes.iter().map(|own| table(own, dice)).collect();
        self
    }

    fn names<G: Geometry>(&self, place: usize, target: &Id, k: usize) -> Vec<Contact<Place>> {
        let mut known: Vec<_> = self.tables[place].iter().map(|known| self.nodes[*known]).collect();
        known.sort_by_key(|contact| G::rank(target, &contact.id));
        known.truncate(k);
        if !G::ONE_ORDER {
            let all = self.tables[place].iter().map(|known| self.nodes[*known]);
            known.extend(all.min_by_key(|contact| G::progress(target, &contact.id)));
        }
        known
    }

    fn true_closest<G: Geometry>(&self, target: &Id, k: usize) -> Vec<usize> {
        let mut living: Vec<_> = self.nodes.iter().filter(|node| !self.dead[node.address.0]).collect();
        living.sort_by_key(|node| G::rank(target, &node.id));
        living.iter().take(k).map(|node| node.address.0).collect()
    }
}

/// Runs a lookup to its end, with responses and failures in a random order, and checks the invariants after each step.
fn run<G: Geometry>(
    network: &Network,
    dice: &mut Dice,
    limits: LookupLimits,
    rumours: usize,
) -> Lookup<G, Place, Token, BOUND> {
    let (target, k) = (dice.id(), usize::from(limits.k));
    let all: Vec<usize> = (0..network.nodes.len()).collect();
    let dead: Vec<usize> = all.iter().copied().filter(|place| network.dead[*place]).collect();
    let mut lookup = Lookup::EMPTY;
    lookup.start(target, limits).unwrap();
    let living = all.iter().find(|place| !network.dead[**place]).copied();
    for place in dice.pick(&all, 3).into_iter().chain(living) {
        lookup.insert(network.nodes[place]);
    }
    let (mut fast, mut slow, mut seen) = (Vec::new(), Vec::new(), BTreeMap::new());
    loop {
        while let Some(asked) = lookup.next() {
            if dice.roll(20) == 0 {
                lookup.unasked(&asked.id);
                continue;
            }
            // Once more if its branch was proved, and again if the shortlist has meanwhile evicted what proved it.
            let (times, stranger) = seen.entry(asked.address.0).or_insert((0, true));
            assert!(*stranger && *times < 3, "asked again");
            (*times, *stranger) = (*times + 1, lookup.is_stranger(&asked.id));
            fast.push(asked);
            assert!(fast.len() <= usize::from(limits.alpha));
        }
        check_bounds(&lookup, limits, network);
        if lookup.is_done() {
            return lookup;
        }
        assert!(!fast.is_empty() || !slow.is_empty(), "no response is awaited, and the lookup isn't over");
        let pick = dice.roll(fast.len() + slow.len());
        let asked = if pick < fast.len() {
            let asked = fast.swap_remove(pick);
            if network.dead[asked.address.0] || dice.roll(4) == 0 {
                lookup.slow(&asked.id);
                slow.push(asked);
                continue;
            }
            asked
        } else {
            slow.swap_remove(pick - fast.len())
        };
        if network.dead[asked.address.0] {
            lookup.failed(&asked.id);
            continue;
        }
        let rumours = dice.pick(&dead, rumours).into_iter().map(|place| network.nodes[place]);
        for contact in network.names::<G>(asked.address.0, &target, k).into_iter().chain(rumours) {
            lookup.named(&asked.id, contact);
        }
        lookup.responded(&asked.id, None);
    }
}

fn check_bounds<G: Geometry>(lookup: &Lookup<G, Place, Token, BOUND>, limits: LookupLimits, network: &Network) {
    assert!(lookup.shortlist.iter().map(|candidate| G::rank(&lookup.target, &candidate.contact.id)).is_sorted());
    let found = numbers(lookup.closest());
    assert!(found.len() <= usize::from(limits.k));
    assert!(found.iter().all(|place| !network.dead[*place]));
    assert!(found.iter().map(|place| G::rank(&lookup.target, &network.nodes[*place].id)).is_sorted());
    assert_eq!(lookup.best().map(|best| best.contact().address.0), found.first().copied());
    let mut members = BTreeMap::new();
    let awake = lookup.shortlist.iter().filter(|candidate| candidate.state != CandidateState::Slow);
    let counted = awake.filter(|candidate| candidate.counts());
    counted
        .filter_map(|candidate| candidate.contact.address.prefix())
        .for_each(|prefix| *members.entry(prefix).or_insert(0) += 1);
    let most = usize::from(limits.prefix) * if G::ONE_ORDER { 1 } else { 2 };
    assert!(members.values().all(|count| *count <= most), "{members:?}: contacts of each prefix");
}

proptest! {
    // Each case is a whole network.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_lookup_always_ends_asks_only_strangers_again_and_keeps_its_bounds(
        seed: u64, size in 10_usize..200, dead in 0_usize..100,
        k in 1_u8..=8, alpha in 1_u8..=5, prefix in 1_u8..5, prefixes in 1_usize..9,
    ) {
        let dice = &mut Dice(seed);
        let network = Network::new(dice, size, size * dead / 100, prefixes).with_partial_tables(dice);
        run::<Xor>(&network, dice, LookupLimits { k, alpha, prefix }, 4);
        run::<Ring>(&network, dice, LookupLimits { k, alpha, prefix }, 4);
    }

    #[test]
    fn if_buckets_are_full_a_lookup_finds_the_closest_live_nodes(
        seed: u64, size in 10_usize..200, dead in 0_usize..3, k in 1_u8..=6, alpha in 1_u8..=5,
    ) {
        let dice = &mut Dice(seed);
        // All can be of one branch. It has six places, as there are at most four branches.
        let dead = dead.min(6 - usize::from(k));
        let network = Network::new(dice, size, dead, 1).with_full_buckets(dice, usize::from(k));
        let lookup = run::<Xor>(&network, dice, limits(k, alpha), 4);
        prop_assert_eq!(numbers(lookup.closest()), network.true_closest::<Xor>(&lookup.target, usize::from(k)));
    }
}

proptest! {
    #[test]
    fn calls_at_any_moment_are_harmless(calls in proptest::collection::vec((0_u8..14, any::<u8>()), 0..200)) {
        let mut lookup = Lookup::<Ring, Place, Token, 6>::EMPTY;
        for (call, first) in calls {
            let id = id(first);
            match call {
                0 => _ = lookup.start(id, LookupLimits { k: first % 9, alpha: first % 4, prefix: first % 3 }),
                1 => _ = lookup.insert(prefixed(first, first % 4)),
                2 => _ = lookup.named(&id, prefixed(first.wrapping_mul(7), first % 4)),
                3 => _ = lookup.next(),
                4 => lookup.unasked(&id),
                5 => lookup.slow(&id),
                6 => lookup.responded(&id, None),
                7 => lookup.failed(&id),
                8 => lookup.set_width(usize::from(first)),
                9 => lookup.begin_stores(first % 2 == 0),
                10 => _ = lookup.next_store(),
                11 => lookup.stored(&id),
                12 => lookup.only_holder(&id),
                _ => lookup.unstored(&id),
            }
            prop_assert!(lookup.shortlist.len() <= 6 && lookup.closest().len() <= 6);
            let awaited = lookup.shortlist.iter().filter(|candidate| candidate.state == CandidateState::Asked).count();
            prop_assert!(awaited <= usize::from(lookup.limits.alpha));
        }
    }
}
