//! The application with a node that accepts no signed records.

#![no_std]
#![no_main]

use figures::Mote;

#[cfg(target_arch = "arm")]
#[cortex_m_rt::entry]
fn main() -> ! {
    static mut NODE: Mote = Mote::empty();
    figures::drive(NODE, figures::CONFIG)
}

#[cfg(target_arch = "riscv32")]
#[unsafe(export_name = "_start")]
fn main() -> ! {
    static mut NODE: Mote = Mote::empty();
    // SAFETY: this function is the image's first, is called once, and doesn't return.
    figures::drive(unsafe { &mut *&raw mut NODE }, figures::CONFIG)
}
