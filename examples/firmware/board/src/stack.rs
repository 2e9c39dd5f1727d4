//! Measures the stack: cortex-m-rt's feature `paint-stack` fills it with a pattern at reset, and what was used has lost
//! the pattern.

use core::ptr;

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// The most bytes of stack that were ever in use. Bytes that were reserved but never written don't count.
#[must_use]
pub fn used() -> usize {
    let (mut word, top) = (&raw const _stack_end, &raw const _stack_start);
    // SAFETY: the words between the two are RAM. Those below the stack pointer have no owner, and a read doesn't change
    // them.
    while word < top && unsafe { ptr::read_volatile(word) } == STACK_PAINT_VALUE {
        word = word.wrapping_add(1);
    }
    top as usize - word as usize
}

/// The size of the stack in bytes: more would overwrite other data.
#[must_use]
pub fn room() -> usize {
    (&raw const _stack_start) as usize - (&raw const _stack_end) as usize
}
