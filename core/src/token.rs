//! Write tokens. (Stub.)
