//! Insertion into and removal from the middle of an array, without heapless's panics at an index that doesn't exist.

use heapless::VecView;

/// Inserts an item before the one at `at`. If the array is full or `at` is beyond its end, drops the item and returns
/// false.
pub(crate) fn insert<T>(array: &mut VecView<T>, at: usize, item: T) -> bool {
    at <= array.len() && array.insert(at, item).is_ok()
}

/// Sorts an array. It takes little flash, and time that grows with the square of the length.
pub(crate) fn sort<T>(array: &mut [T], mut is_less: impl FnMut(&T, &T) -> bool) {
    for at in 0..array.len() {
        let Some((first, rest)) = array.get_mut(at..).and_then(<[T]>::split_first_mut) else { return };
        for other in rest {
            if is_less(other, first) {
                core::mem::swap(first, other);
            }
        }
    }
}

/// Removes and returns the item at `at`, if there is one.
pub(crate) fn remove<T>(array: &mut VecView<T>, at: usize) -> Option<T> {
    (at < array.len()).then(|| array.remove(at))
}
