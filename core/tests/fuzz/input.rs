//! The bytes that a fuzzer gives, read as choices. When they run out, every choice is the first.

use core::net::{Ipv4Addr, SocketAddrV4};

use kadlet::record::{Proof, Verifier};
use kadlet::{Address, Id, Record};

/// What is left of the bytes.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// One of `count` choices.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// True once in so many values of a byte.
    pub(crate) fn once_in(&mut self, values: usize) -> bool {
        self.below(values) == values - 1
    }

    /// A number of any size, small ones more often.
    pub(crate) fn number(&mut self) -> u64 {
        let size = self.byte();
        let fine = u64::from(self.byte());
        match size {
            0xFF => u64::MAX - fine,
            _ => (fine + 1) << (size % 56),
        }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, left) = self.0.split_at(count.min(self.0.len()));
        self.0 = left;
        taken
    }
}

/// A node's id that shares some bits with `own`.
pub(crate) fn id_near(own: Id, number: u8) -> Id {
    let mut bytes = *own.as_bytes();
    let depth = usize::from(number % 11);
    bytes[depth / 8] ^= 0x80 >> (depth % 8);
    bytes[3] ^= number;
    Id::from_bytes(bytes)
}

/// Addresses of some networks: several in one prefix, private ones, loopback.
pub(crate) fn address(number: u8) -> SocketAddrV4 {
    let ip = match number % 32 {
        n @ 0..8 => Ipv4Addr::new(192, 0, 2, n + 1),
        n @ 8..12 => Ipv4Addr::new(10, 0, 0, n),
        n @ 12..14 => Ipv4Addr::new(127, 0, 0, n),
        n => Ipv4Addr::new(203, 0, n, 1),
    };
    SocketAddrV4::new(ip, 4_000 + u16::from(number % 32))
}

/// Says of a signature that it holds if it begins with what it signs, so that the fuzzer can forge what should hold.
pub(crate) const VERIFY: Verifier = |public_key, message, signature| signature[..32] == *message && signature[32..] == *public_key;

/// A record in parts that it borrows.
pub(crate) struct Parts {
    kind: usize,
    name: u8,
    number: u64,
    value: Vec<u8>,
    salt: Vec<u8>,
    public_key: [u8; 32],
    signature: [u8; 64],
}

impl Parts {
    /// A record of a few names and values, that mostly proves itself.
    pub(crate) fn read(input: &mut Input<'_>) -> Self {
        let kind = input.below(3);
        let (name, fill) = (input.byte() % 4, input.byte() % 4);
        let len = match input.byte() {
            0xFF => 1_001,
            0xFE => 1_000,
            len => usize::from(len),
        };
        let number = if kind == 0 || kind == 2 { input.number() } else { 0 };
        let (salt, forged) = match kind {
            2 => (vec![name; input.pick(&[0, 1, 64, 65])], input.once_in(8)),
            _ => (Vec::new(), false),
        };
        let mut parts = Self::signed(name, &salt, number, &vec![fill; len]);
        parts.kind = kind;
        parts.signature[63] ^= u8::from(forged);
        parts
    }

    /// A signed record whose signature holds.
    pub(crate) fn signed(name: u8, salt: &[u8], sequence: u64, value: &[u8]) -> Self {
        let public_key = [name; 32];
        let mut signature = [name; 64];
        signature[..32].copy_from_slice(&Record::signed_digest(salt, sequence, value));
        Self { kind: 2, name, number: sequence, value: value.to_vec(), salt: salt.to_vec(), public_key, signature }
    }

    pub(crate) fn record(&self) -> Record<'_> {
        let value = &self.value;
        match self.kind {
            0 => {
                let id = kadlet::Key::plain(&[self.name]).id;
                Record { value, proof: Proof::Plain { id, age: self.number } }
            }
            1 => Record::immutable(value),
            _ => {
                let Self { public_key, salt, signature, .. } = self;
                Record { value, proof: Proof::Signed { public_key, salt, sequence: self.number, signature } }
            }
        }
    }
}

/// The id that a node at this address may have, where ids are bound.
pub(crate) fn bound<A: Address>(bind: bool, id: Id, address: A) -> Id {
    if bind { address.bind(id) } else { id }
}
