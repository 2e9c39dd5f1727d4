//! The application with a node whose datagrams are sealed.

#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use figures::Mote;
use kadlet::Config;
use kadlet::wire::sealed::NetworkKey;

#[entry]
fn main() -> ! {
    static mut NODE: Mote = Mote::empty();
    let seal = Some(NetworkKey::new(black_box([7; 32])));
    figures::drive(NODE, Config { seal, ..figures::CONFIG })
}
