//! The parts of a board that the firmware needs, without the application:
//!
//! | module | what it is | on another board |
//! |---|---|---|
//! | [`nic`], [`stellaris`], [`lan9118`] | Ethernet controllers, which receive and send frames | write a [`Nic`](nic::Nic) of 100 lines |
//! | [`clock`] | microseconds and an alarm, from the SysTick that every Cortex-M has | give its frequency, or use a timer that wakes the processor less often |
//! | `host` | printing and arguments through a debugger's semihosting | print to a serial port; read the arguments from flash |
//! | [`identity`] | a board's number, addresses, id and seed, from its MAC address | add the chip's entropy to the seed |
//! | `board` | the two boards, and how they sleep | add a constructor |
//!
//! Drivers reach registers through [`bus::Bus`]. So everything except the access itself is tested on the host:
//! `cargo test -p board`.

#![cfg_attr(not(test), no_std)]

#[cfg(target_os = "none")]
mod board;
pub mod bus;
pub mod clock;
#[cfg(target_os = "none")]
pub mod host;
pub mod identity;
pub mod lan9118;
pub mod nic;
#[cfg(target_os = "none")]
pub mod stack;
pub mod stellaris;

#[cfg(target_os = "none")]
pub use board::{Board, Sleep};
