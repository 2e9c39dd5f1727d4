//! Who a board is, from its MAC address and arguments: one image serves all boards.

use core::net::{Ipv4Addr, SocketAddrV4};

use sha2::{Digest, Sha256};

/// The port of all boards.
pub const PORT: u16 = 4000;
/// The bits of a board's network.
pub const PREFIX: u8 = 24;
/// The most bootstrap addresses and the most names that are taken.
pub const MAX_LISTED: usize = 4;

/// A board's number, the last byte of its MAC address: board 11 is 10.77.11.2, and its gateway 10.77.11.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub u8);

impl Number {
    /// That of the board with this MAC address.
    #[must_use]
    pub const fn of(mac: [u8; 6]) -> Self {
        Self(mac[5])
    }

    /// The board's address.
    #[must_use]
    pub const fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.0, 2)
    }

    /// Its way to all others.
    #[must_use]
    pub const fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.0, 1)
    }
}

/// What the board is told when it starts, as `boot=2 bootstrap=10.77.0.1:4000 get=hello,board-12 every=5 quiet=60 lookup=recursive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments<'a> {
    /// How often it has been started before; the emulator keeps no count of its own.
    pub boot: u32,
    /// Whom to join through.
    pub bootstrap: List<SocketAddrV4>,
    /// Names of plain records to get again and again.
    pub get: List<&'a str>,
    /// Seconds from one value of the sensor to the next; 0 for none.
    pub every: u32,
    /// After so many seconds the sensor rests, and the board only serves; 0: never.
    pub quiet: u32,
    /// Whether it finds nodes by having each pass the question on (`lookup=recursive`), not by asking one after another.
    pub recursive: bool,
}

/// At most [`MAX_LISTED`] things that were separated by commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List<T>([Option<T>; MAX_LISTED]);

impl<T: Copy> List<T> {
    /// Them.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.0.iter().copied().flatten()
    }
}

impl<'a> Arguments<'a> {
    /// Reads a command line, whose first word is a name. What isn't understood is left out.
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

/// The id that a board keeps from one start to the next: the first 20 bytes of a hash of its MAC address.
///
/// Firmware of a network whose members don't trust each other draws an id once, and keeps it in flash.
#[must_use]
pub fn id(mac: [u8; 6]) -> [u8; 20] {
    let hash = Sha256::new().chain_update(b"kadlet board id").chain_update(mac).finalize();
    core::array::from_fn(|n| hash[n])
}

/// The node's seed, mixed from all that differs between two boards and two starts of one: the MAC address, the boot counter, and
/// what the clock read when the network came up.
///
/// **An emulator has no entropy, and this is not any**: whoever knows board and counter can guess it, and with it the tokens and
/// transaction ids that keep others from writing in a stranger's name. It only keeps two starts from repeating each other. On
/// silicon, add at least 16 bytes of the chip's random number generator as `entropy` (STM32 `RNG`, nRF `RNG`, RP2350 `TRNG`,
/// ESP32 `RNG` while the radio is on), or of one that is seeded from the noise of an ADC input over some seconds, or from a key
/// that was burnt in when the board was made. With such a key the boot counter must be kept (in flash, in battery-backed RAM):
/// a seed serves once.
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
    fn arguments_come_in_any_order_after_a_name() {
        let read = Arguments::parse(
            "fw every=5 quiet=60 lookup=recursive get=hello,board-12 bootstrap=10.77.0.1:4000,10.77.0.2:4001 boot=3",
        );
        assert_eq!((read.boot, read.every, read.quiet, read.recursive), (3, 5, 60, true));
        assert!(read.get.iter().eq(["hello", "board-12"]));
        assert!(read.bootstrap.iter().eq(["10.77.0.1:4000", "10.77.0.2:4001"].map(|address| address.parse().unwrap())));
    }

    #[test]
    fn what_is_missing_or_not_understood_is_left_out() {
        for line in ["", "boot=3", "fw", "fw boot= boot=x bootstrap=here,10.0.0.1 get=, every=-1 lookup=fast more"] {
            let read = Arguments::parse(line);
            assert_eq!((read.boot, read.every, read.recursive), (0, 10, false), "{line}");
            assert_eq!((read.get.iter().count(), read.bootstrap.iter().count()), (0, 0), "{line}");
        }
    }

    #[test]
    fn a_list_longer_than_is_taken_is_cut() {
        assert!(Arguments::parse("fw get=a,b,c,d,e").get.iter().eq(["a", "b", "c", "d"]));
    }

    #[test]
    fn every_board_every_start_and_every_bit_of_entropy_gives_another_seed() {
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
