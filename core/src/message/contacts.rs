//! Contacts and addresses inside messages. Those that arrived keep their bytes: a node that knows only IPv4 carries and
//! skips the others.

use core::marker::PhantomData;
use core::{fmt, iter};

use crate::address::{Address, EncodedAddress};
use crate::contact::Contact;
use crate::id::Id;

/// Contacts in a message, best first: a slice of the sender's, or contacts that arrived. Two are equal if they travel
/// as the same bytes.
#[derive(Clone, Copy)]
pub struct Contacts<'a, A: Address>(Source<'a, A>);

#[derive(Clone, Copy)]
enum Source<'a, A> {
    Own(&'a [Contact<A>]),
    Received { bytes: &'a [u8], read: ReadContact },
}

/// Splits the first contact off the bytes of contacts that arrived: the wire's part of [`Contacts::received`]. `None`
/// at their end.
pub type ReadContact = for<'a> fn(&mut &'a [u8]) -> Option<ReceivedContact<'a>>;

/// A contact as it arrived. Its address may be of a family that the node's own address type lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedContact<'a> {
    /// Its identifier.
    pub id: Id,
    /// The family of its address: see [`EncodedAddress::family`].
    pub family: u8,
    /// The bytes of its address, at most [`MAX_ADDRESS`](crate::address::MAX_ADDRESS).
    pub address: &'a [u8],
}

impl<'a, A: Address> Contacts<'a, A> {
    /// No contacts.
    pub const EMPTY: Self = Self(Source::Own(&[]));

    /// These contacts.
    #[must_use]
    pub const fn new(contacts: &'a [Contact<A>]) -> Self {
        Self(Source::Own(contacts))
    }

    /// Contacts that arrived in `bytes`, which the wire has checked, and which it splits by `read`.
    #[must_use]
    pub const fn received(bytes: &'a [u8], read: ReadContact) -> Self {
        Self(Source::Received { bytes, read })
    }

    /// As many of these contacts, from the first on, as fit into `room` bytes, where a contact takes as many as `len`
    /// says: at most 255.
    #[must_use]
    pub fn fitting(contacts: &'a [Contact<A>], mut room: usize, len: impl Fn(&A) -> usize) -> Self {
        let fits = |contact: &&Contact<A>| {
            let left = room.checked_sub(len(&contact.address));
            room = left.unwrap_or(room);
            left.is_some()
        };
        let count = contacts.iter().take(usize::from(u8::MAX)).take_while(fits).count();
        Self::new(contacts.get(..count).unwrap_or(contacts))
    }

    /// How many contacts there are, those of unknown address families included.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.0 {
            Source::Own(contacts) => contacts.len(),
            Source::Received { .. } => self.parts().1.count(),
        }
    }

    /// The contacts, without those that arrived with an address of a family that `A` lacks or to which no datagram may
    /// be sent.
    pub fn iter(&self) -> impl Iterator<Item = Contact<A>> + use<'a, A> {
        let (own, mut received) = self.parts();
        let mut own = own.iter();
        iter::from_fn(move || match own.next() {
            Some(contact) => Some(*contact),
            None => received.find_map(|ReceivedContact { id, family, address }| {
                Some(Contact::new(id, A::decode(family, address)?))
            }),
        })
    }

    /// Each contact as it travels.
    pub fn encoded(&self) -> impl Iterator<Item = (Id, EncodedAddress)> + use<'a, A> {
        let (own, received) = self.parts();
        let own = own.iter().map(|contact| (contact.id, contact.address.encode()));
        own.chain(received.map(|contact| (contact.id, EncodedAddress::new(contact.family, contact.address))))
    }

    /// The sender's own contacts, and those that arrived: one of the two is empty.
    pub fn parts(&self) -> (&'a [Contact<A>], impl Iterator<Item = ReceivedContact<'a>> + use<'a, A>) {
        let (own, mut bytes, read): (&[_], &[u8], Option<ReadContact>) = match self.0 {
            Source::Own(contacts) => (contacts, &[], None),
            Source::Received { bytes, read, .. } => (&[], bytes, Some(read)),
        };
        (own, iter::from_fn(move || read?(&mut bytes)))
    }
}

impl<A: Address> PartialEq for Contacts<'_, A> {
    fn eq(&self, other: &Self) -> bool {
        self.encoded().eq(other.encoded())
    }
}

impl<A: Address> Eq for Contacts<'_, A> {}

impl<A: Address> fmt::Debug for Contacts<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The address that a request came from, as its responder saw it. It may be of a family that `A` lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Observed<A> {
    encoded: EncodedAddress,
    of: PhantomData<A>,
}

impl<A: Address> Observed<A> {
    /// This address.
    #[must_use]
    pub fn new(address: A) -> Self {
        Self::received(address.encode())
    }

    /// An address that arrived.
    #[must_use]
    pub const fn received(encoded: EncodedAddress) -> Self {
        Self { encoded, of: PhantomData }
    }

    /// The address, unless it is of a family that `A` lacks or nothing a datagram may be sent to.
    #[must_use]
    pub fn address(&self) -> Option<A> {
        A::decode(self.encoded.family, self.encoded.as_bytes())
    }

    /// The address as it travels.
    #[must_use]
    pub const fn encoded(&self) -> EncodedAddress {
        self.encoded
    }
}

impl<A: Address> fmt::Debug for Observed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}
