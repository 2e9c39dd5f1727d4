//! Four nodes in a hostile network of simulated links, against a model of what may be read back.

#![no_main]

#[path = "../../adapters/sim/tests/fuzz/swarm.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
