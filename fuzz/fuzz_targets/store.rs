//! Runs any sequence of operations on both stores, and compares them with a naive model.

#![no_main]

#[path = "../../core/tests/fuzz/store.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
