//! Places in the middle of an array, without heapless's panics where there is no such place.

use heapless::VecView;

/// Puts an item before the one at `at`; false, and the item is dropped, in a full array or beyond its end.
pub(crate) fn insert<T>(array: &mut VecView<T>, at: usize, item: T) -> bool {
    at <= array.len() && array.insert(at, item).is_ok()
}

/// Takes the item at `at` out, if there is one.
pub(crate) fn remove<T>(array: &mut VecView<T>, at: usize) -> Option<T> {
    (at < array.len()).then(|| array.remove(at))
}
