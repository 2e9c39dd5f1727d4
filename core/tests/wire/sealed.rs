//! Sealed datagrams: what opens, what doesn't, and the example of `SPEC.md`.

use kadlet::Id;
use kadlet::wire::sealed::{NetworkKey, open, seal};
use kadlet::wire::{Kadlet, MAX_DATAGRAM, SEAL};

use crate::spec;

const KEY: NetworkKey = NetworkKey::new([7; 32]);
/// Where the identifier ends in kadlet's messages: the shortest that can be sealed.
const SHORTEST: usize = 13 + Id::LEN;

/// Seals a message, which needn't be one of the format.
fn sealed(number: u64, message: &[u8]) -> Vec<u8> {
    let mut buf = [0; MAX_DATAGRAM];
    buf[..message.len()].copy_from_slice(message);
    let len = seal::<Kadlet>(&KEY, number, message.len(), &mut buf).unwrap();
    buf[..len].to_vec()
}

fn opened(key: &NetworkKey, datagram: &[u8]) -> Option<Vec<u8>> {
    open::<Kadlet>(key, datagram, &mut [0; MAX_DATAGRAM]).map(<[u8]>::to_vec)
}

fn message(len: usize) -> Vec<u8> {
    (0..len).map(|n| n as u8).collect()
}

#[test]
fn what_is_sealed_opens_with_the_same_key_and_no_other() {
    for len in [SHORTEST, SHORTEST + 1, 100, 103, MAX_DATAGRAM - SEAL] {
        let datagram = sealed(1 << 63, &message(len));
        assert_eq!(datagram.len(), len + SEAL);
        assert_eq!(opened(&KEY, &datagram), Some(message(len)));
        assert_eq!(opened(&NetworkKey::new([8; 32]), &datagram), None);
    }
}

#[test]
fn a_datagram_that_has_changed_in_any_bit_or_lost_a_byte_does_not_open() {
    let datagram = sealed(9, &message(60));
    for bit in 0..8 * datagram.len() {
        let mut changed = datagram.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened(&KEY, &changed), None, "bit {bit}");
    }
    for len in 0..datagram.len() {
        assert_eq!(opened(&KEY, &datagram[..len]), None, "the first {len} bytes");
        assert_eq!(opened(&KEY, &datagram[datagram.len() - len..]), None, "the last {len} bytes");
    }
    assert_eq!(opened(&KEY, &[&datagram[..], &[0]].concat()), None, "a byte more");
}

#[test]
fn only_the_identifier_the_number_and_the_length_can_be_seen() {
    let datagram = sealed(0x0102_0304_0506_0708, &message(60));
    assert_eq!(datagram[..Id::LEN], message(60)[13..SHORTEST]);
    assert_eq!(datagram[60..68], [1, 2, 3, 4, 5, 6, 7, 8]);
    let other = sealed(0x0102_0304_0506_0709, &message(60));
    let equal = datagram[20..60].iter().zip(&other[20..60]).filter(|(one, other)| one == other).count();
    assert!(equal < 10, "the same message under the next number: {equal} of 40 bytes are equal");
}

#[test]
fn what_has_no_room_is_neither_sealed_nor_opened() {
    let datagram = sealed(9, &message(60));
    assert_eq!(open::<Kadlet>(&KEY, &datagram, &mut [0; 59]), None);
    assert!(open::<Kadlet>(&KEY, &datagram, &mut [0; 60]).is_some());
    assert_eq!(seal::<Kadlet>(&KEY, 9, 60, &mut [0; 60 + SEAL - 1]), None);
    assert_eq!(seal::<Kadlet>(&KEY, 9, 61, &mut [0; 60]), None);
    assert_eq!(seal::<Kadlet>(&KEY, 9, SHORTEST - 1, &mut [0; 100]), None, "without a whole identifier");
    assert_eq!(seal::<Kadlet>(&KEY, 9, usize::MAX, &mut [0; 100]), None);
}

#[test]
fn the_key_is_not_printed() {
    assert_eq!(format!("{:?}", Some(KEY)), "Some(NetworkKey(..))");
}

#[test]
fn the_sealed_example_opens_to_the_ping_and_seals_to_the_same_bytes() {
    let (_, ping) = spec::examples().into_iter().find(|(title, _)| *title == "ping").unwrap();
    let example = spec::sealed_example();
    let key = NetworkKey::new(core::array::from_fn(|n| n as u8));
    assert_eq!(opened(&key, &example), Some(ping.clone()));
    let mut buf = [0; MAX_DATAGRAM];
    buf[..ping.len()].copy_from_slice(&ping);
    let len = seal::<Kadlet>(&key, 0xF0F1_F2F3_F4F5_F6F7, ping.len(), &mut buf).unwrap();
    assert_eq!(buf[..len], example);
}
