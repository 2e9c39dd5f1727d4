//! The application without a node: the flash of the application itself and of the runtime.

#![no_std]
#![no_main]

use core::hint::black_box;

use figures as _;

#[cfg_attr(target_arch = "arm", cortex_m_rt::entry)]
#[cfg_attr(target_arch = "riscv32", unsafe(export_name = "_start"))]
fn main() -> ! {
    let mut input = figures::input();
    loop {
        black_box(input.next());
    }
}
