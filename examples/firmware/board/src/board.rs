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

/// A board with its parts.
#[derive(Debug)]
pub struct Board<N> {
    /// As QEMU calls it.
    pub name: &'static str,
    /// Its Ethernet controller.
    pub nic: N,
    /// Its clock.
    pub clock: Clock<Mmio>,
    /// How it sleeps.
    pub sleep: Sleep,
}

impl Board<Stellaris<Mmio>> {
    /// TI's evaluation board of the LM3S6965: a Cortex-M3 at 12.5 MHz out of reset, 256 KiB of flash and 64 KiB of RAM.
    #[must_use]
    pub fn lm3s6965evb(core: Peripherals) -> Self {
        // SAFETY: the controller and the system control are there, and there is one `Peripherals` alone.
        let (controller, mut system) = unsafe { (Mmio::new(0x4004_8000), Mmio::new(0x400F_E000)) };
        // RCGC2: clocks for the controller and its PHY. QEMU has them on.
        let clocks = system.read(0x108);
        system.write(0x108, clocks | 1 << 28 | 1 << 30);
        Self::new("lm3s6965evb", core, Stellaris::new(controller), Line(42), 12_500_000)
    }
}

impl Board<Lan9118<Mmio>> {
    /// ARM's MPS2 with its application note 385: a Cortex-M3 at 25 MHz.
    #[must_use]
    pub fn mps2_an385(core: Peripherals) -> Self {
        // SAFETY: the controller is there, and there is one `Peripherals` alone.
        let controller = unsafe { Mmio::new(0x4020_0000) };
        Self::new("mps2-an385", core, Lan9118::new(controller), Line(13), 25_000_000)
    }
}

impl<N> Board<N> {
    /// From here on interrupts end a sleep and nothing else: they are never served, all work is the main loop's.
    fn new(name: &'static str, core: Peripherals, nic: N, line: Line, hz: u32) -> Self {
        cortex_m::interrupt::disable();
        // SAFETY: it is masked, so no handler of it ever runs.
        unsafe { NVIC::unmask(line) };
        // SAFETY: the timer is there, and its owner is given up here.
        let timer = unsafe { Mmio::new(SYSTICK) };
        drop(core);
        Self { name, nic, clock: Clock::new(timer, hz), sleep: Sleep { line, wakes: 0, for_the_clock: 0 } }
    }
}

/// Sleeps with WFI, which a masked interrupt ends too: one that comes just before isn't missed. (QEMU doesn't sleep on WFE.)
#[derive(Debug)]
pub struct Sleep {
    line: Line,
    wakes: u32,
    for_the_clock: u32,
}

impl Sleep {
    /// Sleeps until a frame waits or the time has come, in microseconds of the clock; without a time, for a frame alone.
    pub fn until<B: Bus>(&mut self, due: Option<u64>, nic: &mut (impl Nic + ?Sized), clock: &mut Clock<B>) {
        loop {
            SCB::clear_pendst();
            // After `arm`, as the controller holds its line until then; a frame that comes now makes it pending again.
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

    /// How often the processor was woken, and how often of these only because the timer can't count further.
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
