//! The wire format: the code does what `SPEC.md` says, and every message has exactly one encoding.

#[path = "wire/canonical.rs"]
mod canonical;
#[path = "fuzz/decode.rs"]
pub mod fuzz_decode;
#[cfg(feature = "sealed")]
#[path = "wire/sealed.rs"]
mod sealed;
#[path = "wire/spec.rs"]
mod spec;
