//! The wire format: the code does what `SPEC.md` says, and every message has exactly one encoding.

#[path = "wire/canonical.rs"]
mod canonical;
#[path = "fuzz/decode.rs"]
pub mod fuzz_decode;
#[path = "wire/spec.rs"]
mod spec;
