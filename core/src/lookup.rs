//! One search. (Stub.)
use core::marker::PhantomData;
/// Contacts of a lookup, best first.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a, A> {
    _a: PhantomData<&'a A>,
}
impl<A> Found<'_, A> {
    /// They, best first.
    pub fn iter(&self) -> impl Iterator<Item = crate::Contact<A>> {
        core::iter::empty()
    }
}
