//! The two boards, and how they sleep.

use cortex_m::Peripherals;
use cortex_m::asm::wfi;
use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::{NVIC, SCB};

use crate::bus::{Bus, Mmio};
use crate::clock::Clock;
use crate::lan9118::Lan9118;
use crate::nic::Nic;
use crate::stellaris::Stellaris;

const SYSTICK: usize = 0xE000_E010;

/// A board and its parts.
#[derive(Debug)]
pub struct Board<N> {
    /// QEMU's name of the board.
    pub name: &'static str,
    /// Its Ethernet controller.
    pub nic: N,
    /// Its clock.
    pub clock: Clock<Mmio>,
    /// Makes it sleep.
    pub sleep: Sleep,
}

impl Board<Stellaris<Mmio>> {
    /// Starts TI's evaluation board for the LM3S6965: a Cortex-M3 at 12.5 MHz after reset, 256 KiB of flash and 64 KiB
    /// of RAM.
    #[must_use]
    pub fn lm3s6965evb(core: Peripherals) -> Self {
        // SAFETY: both register blocks exist on this board. Only one `Peripherals` exists, so they have no other user.
        let (controller, mut system) = unsafe { (Mmio::new(0x4004_8000), Mmio::new(0x400F_E000)) };
        // RCGC2: switches on the clocks of the controller and its PHY. In QEMU they are always on.
        let clocks = system.read(0x108);
        system.write(0x108, clocks | 1 << 28 | 1 << 30);
        Self::new("lm3s6965evb", core, Stellaris::new(controller), Line(42), 12_500_000)
    }
}

impl Board<Lan9118<Mmio>> {
    /// Starts ARM's MPS2 board with the image of application note 385: a Cortex-M3 at 25 MHz.
    #[must_use]
    pub fn mps2_an385(core: Peripherals) -> Self {
        // SAFETY: the register block exists on this board. Only one `Peripherals` exists, so it has no other user.
        let controller = unsafe { Mmio::new(0x4020_0000) };
        Self::new("mps2-an385", core, Lan9118::new(controller), Line(13), 25_000_000)
    }
}

impl<N> Board<N> {
    /// Masks all interrupts. From here on, an interrupt only ends a sleep: no handler runs, and the main loop does all
    /// work.
    fn new(name: &'static str, core: Peripherals, nic: N, line: Line, hz: u32) -> Self {
        cortex_m::interrupt::disable();
        // SAFETY: interrupts are disabled, so no handler runs.
        unsafe { NVIC::unmask(line) };
        // SAFETY: every Cortex-M3 has this timer, and `core`, its owner, is dropped here.
        let timer = unsafe { Mmio::new(SYSTICK) };
        drop(core);
        Self { name, nic, clock: Clock::new(timer, hz), sleep: Sleep { line, wakes: 0, for_the_clock: 0 } }
    }
}

/// Sleeps with WFI. A masked interrupt ends WFI too, even if it became pending just before. (QEMU doesn't sleep on
/// WFE.)
#[derive(Debug)]
pub struct Sleep {
    line: Line,
    wakes: u32,
    for_the_clock: u32,
}

impl Sleep {
    /// Sleeps until a frame waits, or until `due` in the clock's microseconds. With `None`, only a frame ends the
    /// sleep.
    pub fn until<B: Bus>(&mut self, due: Option<u64>, nic: &mut (impl Nic + ?Sized), clock: &mut Clock<B>) {
        loop {
            SCB::clear_pendst();
            // Only `arm` makes the controller release its interrupt line, so the pending state is cleared after it. A
            // frame that arrives from now on makes the interrupt pending again, or the second `arm` sees it.
            let waits = nic.arm();
            NVIC::unpend(self.line);
            if waits || nic.arm() || !clock.alarm(due) {
                return;
            }
            wfi();
            self.wakes += 1;
            if !NVIC::is_pending(self.line) && due.is_none_or(|due| clock.now() < due) {
                self.for_the_clock += 1;
            }
        }
    }

    /// How often the processor was woken, and how many of these wake-ups came only from the timer's limited range.
    #[must_use]
    pub const fn wakes(&self) -> (u32, u32) {
        (self.wakes, self.for_the_clock)
    }
}

/// An interrupt's number.
#[derive(Clone, Copy, Debug)]
struct Line(u16);

// SAFETY: always the same number.
unsafe impl InterruptNumber for Line {
    fn number(self) -> u16 {
        self.0
    }
}
