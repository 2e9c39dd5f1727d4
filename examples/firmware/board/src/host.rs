//! Printing and arguments through a debugger, by ARM's "Semihosting for AArch32 and AArch64". QEMU acts as the
//! debugger.
//!
//! Without a debugger, a call of these functions is a fault. A board in the field prints to a serial port, and has its
//! arguments in flash.

pub use cortex_m_semihosting::hprintln as line;

use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::syscall1;

/// The longest command line, in bytes.
pub const MAX_LINE: usize = 256;

/// Returns the command line that the firmware was started with; empty if there is none.
pub fn command_line(buf: &mut [u8; MAX_LINE]) -> &str {
    // In: the buffer's address and size. Out: the line's length in place of the size.
    let mut block = [buf.as_mut_ptr() as usize, MAX_LINE];
    // SAFETY: the host writes at most as many bytes to the buffer as the block says, and the length to the block.
    let failed = unsafe { syscall1!(GET_CMDLINE, block.as_mut_ptr()) } != 0;
    let len = if failed { 0 } else { block[1].min(MAX_LINE) };
    core::str::from_utf8(&buf[..len]).unwrap_or("").trim_end_matches('\0')
}

/// Ends the emulator.
pub fn exit(success: bool) -> ! {
    debug::exit(if success { EXIT_SUCCESS } else { EXIT_FAILURE });
    loop {}
}
