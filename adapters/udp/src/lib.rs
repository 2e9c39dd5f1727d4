//! std UDP sockets for kadlet.
