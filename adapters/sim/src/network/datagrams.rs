//! Datagrams: those in flight, in blocks of a few sizes that are used again and again, and those that reached an
//! attacker.

use kadlet::wire::MAX_DATAGRAM;

use crate::address::HostAddress;

/// The sizes of blocks, in bytes: for a request, a response with 8 contacts, a response with a value.
const SIZES: [usize; 3] = [96, 320, MAX_DATAGRAM];

/// The cause of a datagram that belongs to no operation of the network.
pub(crate) const MAINTENANCE: u32 = u32::MAX;

/// A datagram that reached an [attacker](super::Network::add_attacker).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The sender's address.
    pub from: HostAddress,
    /// The attacker's address.
    pub to: HostAddress,
    /// The UDP payload.
    pub bytes: Vec<u8>,
}

/// All datagrams in flight. It grows to the most that were ever in flight at once, and allocates nothing beyond that.
#[derive(Debug, Default)]
pub(crate) struct DatagramPool {
    in_flight: Vec<InFlight>,
    free: Vec<u32>,
    classes: [SizeClass; SIZES.len()],
}

/// A datagram in flight, without its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    pub(super) from: HostAddress,
    pub(super) to: HostAddress,
    /// The number of the operation that caused it, or [`MAINTENANCE`].
    pub(super) cause: u32,
    len: u16,
    class: u8,
    block: u32,
}

/// Blocks of one size.
#[derive(Debug, Default)]
struct SizeClass {
    bytes: Vec<u8>,
    free: Vec<u32>,
}

impl DatagramPool {
    /// Puts a datagram in, and returns its slot.
    ///
    /// # Panics
    ///
    /// If it is larger than [`MAX_DATAGRAM`].
    pub(super) fn put(&mut self, from: HostAddress, to: HostAddress, cause: u32, datagram: &[u8]) -> u32 {
        let class =
            SIZES.iter().position(|size| datagram.len() <= *size).expect("no datagram is larger than MAX_DATAGRAM");
        let block = self.classes[class].put(SIZES[class], datagram);
        let in_flight = InFlight { from, to, cause, len: datagram.len() as u16, class: class as u8, block };
        match self.free.pop() {
            Some(slot) => {
                self.in_flight[slot as usize] = in_flight;
                slot
            }
            None => {
                self.in_flight.push(in_flight);
                self.in_flight.len() as u32 - 1
            }
        }
    }

    /// The datagram in a slot, and its bytes.
    pub(super) fn get_mut(&mut self, slot: u32) -> (InFlight, &mut [u8]) {
        let in_flight = self.in_flight[slot as usize];
        let class = usize::from(in_flight.class);
        let start = in_flight.block as usize * SIZES[class];
        (in_flight, &mut self.classes[class].bytes[start..][..usize::from(in_flight.len)])
    }

    /// Takes the datagram out of a slot: its bytes go into `buf`, their number is returned with it.
    pub(super) fn take(&mut self, slot: u32, buf: &mut [u8]) -> (InFlight, usize) {
        let in_flight = self.in_flight[slot as usize];
        self.free.push(slot);
        let (class, len) = (usize::from(in_flight.class), usize::from(in_flight.len));
        self.classes[class].take(SIZES[class], in_flight.block, &mut buf[..len]);
        (in_flight, len)
    }
}

impl SizeClass {
    fn put(&mut self, size: usize, datagram: &[u8]) -> u32 {
        let block = self.free.pop().unwrap_or_else(|| {
            self.bytes.resize(self.bytes.len() + size, 0);
            (self.bytes.len() / size) as u32 - 1
        });
        self.bytes[block as usize * size..][..datagram.len()].copy_from_slice(datagram);
        block
    }

    fn take(&mut self, size: usize, block: u32, buf: &mut [u8]) {
        buf.copy_from_slice(&self.bytes[block as usize * size..][..buf.len()]);
        self.free.push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_comes_out_as_it_went_in_and_its_block_is_used_again() {
        let mut pool = DatagramPool::default();
        let mut buf = [0; SIZES[2]];
        let (from, to) = (HostAddress::spread(1), HostAddress::spread(2));
        for round in 0..10_u8 {
            for size in [0, 96, 97, 1_232] {
                let slot = pool.put(from, to, MAINTENANCE, &vec![round; size]);
                let (in_flight, len) = pool.take(slot, &mut buf);
                assert_eq!((in_flight.from, in_flight.to, len), (from, to, size));
                assert!(buf[..len].iter().all(|byte| *byte == round));
            }
        }
        assert_eq!(pool.in_flight.len(), 1);
        assert_eq!(pool.classes.map(|class| class.bytes.len()), SIZES);
    }
}
