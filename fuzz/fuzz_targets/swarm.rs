//! Four nodes in a hostile network, against a model of what may be read back.

#![no_main]

#[path = "../../core/tests/fuzz/swarm.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
