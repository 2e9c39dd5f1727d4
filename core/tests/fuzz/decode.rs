//! The body of the fuzz target `decode`: bytes that decode encode to the same bytes again, whichever address families
//! the decoder knows.

use core::net::{SocketAddr, SocketAddrV4};

use kadlet::Address;
use kadlet::message::{Contacts, Response};
use kadlet::wire::{self, Body, DecodeError, Kadlet, MAX_DATAGRAM, Message};

/// Decodes and encodes `data`.
///
/// # Panics
///
/// If a property doesn't hold.
pub fn run(data: &[u8]) {
    let dual = round_trip::<SocketAddr>(data);
    assert_eq!(
        dual,
        round_trip::<SocketAddrV4>(data),
        "whether bytes are a message must not depend on the known address families"
    );
}

fn round_trip<A: Address>(data: &[u8]) -> Result<(), DecodeError> {
    let message: Message<'_, A, Kadlet> = wire::decode(data)?;
    let mut buf = [0; MAX_DATAGRAM];
    let len = wire::encode(&message, &mut buf).expect("a decoded message can be encoded");
    assert_eq!(&buf[..len], data, "{message:?}");
    assert_eq!(wire::encoded_len(&message), len);
    assert!(contacts(&message).iter().count() <= contacts(&message).count());
    Ok(())
}

fn contacts<'a, A: Address>(message: &Message<'a, A, Kadlet>) -> Contacts<'a, A> {
    match message.body {
        Body::Response { response: Response::Nodes { contacts }, .. }
        | Body::Response { response: Response::Value { contacts, .. }, .. }
        | Body::Response { response: Response::Held { contacts, .. } | Response::Relayed { contacts, .. }, .. } => {
            contacts
        }
        _ => Contacts::EMPTY,
    }
}
