//! Runs four nodes in a hostile network of simulated links, and compares what they read with a model.

#![no_main]

#[path = "../../adapters/sim/tests/fuzz/swarm.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
