//! The application without a node: the flash of the application itself and of the runtime.

#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use figures as _;

#[entry]
fn main() -> ! {
    let mut input = figures::input();
    loop {
        black_box(input.next());
    }
}
