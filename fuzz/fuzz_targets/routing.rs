//! Runs any sequence of operations on a table, and compares it with a naive model.

#![no_main]

#[path = "../../core/tests/fuzz/routing.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
