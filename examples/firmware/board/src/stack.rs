//! How far down the stack has ever reached, from the paint that cortex-m-rt's feature `paint-stack` leaves in it at reset.

use core::ptr;

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// The most bytes of stack in use so far. What was reserved but never written is not seen.
#[must_use]
pub fn used() -> usize {
    let (mut word, top) = (&raw const _stack_end, &raw const _stack_start);
    // SAFETY: the words between the two are RAM. Those below the stack pointer are nobody's, and reading them changes nothing.
    while word < top && unsafe { ptr::read_volatile(word) } == STACK_PAINT_VALUE {
        word = word.wrapping_add(1);
    }
    top as usize - word as usize
}

/// The bytes that the stack may take before it grows into other data.
#[must_use]
pub fn room() -> usize {
    (&raw const _stack_start) as usize - (&raw const _stack_end) as usize
}
