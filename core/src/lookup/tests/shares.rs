//! What one branch, or one address prefix, can have of a shortlist.

use super::*;

/// A lookup of zero with six contacts of the own table, far from it: 100 to 105.
fn branched(alpha: u8) -> Lookup<Xor, Place, Token, BOUND> {
    xor(8, alpha, (100..106).map(contact))
}

/// The contacts that count.
fn candidates<G: Geometry, const N: usize>(lookup: &Lookup<G, Place, Token, N>) -> Vec<usize> {
    let counted = lookup.shortlist.iter().filter(|candidate| candidate.counts());
    counted.map(|candidate| candidate.contact.address.0).collect()
}

#[test]
fn of_all_that_a_liar_and_its_contacts_name_four_count() {
    let mut lookup = branched(1);
    assert_eq!(asked(&mut lookup), [100]);
    for first in [20, 21, 22, 23, 24, 25, 26, 19] {
        lookup.named(&id(100), contact(first));
    }
    lookup.responded(&id(100), None);
    assert_eq!(candidates(&lookup)[..7], [19, 20, 21, 22, 100, 101, 102], "the nearest four");
    assert_eq!(asked(&mut lookup), [19]);
    for first in 1..10 {
        lookup.named(&id(19), contact(first));
    }
    lookup.responded(&id(19), None);
    assert_eq!(candidates(&lookup)[..5], [1, 2, 3, 4, 100]);
    lookup.named(&id(101), contact(30));
    assert_eq!(candidates(&lookup)[..6], [1, 2, 3, 4, 30, 100], "another branch has places of its own");
    lookup.failed(&id(2));
    assert_eq!(candidates(&lookup)[..6], [1, 3, 4, 5, 30, 100]);
}

#[test]
fn what_a_branch_cannot_have_is_evicted_first() {
    let mut lookup = branched(1);
    for first in (1..90).rev() {
        lookup.named(&id(100), contact(first));
    }
    assert_eq!(candidates(&lookup), [1, 2, 3, 4, 100, 101, 102, 103, 104, 105]);
    assert!(lookup.named(&id(101), contact(99)), "there is room for another branch");
}

#[test]
fn a_branch_has_its_part_of_the_shortlist_if_there_are_few() {
    let mut lookup = xor(8, 1, [contact(100), contact(101), contact(102)]);
    lookup.failed(&id(102));
    for first in 1..20 {
        lookup.named(&id(100), contact(first));
    }
    assert_eq!(candidates(&lookup).len(), 14, "12 and the two of the own table that have not failed");
}

#[test]
fn a_contact_that_is_more_than_its_branch_can_have_counts_for_another_that_names_it() {
    let mut lookup = branched(1);
    lookup.named(&id(100), contact(30));
    assert_eq!(asked(&mut lookup), [30]);
    lookup.responded(&id(30), Some(Token([3; 8])));
    for first in [1, 2, 3, 4, 5, 6] {
        lookup.named(&id(30), contact(first));
    }
    assert!(!candidates(&lookup).contains(&30) && !numbers(lookup.closest()).contains(&30));
    lookup.named(&id(101), contact(30));
    assert_eq!(numbers(lookup.closest()), [30]);
    lookup.named(&id(101), contact(1));
    assert_eq!(lookup.token(&id(30)), Some(Token([3; 8])));
    assert_eq!(asked(&mut lookup), [1], "it is not asked again");
}

#[test]
fn with_two_orders_a_branch_has_four_places_before_the_target_and_any_number_after_it() {
    let mut lookup = Lookup::<Ring, Place, Token, BOUND>::EMPTY;
    lookup.start(id(100), limits(8, 3)).unwrap();
    for first in [10, 11, 12, 13, 14, 15] {
        lookup.insert(contact(first));
    }
    for first in (90..99).chain(101..110) {
        lookup.named(&id(10), contact(first));
    }
    let named: Vec<usize> = candidates(&lookup).into_iter().filter(|place| *place >= 90).collect();
    assert_eq!(named, [101, 102, 103, 104, 105, 106, 107, 108, 109, 95, 96, 97, 98]);
}

#[test]
fn a_prefix_has_its_limit_of_places_also_among_the_k_closest() {
    let mut lookup = Lookup::<Xor, Place, Token, BOUND>::EMPTY;
    lookup.start(Id::ZERO, LookupLimits { k: 8, alpha: 3, prefix: 2 }).unwrap();
    for first in 10..20 {
        lookup.insert(prefixed(first, 1));
    }
    assert_eq!(candidates(&lookup), [10, 11]);
    assert!(lookup.insert(prefixed(30, 2)) && lookup.insert(prefixed(9, 1)));
    assert_eq!(candidates(&lookup), [9, 10, 30], "the farthest of the prefix does not count");
    lookup.failed(&id(9));
    assert_eq!(candidates(&lookup), [10, 11, 30]);
    for exempt in 40..50 {
        lookup.insert(contact(exempt));
    }
    assert_eq!(candidates(&lookup).len(), 13, "addresses without a prefix are exempt");
}

#[test]
fn a_second_address_of_a_contact_is_kept_until_one_of_both_responds_or_fails() {
    let elsewhere = |first, place| Contact::new(id(first), Place(place, 0));
    let mut lookup = branched(3);
    lookup.named(&id(100), elsewhere(1, 201));
    assert!(lookup.named(&id(101), contact(1)));
    assert!(!lookup.named(&id(102), elsewhere(1, 202)), "only one more");
    assert_eq!(candidates(&lookup)[..2], [201, 100]);
    assert_eq!(lookup.next(), Some(elsewhere(1, 201)));
    lookup.failed(&id(1));
    assert_eq!(lookup.next(), Some(contact(1)), "the liar named the first");
    lookup.responded(&id(1), None);
    assert!(!lookup.named(&id(103), elsewhere(1, 203)), "it is proved");
    assert_eq!(numbers(lookup.closest()), [1]);

    let mut lookup = branched(3);
    lookup.named(&id(100), contact(1));
    lookup.named(&id(101), elsewhere(1, 201));
    assert_eq!(lookup.next(), Some(contact(1)));
    lookup.responded(&id(1), None);
    assert!(!candidates(&lookup).contains(&201) && !asked(&mut lookup).contains(&201));
}

#[test]
fn strangers_that_failed_are_asked_again_once_a_contact_of_their_branch_responds() {
    let mut lookup = branched(8);
    for first in [1, 2, 3, 4] {
        lookup.named(&id(100), contact(first));
    }
    assert_eq!(asked(&mut lookup)[..4], [1, 2, 3, 4]);
    assert!(lookup.is_stranger(&id(1)) && !lookup.is_stranger(&id(100)));
    lookup.failed(&id(1));
    assert_eq!(asked(&mut lookup), [104]);
    lookup.responded(&id(2), None);
    assert_eq!(asked(&mut lookup), [1]);
    assert!(!lookup.is_stranger(&id(1)));
    lookup.failed(&id(3));
    lookup.failed(&id(1));
    assert_eq!(asked(&mut lookup), [3], "it was a stranger, and the other is not any more");
}
