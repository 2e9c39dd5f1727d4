//! A board's number, addresses, id and seed, from its MAC address and its arguments. So one image serves all boards.

use core::net::{Ipv4Addr, SocketAddrV4};

use sha2::{Digest, Sha256};

/// The UDP port of all boards.
pub const PORT: u16 = 4000;
/// The prefix length of a board's network, in bits.
pub const PREFIX: u8 = 24;
/// The most bootstrap addresses, and the most names of values to get.
pub const MAX_LISTED: usize = 4;

/// A board's number: the last byte of its MAC address. Board 11 has the address 10.77.11.2, and its gateway 10.77.11.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u8);

impl Number {
    /// The number of the board with this MAC address.
    #[must_use]
    pub const fn of(mac: [u8; 6]) -> Self {
        Self(mac[5])
    }

    /// The board's address.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.0, 2)
    }

    /// The address of the board's gateway.
    #[must_use]
    pub const fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.0, 1)
    }
}

/// The arguments of a board, such as
/// `boot=2 bootstrap=10.77.0.1:4000 get=hello,board-12 every=5 quiet=60 lookup=recursive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// How often the board was started before. The emulator doesn't count this.
    pub boot: u32,
    /// The addresses to join through.
    pub bootstrap: List<SocketAddrV4>,
    /// Names of plain records to get again and again.
    pub get: List<&'a str>,
    /// Seconds from one value of the sensor to the next; 0: the board only joins and serves.
    pub every: u32,
    /// Seconds after the start at which the sensor stops, and the board only serves; 0: never.
    pub quiet: u32,
    /// Whether the board's lookups are recursive (`lookup=recursive`): each node forwards the request. Otherwise they
    /// are iterative.
    pub recursive: bool,
}

/// At most [`MAX_LISTED`] items of a list with commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<T>([Option<T>; MAX_LISTED]);

impl<T: Copy> List<T> {
    /// The items, in their order.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.0.iter().copied().flatten()
    }
}

impl<'a> Arguments<'a> {
    /// Parses a command line. Its first word is a program name. Words and items that are not valid are ignored.
    #[must_use]
    pub fn parse(line: &'a str) -> Self {
        let value = |name| {
            line.split_ascii_whitespace().skip(1).filter_map(|word| word.split_once('=')).find(|word| word.0 == name)
        };
        let number = |name| value(name).and_then(|(_, number)| number.parse().ok());
        let list = |name| value(name).into_iter().flat_map(|(_, list)| list.split(',')).filter(|word| !word.is_empty());
        Self {
            boot: number("boot").unwrap_or(0),
            bootstrap: collect(list("bootstrap").filter_map(|address| address.parse().ok())),
            get: collect(list("get")),
            every: number("every").unwrap_or(10),
            quiet: number("quiet").unwrap_or(0),
            recursive: value("lookup").is_some_and(|(_, how)| how == "recursive"),
        }
    }
}

fn collect<T>(mut all: impl Iterator<Item = T>) -> List<T> {
    List(core::array::from_fn(|_| all.next()))
}

/// The id of a board, the same at each start: the first 20 bytes of a hash of its MAC address.
///
/// In a network whose members don't trust each other, draw a random id once, and keep it in flash.
#[must_use]
pub fn id(mac: [u8; 6]) -> [u8; 20] {
    let hash = Sha256::new().chain_update(b"kadlet board id").chain_update(mac).finalize();
    core::array::from_fn(|n| hash[n])
}

/// The node's seed: a hash of all that differs between two boards and between two starts of one board. That is the MAC
/// address, the boot counter, and the clock's ticks at the start.
///
/// **An emulator has no entropy, and none of these inputs is entropy.** An attacker who knows the board and its boot
/// counter can guess the seed, and from it the tokens and transaction ids that prevent requests and responses with a
/// forged sender. The seed only makes each start different from the others. On real hardware, pass at least 16 random
/// bytes as `entropy`, from one of these sources:
///
/// - the chip's random number generator (STM32 `RNG`, nRF `RNG`, RP2350 `TRNG`, ESP32 `RNG` while the radio is on);
/// - a generator that is seeded from the noise of an ADC input over some seconds;
/// - a secret key that was written to the board when it was made. With such a key the boot counter must be kept, in
///   flash or in battery-backed RAM: each seed must be used only once.
#[must_use]
pub fn seed(mac: [u8; 6], boot: u32, ticks: u64, entropy: &[u8]) -> [u8; 32] {
    let hash = Sha256::new()
        .chain_update(b"kadlet board seed")
        .chain_update(mac)
        .chain_update(boot.to_le_bytes())
        .chain_update(ticks.to_le_bytes())
        .chain_update(entropy)
        .finalize();
    hash.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 1, 11];

    #[test]
    fn the_last_byte_of_the_mac_address_is_the_number_and_gives_the_addresses() {
        let number = Number::of(MAC);
        assert_eq!(number, Number(11));
        assert_eq!(number.address(), Ipv4Addr::new(10, 77, 11, 2));
        assert_eq!(number.gateway(), Ipv4Addr::new(10, 77, 11, 1));
    }

    #[test]
    fn arguments_can_be_in_any_order_after_the_program_name() {
        let read = Arguments::parse(
            "fw every=5 quiet=60 lookup=recursive get=hello,board-12 bootstrap=10.77.0.1:4000,10.77.0.2:4001 boot=3",
        );
        assert_eq!((read.boot, read.every, read.quiet, read.recursive), (3, 5, 60, true));
        assert!(read.get.iter().eq(["hello", "board-12"]));
        assert!(read.bootstrap.iter().eq(["10.77.0.1:4000", "10.77.0.2:4001"].map(|address| address.parse().unwrap())));
    }

    #[test]
    fn a_missing_or_invalid_argument_has_its_default() {
        for line in ["", "boot=3", "fw", "fw boot= boot=x bootstrap=here,10.0.0.1 get=, every=-1 lookup=fast more"] {
            let read = Arguments::parse(line);
            assert_eq!((read.boot, read.every, read.recursive), (0, 10, false), "{line}");
            assert_eq!((read.get.iter().count(), read.bootstrap.iter().count()), (0, 0), "{line}");
        }
    }

    #[test]
    fn a_list_is_cut_after_four_items() {
        assert!(Arguments::parse("fw get=a,b,c,d,e").get.iter().eq(["a", "b", "c", "d"]));
    }

    #[test]
    fn each_board_each_start_and_each_entropy_gives_a_different_seed() {
        let seeds = [
            seed(MAC, 0, 0, b""),
            seed([2, 0, 0, 0, 1, 12], 0, 0, b""),
            seed(MAC, 1, 0, b""),
            seed(MAC, 0, 1, b""),
            seed(MAC, 0, 0, b"\0"),
        ];
        for (index, one) in seeds.iter().enumerate() {
            assert!(seeds[..index].iter().all(|other| other != one));
        }
        assert_ne!(id(MAC), id([2, 0, 0, 0, 1, 12]));
        assert_eq!(id(MAC), id(MAC));
    }
}
