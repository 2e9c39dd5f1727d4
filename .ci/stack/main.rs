//! Prints the RAM that nodes take on a Cortex-M3 and the stack that starting one in place takes, and fails where that is a KiB or more.
//!
//! For QEMU's board mps2-an385, whose loader fills the RAM: `.bss` comes zeroed and the stack painted, so no code runs before `reset`.

#![no_std]
#![no_main]

use core::arch::asm;
use core::fmt::{self, Write};
use core::hint::black_box;
use core::net::{SocketAddr, SocketAddrV4};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use kadlet::{Config, FixedStore, Id, Instant, Kademlia, Node};

type Mote = Node<Kademlia<SocketAddrV4, 128>, FixedStore<32, 8192>, 4>;
type Dual = Node<Kademlia<SocketAddr, 128>, FixedStore<32, 8192>, 4>;

static mut MOTE: Mote = Mote::empty();
static mut DUAL: Dual = Dual::empty();

const WORDS: usize = 4096;
const PAINT: u32 = 0xCDCD_CDCD;
const LIMIT: usize = 1024;

static STACK: Stack = Stack { words: [const { AtomicU32::new(PAINT) }; WORDS], top: () };

#[repr(C, align(8))]
struct Stack {
    words: [AtomicU32; WORDS],
    top: (),
}

/// What a Cortex-M reads at address 0: the stack's top, then whom to call on reset and on the faults.
#[repr(C)]
struct Vectors {
    stack: &'static (),
    reset: fn() -> !,
    faults: [fn() -> !; 5],
}

#[used]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vectors")]
static VECTORS: Vectors = Vectors { stack: &STACK.top, reset, faults: [fault; 5] };

fn reset() -> ! {
    start();
    report()
}

#[inline(never)]
fn start() {
    // SAFETY: nothing else touches them, and this runs once.
    let (mote, dual) = unsafe { (&mut *&raw mut MOTE, &mut *&raw mut DUAL) };
    // Seen by nobody, they would be left out.
    black_box(mote).start(Instant::ZERO, Config::DEFAULT, Id::from_bytes([7; 20]), [42; 32]);
    black_box(dual).start(Instant::ZERO, Config::DEFAULT, Id::from_bytes([7; 20]), [42; 32]);
}

#[inline(never)]
fn report() -> ! {
    let untouched = STACK.words.iter().take_while(|word| word.load(Ordering::Relaxed) == PAINT).count();
    let used = (WORDS - untouched) * size_of::<u32>();
    let _ = writeln!(Host, "node, 128 IPv4 contacts, 32 records in 8 KiB, 4 lookups: {} bytes", size_of::<Mote>());
    let _ = writeln!(Host, "the same, dual stack: {} bytes", size_of::<Dual>());
    let _ = writeln!(Host, "stack to start it in place: {used} bytes");
    exit(used < LIMIT)
}

fn fault() -> ! {
    let _ = writeln!(Host, "fault");
    exit(false)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Host, "{info}");
    exit(false)
}

/// Writes to QEMU's standard output.
struct Host;

impl Write for Host {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            semihosting(0x03, &raw const byte as usize);
        }
        Ok(())
    }
}

fn exit(success: bool) -> ! {
    semihosting(0x18, if success { 0x2_0026 } else { 0x2_0023 });
    loop {}
}

/// Calls the debugger, here QEMU (ARM's "Semihosting for AArch32 and AArch64", section 6).
fn semihosting(operation: usize, argument: usize) {
    // SAFETY: the operations used read at most the byte that `argument` points to.
    unsafe { asm!("bkpt 0xab", inout("r0") operation => _, in("r1") argument) }
}
