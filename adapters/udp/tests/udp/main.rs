//! The driver and the server, on real sockets of the loopback interface.

mod driver;
mod fake;
mod server;
