//! Access to hardware registers. Drivers reach their hardware only through this.

/// A block of 32-bit registers. Offsets are in bytes.
pub trait Bus {
    /// Reads a register. Reading can change it.
    fn read(&mut self, offset: usize) -> u32;

    /// Writes a register.
    fn write(&mut self, offset: usize, value: u32);
}

/// A block of registers in the processor's address space.
#[derive(Debug)]
pub struct Mmio(usize);

impl Mmio {
    /// The block at address `base`.
    ///
    /// # Safety
    ///
    /// All offsets that the driver uses must be registers, and no other driver may use them.
    #[must_use]
    pub const unsafe fn new(base: usize) -> Self {
        Self(base)
    }
}

impl Bus for Mmio {
    fn read(&mut self, offset: usize) -> u32 {
        // SAFETY: the caller of `new` guarantees that this is a register.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    fn write(&mut self, offset: usize, value: u32) {
        // SAFETY: as above.
        unsafe { ((self.0 + offset) as *mut u32).write_volatile(value) }
    }
}
