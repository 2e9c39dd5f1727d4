//! Runs any sequence of datagrams, responses, clock steps and commands on one node: its bounds and promises hold.

#![no_main]

#[path = "../../core/tests/fuzz/node.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
