//! Contacts and addresses in messages. Those that arrived stay encoded, so that a node with IPv4 alone can forward
//! contacts of other address families, and skip them.

use core::marker::PhantomData;
use core::{fmt, iter};

use crate::address::{Address, EncodedAddress};
use crate::contact::Contact;
use crate::id::Id;

/// Contacts in a message, best first: the sender's own, or contacts that arrived. Two lists are equal if they are
/// encoded as the same bytes.
#[derive(Clone, Copy)]
pub struct Contacts<'a, A: Address>(Source<'a, A>);

#[derive(Clone, Copy)]
enum Source<'a, A> {
    Own(&'a [Contact<A>]),
    Received { bytes: &'a [u8], read: ReadContact },
}

/// A function that splits the first contact off encoded contacts, and returns `None` at their end. A wire format passes
/// it to [`Contacts::received`].
pub type ReadContact = fn(&mut &[u8]) -> Option<ReceivedContact>;

/// A contact as it arrived. The own address type may lack the family of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedContact {
    /// The identifier of the node.
    pub id: Id,
    /// The address of the node.
    pub address: EncodedAddress,
}

impl<'a, A: Address> Contacts<'a, A> {
    /// No contacts.
    pub const EMPTY: Self = Self(Source::Own(&[]));

    /// The sender's own contacts.
    #[must_use]
    pub const fn new(contacts: &'a [Contact<A>]) -> Self {
        Self(Source::Own(contacts))
    }

    /// Contacts that arrived in `bytes`. The wire format has checked these, and splits them with `read`.
    #[must_use]
    pub const fn received(bytes: &'a [u8], read: ReadContact) -> Self {
        Self(Source::Received { bytes, read })
    }

    /// The first of these contacts, as many as fit into `room` bytes, and at most 255. `len` is how many bytes a
    /// contact with this address takes.
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

    /// The number of contacts, including those with an address family that `A` lacks.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.0 {
            Source::Own(contacts) => contacts.len(),
            Source::Received { .. } => self.parts().1.count(),
        }
    }

    /// The contacts, without those whose address can't be decoded: `A` lacks its family, or no datagram can be sent to
    /// it.
    pub fn iter(&self) -> impl Iterator<Item = Contact<A>> + use<'a, A> {
        let (own, mut received) = self.parts();
        let mut own = own.iter();
        iter::from_fn(move || match own.next() {
            Some(contact) => Some(*contact),
            None => received.find_map(|ReceivedContact { id, address }| {
                Some(Contact::new(id, A::decode(address.family, address.as_bytes())?))
            }),
        })
    }

    /// The identifier and the encoded address of each contact.
    pub fn encoded(&self) -> impl Iterator<Item = (Id, EncodedAddress)> + use<'a, A> {
        let (own, received) = self.parts();
        let own = own.iter().map(|contact| (contact.id, contact.address.encode()));
        own.chain(received.map(|contact| (contact.id, contact.address)))
    }

    /// The sender's own contacts, and the contacts that arrived. One of the two is empty.
    pub fn parts(&self) -> (&'a [Contact<A>], impl Iterator<Item = ReceivedContact> + use<'a, A>) {
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

/// The address that a request came from, as the responder saw it. `A` may lack its family.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Observed<A> {
    encoded: EncodedAddress,
    of: PhantomData<A>,
}

impl<A: Address> Observed<A> {
    /// An address of the own type.
    #[must_use]
    pub fn new(address: A) -> Self {
        Self::received(address.encode())
    }

    /// An address that the response does not tell: [`address`](Self::address) is `None`.
    pub const UNKNOWN: Self = Self::received(EncodedAddress::NONE);

    /// An address that arrived in a message.
    #[must_use]
    pub const fn received(encoded: EncodedAddress) -> Self {
        Self { encoded, of: PhantomData }
    }

    /// The address. `None` if it can't be decoded: `A` lacks its family, or no datagram can be sent to it.
    #[must_use]
    pub fn address(&self) -> Option<A> {
        A::decode(self.encoded.family, self.encoded.as_bytes())
    }

    /// The encoded address.
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
