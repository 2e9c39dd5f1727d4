//! The embassy image for mps2-an385.

#![no_std]
#![no_main]

use board::Board;
use cortex_m_rt::entry;
use panic_semihosting as _;
use static_cell::StaticCell;

#[entry]
fn main() -> ! {
    static NIC: StaticCell<board::lan9118::Lan9118<board::bus::Mmio>> = StaticCell::new();

    let core = cortex_m::Peripherals::take().expect("main runs once");
    let Board { name, nic, clock, sleep } = Board::mps2_an385(core);
    embassy::run(Board { name, nic: NIC.init(nic), clock, sleep })
}
