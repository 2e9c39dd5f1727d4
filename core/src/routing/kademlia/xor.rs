//! The XOR metric.

use core::cmp::Ordering;

use crate::geometry::Geometry;
use crate::id::{Distance, Id};

/// Kademlia's XOR metric: one order for converging and for responsibility.
///
/// ```
/// use kadlet::{Geometry, Id, Xor};
///
/// let [target, near, far] = [0x10, 0x11, 0x90].map(|byte| Id::from_bytes([byte; 20]));
/// assert!(Xor::rank(&target, &near) < Xor::rank(&target, &far));
/// assert_eq!(Xor::progress(&target, &near), target.xor(&near));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Xor;

impl Geometry for Xor {
    const TAG: u8 = 1;
    const ONE_ORDER: bool = true;

    fn progress(target: &Id, id: &Id) -> Distance {
        id.xor(target)
    }

    fn rank(target: &Id, id: &Id) -> Distance {
        id.xor(target)
    }
}

/// The order of two identifiers by their distance to `target`.
pub(super) fn compare(target: &Id, a: &Id, b: &Id) -> Ordering {
    let from = leading(target);
    (leading(a) ^ from).cmp(&(leading(b) ^ from)).then_with(|| compare_rest(target, a, b))
}

/// For identifiers whose first 64 bits are the same. They are equal, or an attacker chose them.
#[cold]
#[inline(never)]
fn compare_rest(target: &Id, a: &Id, b: &Id) -> Ordering {
    a.xor(target).cmp(&b.xor(target))
}

/// The first 64 bits.
pub(super) fn leading(id: &Id) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}
