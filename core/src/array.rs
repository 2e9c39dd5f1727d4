//! Insertion into and removal from the middle of an array, without heapless's panics at an index that doesn't exist.

use heapless::VecView;

/// Inserts an item before the one at `at`. If the array is full or `at` is beyond its end, drops the item and returns
/// false.
pub(crate) fn insert<T>(array: &mut VecView<T>, at: usize, item: T) -> bool {
    at <= array.len() && array.insert(at, item).is_ok()
}

/// Removes and returns the item at `at`, if there is one.
pub(crate) fn remove<T>(array: &mut VecView<T>, at: usize) -> Option<T> {
    (at < array.len()).then(|| array.remove(at))
}
