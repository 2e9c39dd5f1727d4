//! The bare image for lm3s6965evb, without signatures.

#![no_std]
#![no_main]

use board::Board;
use cortex_m_rt::entry;
use panic_semihosting as _;

#[entry]
fn main() -> ! {
    let core = cortex_m::Peripherals::take().expect("main runs once");
    bare::run(Board::lm3s6965evb(core), None)
}
