//! Contacts and addresses inside messages. Those that arrived keep their bytes: a node that knows only IPv4 carries and skips the others.

use core::marker::PhantomData;
use core::{fmt, iter, slice};

use super::decode::{DecodeError, Reader};
use crate::{Address, Contact, EncodedAddress, Id};

/// Bytes of a contact in a message, its address's own apart: the identifier, the family, the length.
const BESIDE_ADDRESS: usize = Id::LEN + 2;

/// Contacts in a message, best first: a slice of the sender's, or what arrived. Two are equal if they travel as the same bytes.
#[derive(Clone, Copy)]
pub struct Contacts<'a, A: Address>(pub(super) Source<'a, A>);

#[derive(Clone, Copy)]
pub(super) enum Source<'a, A> {
    Own(&'a [Contact<A>]),
    /// What `Contacts::read` found to be `count` contacts.
    Arrived {
        count: u8,
        bytes: &'a [u8],
    },
}

impl<'a, A: Address> Contacts<'a, A> {
    /// No contacts.
    pub const EMPTY: Self = Self(Source::Own(&[]));

    /// These contacts.
    #[must_use]
    pub const fn new(contacts: &'a [Contact<A>]) -> Self {
        Self(Source::Own(contacts))
    }

    /// As many of these contacts, from the first on, as fit into `room` bytes of a message. Their count takes one of them: without any
    /// room there are none, which still takes one byte.
    #[must_use]
    pub fn fitting(contacts: &'a [Contact<A>], room: usize) -> Self {
        let mut room = room.saturating_sub(1);
        let fits = |contact: &&Contact<A>| {
            let left = room.checked_sub(BESIDE_ADDRESS.saturating_add(contact.address.encode().as_bytes().len()));
            room = left.unwrap_or(room);
            left.is_some()
        };
        let count = contacts.iter().take(usize::from(u8::MAX)).take_while(fits).count();
        Self::new(contacts.get(..count).unwrap_or(contacts))
    }

    /// How many they are, those of unknown families included.
    #[must_use]
    pub const fn count(&self) -> usize {
        match self.0 {
            Source::Own(contacts) => contacts.len(),
            Source::Arrived { count, .. } => count as usize,
        }
    }

    /// The contacts, less those that arrived with an address of a family that `A` lacks or to which no datagram may be sent.
    pub fn iter(&self) -> impl Iterator<Item = Contact<A>> + use<'a, A> {
        let (mut own, mut arrived) = self.parts();
        iter::from_fn(move || match own.next() {
            Some(contact) => Some(*contact),
            None => arrived.find_map(|(id, family, bytes)| Some(Contact::new(id, A::decode(family, bytes)?))),
        })
    }

    /// Each as it travels.
    fn encoded(&self) -> impl Iterator<Item = (Id, EncodedAddress)> + use<'a, A> {
        let (own, arrived) = self.parts();
        let own = own.map(|contact| (contact.id, contact.address.encode()));
        own.chain(arrived.map(|(id, family, bytes)| (id, EncodedAddress::new(family, bytes))))
    }

    /// The sender's own and what arrived: one of them is empty.
    fn parts(&self) -> (slice::Iter<'a, Contact<A>>, Arrived<'a>) {
        match self.0 {
            Source::Own(contacts) => (contacts.iter(), Arrived(Reader::new(&[]))),
            Source::Arrived { bytes, .. } => ([].iter(), Arrived(Reader::new(bytes))),
        }
    }

    /// Takes a count and so many contacts from a message.
    pub(super) fn read(from: &mut Reader<'a>) -> Self {
        let count = from.byte();
        let before = from.rest;
        for _ in 0..count {
            from.bytes(Id::LEN);
            read_address(from);
            if from.error.is_some() {
                break;
            }
        }
        let bytes = before.get(..before.len().saturating_sub(from.rest.len())).unwrap_or(before);
        Self(Source::Arrived { count, bytes })
    }
}

struct Arrived<'a>(Reader<'a>);

impl<'a> Iterator for Arrived<'a> {
    type Item = (Id, u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.rest.is_empty() {
            return None;
        }
        let id = self.0.id();
        let (family, address) = read_address(&mut self.0);
        Some((id, family, address))
    }
}

fn read_address<'a>(from: &mut Reader<'a>) -> (u8, &'a [u8]) {
    let [family, len] = *from.array();
    if usize::from(len) > crate::MAX_ADDRESS {
        from.fail(DecodeError::AddressTooLong);
    }
    (family, from.bytes(usize::from(len)))
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

/// Where a request came from, as the one who answers saw it. It may be of a family that `A` lacks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Observed<A> {
    pub(super) encoded: EncodedAddress,
    of: PhantomData<A>,
}

impl<A: Address> Observed<A> {
    /// This address.
    #[must_use]
    pub fn new(address: A) -> Self {
        Self::from_encoded(address.encode())
    }

    /// The address, unless it is of a family that `A` lacks or nothing a datagram may be sent to.
    #[must_use]
    pub fn address(&self) -> Option<A> {
        A::decode(self.encoded.family, self.encoded.as_bytes())
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Self {
        let (family, address) = read_address(from);
        Self::from_encoded(EncodedAddress::new(family, address))
    }

    const fn from_encoded(encoded: EncodedAddress) -> Self {
        Self { encoded, of: PhantomData }
    }
}

impl<A: Address> fmt::Debug for Observed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}
