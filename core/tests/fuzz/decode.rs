//! Any bytes: what decodes encodes to the same bytes, whatever addresses the decoder knows.

use core::net::{SocketAddr, SocketAddrV4};

use kadlet::Address;
use kadlet::wire::{self, Body, Contacts, DecodeError, MAX_DATAGRAM, Message, Response};

/// # Panics
///
/// If a property doesn't hold.
pub fn run(data: &[u8]) {
    let dual = comes_back::<SocketAddr>(data);
    assert_eq!(dual, comes_back::<SocketAddrV4>(data), "what is a message doesn't depend on the families known");
}

fn comes_back<A: Address>(data: &[u8]) -> Result<(), DecodeError> {
    let message: Message<'_, A> = wire::decode(data)?;
    let mut buf = [0; MAX_DATAGRAM];
    let len = wire::encode(&message, &mut buf).expect("what decodes can be encoded");
    assert_eq!(&buf[..len], data, "{message:?}");
    assert_eq!(wire::encoded_len(&message), len);
    assert!(contacts(&message).iter().count() <= contacts(&message).count());
    Ok(())
}

fn contacts<'a, A: Address>(message: &Message<'a, A>) -> Contacts<'a, A> {
    match message.body {
        Body::Response { response: Response::Nodes { contacts }, .. }
        | Body::Response { response: Response::Value { contacts, .. }, .. }
        | Body::Response {
            response: Response::StoredRecord { contacts, .. } | Response::Relayed { contacts, .. },
            ..
        } => contacts,
        _ => Contacts::EMPTY,
    }
}
