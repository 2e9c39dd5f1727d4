//! Networks in which identifiers are bound to addresses.
#![allow(unreachable_pub, reason = "the network is shared by test binaries")]

#[path = "identity/crowds.rs"]
mod crowds;
#[path = "identity/host.rs"]
mod host;
mod net;
#[path = "identity/reachability.rs"]
mod reachability;
#[path = "identity/renumbering.rs"]
mod renumbering;
