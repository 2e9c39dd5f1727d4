//! kadlet's own format as a [`Wire`].

use super::decode::{DecodeError, decode};
use super::encode::encode_padded;
use super::lengths;
use super::types::{Kadlet, Token, Transaction};
use crate::address::Address;
use crate::record::Record;
use crate::wire::format::{
    AddressProof, Lengths, MAX_DATAGRAM, MIN_DATAGRAM, Message, Rules, TokenBinding, TokenSource, Wire,
};

impl Wire for Kadlet {
    type Transaction = Transaction;
    type Token = Token;
    type DecodeError = DecodeError;

    const NO_TOKEN: Token = Token([0; 8]);
    const RULES: Rules = Rules {
        tokens: TokenSource::EveryResponse,
        token_binding: TokenBinding::Sender,
        address_proof: AddressProof::Token,
        padding: true,
        held: true,
        lifetimes: true,
        relays: true,
        probes: true,
        names_network: true,
        response_kinds: true,
        errors_name_sender: true,
    };
    const LENGTHS: Lengths = lengths::LENGTHS;
    const MAX_DATAGRAM: usize = MAX_DATAGRAM;
    const MIN_DATAGRAM: usize = MIN_DATAGRAM;
    const SENDER: Option<usize> = Some(lengths::SENDER);

    fn transaction(random: u64) -> Transaction {
        Transaction(random.to_be_bytes())
    }

    fn token(mac: u64) -> Token {
        Token(mac.to_be_bytes())
    }

    fn mac(token: &Token) -> Option<u64> {
        Some(u64::from_be_bytes(token.0))
    }

    #[inline]
    fn decode<A: Address>(datagram: &[u8]) -> Result<Message<'_, A, Self>, DecodeError> {
        decode(datagram)
    }

    fn is_of_another_version(error: &DecodeError) -> bool {
        matches!(error, DecodeError::Version(_))
    }

    #[inline]
    fn encode<A: Address>(message: &Message<'_, A, Self>, least: usize, buf: &mut [u8]) -> Option<usize> {
        encode_padded(message, least.min(MAX_DATAGRAM), buf).ok()
    }

    fn record_len(record: &Record<'_>) -> usize {
        lengths::record_len(record)
    }

    fn contact_len(address: usize) -> usize {
        lengths::contact_len(address)
    }
}
