//! Requests in flight. (Stub.)
