//! Where datagrams lie while they are on their way: blocks of a few sizes, used again and again.

/// The sizes of blocks, in bytes: a question, an answer with 8 contacts, an answer with a value.
const SIZES: [usize; 3] = [96, 320, kadlet::wire::MAX_DATAGRAM];

/// Datagrams in flight. It grows to the most that ever were at once, and takes nothing from the heap after that.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    flights: Vec<Flight>,
    free: Vec<u32>,
    shelves: [Shelf; SIZES.len()],
}

/// A datagram on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// The operation that caused it; [`MAINTENANCE`] if none that is known of did.
    pub(crate) cause: u32,
    len: u16,
    shelf: u8,
    block: u32,
}

/// What no operation caused.
pub(crate) const MAINTENANCE: u32 = u32::MAX;

#[derive(Debug, Default)]
struct Shelf {
    bytes: Vec<u8>,
    free: Vec<u32>,
}

impl Arena {
    /// Puts a datagram in, and tells its place.
    pub(crate) fn put(&mut self, from: u32, to: u32, cause: u32, datagram: &[u8]) -> u32 {
        let shelf =
            SIZES.iter().position(|size| datagram.len() <= *size).expect("no datagram is larger than MAX_DATAGRAM");
        let block = self.shelves[shelf].put(SIZES[shelf], datagram);
        let flight = Flight { from, to, cause, len: datagram.len() as u16, shelf: shelf as u8, block };
        match self.free.pop() {
            Some(place) => {
                self.flights[place as usize] = flight;
                place
            }
            None => {
                self.flights.push(flight);
                self.flights.len() as u32 - 1
            }
        }
    }

    /// A datagram that is on its way.
    pub(crate) fn get_mut(&mut self, place: u32) -> (Flight, &mut [u8]) {
        let flight = self.flights[place as usize];
        let shelf = usize::from(flight.shelf);
        (flight, &mut self.shelves[shelf].bytes[flight.block as usize * SIZES[shelf]..][..usize::from(flight.len)])
    }

    /// Takes a datagram out into `into`, and tells whose it is and how long.
    pub(crate) fn take(&mut self, place: u32, into: &mut [u8]) -> (Flight, usize) {
        let flight = self.flights[place as usize];
        self.free.push(place);
        let len = usize::from(flight.len);
        self.shelves[usize::from(flight.shelf)].take(SIZES[usize::from(flight.shelf)], flight.block, &mut into[..len]);
        (flight, len)
    }
}

impl Shelf {
    fn put(&mut self, size: usize, datagram: &[u8]) -> u32 {
        let block = self.free.pop().unwrap_or_else(|| {
            self.bytes.resize(self.bytes.len() + size, 0);
            (self.bytes.len() / size) as u32 - 1
        });
        self.bytes[block as usize * size..][..datagram.len()].copy_from_slice(datagram);
        block
    }

    fn take(&mut self, size: usize, block: u32, into: &mut [u8]) {
        into.copy_from_slice(&self.bytes[block as usize * size..][..into.len()]);
        self.free.push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_and_its_room_is_used_again() {
        let mut arena = Arena::default();
        let mut into = [0; SIZES[2]];
        for round in 0..10_u8 {
            for size in [0, 96, 97, 1_232] {
                let place = arena.put(1, 2, MAINTENANCE, &vec![round; size]);
                let (flight, len) = arena.take(place, &mut into);
                assert_eq!((flight.from, flight.to, len), (1, 2, size));
                assert!(into[..len].iter().all(|byte| *byte == round));
            }
        }
        assert_eq!(arena.flights.len(), 1);
        assert_eq!(arena.shelves.map(|shelf| shelf.bytes.len()), SIZES);
    }
}
