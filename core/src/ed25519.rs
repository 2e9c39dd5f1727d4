//! Ed25519. (Stub.)
