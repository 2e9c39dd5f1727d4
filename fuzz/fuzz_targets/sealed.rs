//! Gives a node of a sealed network datagrams that were sealed, changed, cut or never sealed.

#![no_main]

#[path = "../../core/tests/fuzz/sealed.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
