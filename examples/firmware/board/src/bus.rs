//! Registers: the one way from a driver to its hardware.

/// A block of 32-bit registers, each at an offset in bytes.
pub trait Bus {
    /// Reads a register, which may change it.
    fn read(&mut self, offset: usize) -> u32;

    /// Writes a register.
    fn write(&mut self, offset: usize, value: u32);
}

/// A block of registers in the processor's address space.
#[derive(Debug)]
pub struct Mmio(usize);

impl Mmio {
    /// The block at `base`.
    ///
    /// # Safety
    ///
    /// There are registers at `base` wherever the driver goes, and no other driver uses them.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Self {
        Self(base)
    }
}

impl Bus for Mmio {
    fn read(&mut self, offset: usize) -> u32 {
        // SAFETY: `new`'s caller vouches for the registers.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    fn write(&mut self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }
}
