//! The application with a node that accepts no signed records.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use figures::Mote;

#[entry]
fn main() -> ! {
    static mut NODE: Mote = Mote::empty();
    figures::drive(NODE, None)
}
