//! The driver and the server, on real sockets of the loopback interface.

mod driver;
mod fake;
mod server;
mod tasks;

/// Whether this machine has IPv6. On a machine without, the tests of IPv6 are skipped.
fn has_ipv6() -> bool {
    let has = std::net::UdpSocket::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("no IPv6 on this machine: skipped");
    }
    has
}
