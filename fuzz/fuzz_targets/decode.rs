//! Decodes any bytes: decoding never panics, and a message that decodes encodes to the same bytes.

#![no_main]

#[path = "../../core/tests/fuzz/decode.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
