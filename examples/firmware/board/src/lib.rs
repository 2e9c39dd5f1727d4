//! What the firmware needs of a board, and nothing of what it does there:
//!
//! | module | what it is | on another board |
//! |---|---|---|
//! | [`nic`], [`stellaris`], [`lan9118`] | an Ethernet controller: frames in, frames out | write a [`Nic`](nic::Nic) of 100 lines |
//! | [`clock`] | microseconds, and an alarm, from the SysTick that every Cortex-M has | say how fast it runs, or take a timer that needn't wake the processor as often |
//! | `host` | a debugger's semihosting: lines to print, arguments to read | print to a serial port; take the arguments from flash |
//! | [`identity`] | number, addresses and seed of a board, from its MAC address | mix what the chip has of real randomness into the seed |
//! | `board` | the two boards, and how they sleep | a third one |
//!
//! Drivers reach registers through [`bus::Bus`], so that all but the access itself is tested on the host: `cargo test -p board`.

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
