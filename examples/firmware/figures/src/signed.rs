//! The application with a node that checks signatures.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use figures::Mote;
use kadlet::Config;

#[entry]
fn main() -> ! {
    static mut NODE: Mote = Mote::empty();
    figures::drive(NODE, Config { verify: Some(kadlet::ed25519::verify), ..figures::CONFIG })
}
