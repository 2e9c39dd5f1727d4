//! kadlet's own format. `core/SPEC.md` describes it byte by byte.
//!
//! [`decode`] borrows from the datagram, checks every length first, and returns what is wrong. [`encode`] writes into
//! the caller's buffer. Two different datagrams never decode to the same message, and a decoded message encodes to the
//! same bytes again.
//!
//! All numbers have a fixed width. postcard reads and writes the beginning of every message (`head`, with serde's
//! derive) and all flags. Identifiers, keys, values and the numbers in a body are borrowed and copied as bytes, because
//! serde would take them one by one. The format has none of postcard's variable parts (varints, strings and enums), so
//! there is only one way to encode each message.
//!
//! ```
//! use core::net::SocketAddrV4;
//! use kadlet::message::{Contacts, Features, Response};
//! use kadlet::wire::{self, Body, Header, Kadlet, Message, Token, Transaction};
//! use kadlet::{Contact, Id};
//!
//! let (transaction, features) = (Transaction([7; 8]), Features::SERVES);
//! let header = Header { geometry: 1, network: 0, transaction, sender: Id::ZERO, features };
//! let known = [Contact::new(Id::from_bytes([1; 20]), SocketAddrV4::new([192, 0, 2, 1].into(), 4000))];
//! let response = Response::Nodes { contacts: Contacts::new(&known) };
//! let message: Message<'_, _, Kadlet> = Message { header, body: Body::Response { token: Token([9; 8]), response } };
//!
//! let mut buf = [0; wire::MAX_DATAGRAM];
//! let len = wire::encode(&message, &mut buf)?;
//! assert_eq!(len, wire::encoded_len(&message));
//! assert_eq!(wire::decode(&buf[..len]), Ok(message));
//! # Ok::<(), wire::EncodeError>(())
//! ```

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

mod as_wire;
mod decode;
mod encode;
mod head;
mod lengths;
mod tags;
mod types;

pub use decode::{DecodeError, decode};
pub use encode::{EncodeError, encode, encoded_len};
pub use types::{Kadlet, Token, Transaction, VERSION};
