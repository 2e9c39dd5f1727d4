//! The wire format: `SPEC.md` says what the code does, and every message has one encoding.

#[path = "wire/canonical.rs"]
mod canonical;
#[path = "fuzz/decode.rs"]
pub mod fuzz_decode;
#[path = "wire/spec.rs"]
mod spec;
