//! Identifiers of nodes and keys, and the distances between them. Both have 160 bits, as in the Kademlia and Chord
//! papers.

use core::fmt;
use core::ops::BitXor;
use core::str::FromStr;

/// The identifier of a node or a key: 160 bits, most significant byte first.
///
/// ```
/// use kadlet::Id;
///
/// let id: Id = "00112233445566778899aabbccddeeff00112233".parse()?;
/// assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff00112233");
/// assert_eq!(id.common_prefix_len(&id), Id::BITS);
/// assert!(id.xor(&Id::ZERO) > id.xor(&id));
/// # Ok::<(), kadlet::ParseIdError>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; Self::LEN]);

/// The distance between two identifiers, in any metric: a 160-bit number. Distances compare as numbers.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; Id::LEN]);

/// The text to be parsed as an [`Id`] is not 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseIdError;

impl Id {
    /// Bytes in an identifier.
    pub const LEN: usize = 20;
    /// Bits in an identifier.
    pub const BITS: u32 = 160;
    /// The identifier of all zeros.
    pub const ZERO: Self = Self([0; Self::LEN]);

    /// The identifier with these bytes, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes of the identifier, most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The distance of Kademlia: the XOR of both. It is symmetric, and no two identifiers are at the same distance from
    /// a third.
    #[must_use]
    pub fn xor(&self, other: &Self) -> Distance {
        Distance(core::array::from_fn(|i| self.0[i].bitxor(other.0[i])))
    }

    /// The distance of Chord: from here to `to` clockwise, which is upwards, modulo 2^160. It is not symmetric.
    #[must_use]
    pub fn clockwise(&self, to: &Self) -> Distance {
        let mut out = [0; Self::LEN];
        let mut borrow = false;
        for ((out, to), from) in out.iter_mut().zip(&to.0).zip(&self.0).rev() {
            let (difference, under) = to.overflowing_sub(*from);
            let (difference, again) = difference.overflowing_sub(u8::from(borrow));
            *out = difference;
            borrow = under || again;
        }
        Distance(out)
    }

    /// The distance of Pastry: the shorter way around the ring. It is symmetric.
    #[must_use]
    pub fn ring(&self, other: &Self) -> Distance {
        self.clockwise(other).min(other.clockwise(self))
    }

    /// The number of leading bits that both have in common: 0 to [`Id::BITS`].
    #[must_use]
    pub fn common_prefix_len(&self, other: &Self) -> u32 {
        self.xor(other).leading_zeros()
    }

    /// Whether bit `index` is set, counted from the most significant. False from index [`Id::BITS`] on.
    #[must_use]
    pub fn bit(&self, index: u32) -> bool {
        self.0.get(index as usize / 8).is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }
}

impl Distance {
    /// The distance from an identifier to itself.
    pub const ZERO: Self = Self([0; Id::LEN]);
    /// The largest distance.
    pub const MAX: Self = Self([0xFF; Id::LEN]);

    /// The bytes of the distance, most significant first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Id::LEN] {
        &self.0
    }

    /// The number of leading zero bits: 0 to [`Id::BITS`].
    #[must_use]
    pub fn leading_zeros(&self) -> u32 {
        let mut zeros = 0;
        for byte in self.0 {
            zeros += byte.leading_zeros();
            if byte != 0 {
                break;
            }
        }
        zeros
    }
}

impl From<[u8; Self::LEN]> for Id {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Id {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let digits = text.as_bytes();
        if digits.len() != 2 * Self::LEN {
            return Err(ParseIdError);
        }
        let mut id = Self::ZERO;
        for (byte, pair) in id.0.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
            let (Some(high), Some(low)) = (value(pair[0]), value(pair[1])) else {
                return Err(ParseIdError);
            };
            *byte = high << 4 | low;
        }
        Ok(id)
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id is {} hexadecimal digits", 2 * Id::LEN)
    }
}

impl core::error::Error for ParseIdError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;

    fn id(bytes: [u8; 20]) -> Id {
        Id::from_bytes(bytes)
    }

    #[test]
    fn a_text_that_is_not_40_hexadecimal_digits_is_refused() {
        for text in ["", "00", "+0112233445566778899aabbccddeeff00112233", "g0112233445566778899aabbccddeeff00112233"] {
            assert_eq!(text.parse::<Id>(), Err(ParseIdError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_parsed_as_it_was_printed(a: [u8; 20]) {
            prop_assert_eq!(id(a).to_string().parse(), Ok(id(a)));
        }

        #[test]
        fn xor_is_a_metric(a: [u8; 20], b: [u8; 20], c: [u8; 20]) {
            let (a, b, c) = (id(a), id(b), id(c));
            prop_assert_eq!(a.xor(&b), b.xor(&a));
            prop_assert_eq!(a.xor(&b) == Distance::ZERO, a == b);
            // The triangle inequality, on leading bits: the first bit in which a and c differ also separates b from one
            // of them.
            prop_assert!(a.common_prefix_len(&c) >= a.common_prefix_len(&b).min(b.common_prefix_len(&c)));
        }

        #[test]
        fn the_clockwise_ways_there_and_back_are_the_whole_ring(a: [u8; 20], b: [u8; 20]) {
            let (a, b) = (id(a), id(b));
            prop_assert_eq!(a.ring(&b), b.ring(&a));
            prop_assert!(a.ring(&b) <= a.clockwise(&b));
            // The two distances sum to 2^160, which is zero on the ring.
            let there = Id::from_bytes(*a.clockwise(&b).as_bytes());
            let back = b.clockwise(&a);
            prop_assert_eq!(*there.clockwise(&Id::ZERO).as_bytes(), *back.as_bytes());
        }

        #[test]
        fn the_common_prefix_ends_at_the_first_bit_that_differs(a: [u8; 20], b: [u8; 20]) {
            let (a, b) = (id(a), id(b));
            let common = a.common_prefix_len(&b);
            prop_assert!((0..common).all(|i| a.bit(i) == b.bit(i)));
            prop_assert!(common == Id::BITS || a.bit(common) != b.bit(common));
        }
    }
}
