//! Any sequence of operations on a table, against a naive model.

#![no_main]

#[path = "../../core/tests/fuzz/routing.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
