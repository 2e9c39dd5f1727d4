//! The embassy image for lm3s6965evb.

#![no_std]
#![no_main]

use board::Board;
use cortex_m_rt::entry;
use panic_semihosting as _;
use static_cell::StaticCell;

#[entry]
fn main() -> ! {
    static NIC: StaticCell<board::stellaris::Stellaris<board::bus::Mmio>> = StaticCell::new();

    let core = cortex_m::Peripherals::take().expect("main runs once");
    let Board { name, nic, clock, sleep } = Board::lm3s6965evb(core);
    embassy::run(Board { name, nic: NIC.init(nic), clock, sleep })
}
