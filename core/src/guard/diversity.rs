//! Whether a table knows contacts of many address prefixes, so that no single prefix needs many places.
//!
//! This does not defend a node that knows few prefixes: one prefix can fill its table.

use heapless::Vec;

use crate::address::Prefix;
use crate::routing::Limits;

/// Whether a table's contacts are of many address prefixes: 2k different ones, or at least k, which are half as many as
/// the contacts or more. `None` is a contact that only counts as one of all. In a campus, a laboratory or the network
/// of one provider they are not: there a limit on each prefix would leave nodes out that are as good as others.
pub fn is_diverse(prefixes: impl Iterator<Item = Option<Prefix>>, k: usize) -> bool {
    let mut seen = Vec::<Prefix, { 2 * Limits::MAX_K }>::new();
    let mut contacts = 0;
    for prefix in prefixes {
        contacts += 1;
        if let Some(prefix) = prefix.filter(|prefix| !seen.contains(prefix)) {
            let _ = seen.push(prefix);
        }
    }
    seen.len() >= 2 * k || (seen.len() >= k && 2 * seen.len() >= contacts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_diverse_if_it_knows_2k_prefixes_or_one_for_each_two_contacts() {
        for (prefixes, of_each, expected) in
            [(0, 0, false), (7, 1, false), (8, 1, true), (8, 2, true), (15, 3, false), (16, 10, true), (1, 200, false)]
        {
            let contacts = (0..of_each).flat_map(|_| (1..=prefixes).map(Prefix::new));
            assert_eq!(is_diverse(contacts, 8), expected, "{prefixes} prefixes with {of_each} contacts each");
        }
        let second_class = (1..=17).map(|n| Prefix::new(n).filter(|_| n <= 8));
        assert!(!is_diverse(second_class, 8), "8 contacts count, of 17");
    }
}
