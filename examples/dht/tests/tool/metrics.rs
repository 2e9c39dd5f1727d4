//! The page for Prometheus.

use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::run::{Node, kadlet, until};

/// A node with metrics, and their address.
fn node() -> (Node, String) {
    let node = Node::start("--json --metrics 127.0.0.1:0 --network 7");
    let address = node.start["metrics"].as_str().unwrap().to_owned();
    (node, address)
}

/// Sends a request, and returns the whole response.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.write_all(request.as_bytes());
    let mut response = String::new();
    let _ = stream.read_to_string(&mut response);
    response
}

fn page(address: &str) -> String {
    ask(address, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
}

/// The value of a metric without labels.
fn value(page: &str, name: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
}

#[test]
fn the_metrics_are_the_counters_and_sizes_of_the_node() {
    let (node, address) = node();
    let before = page(&address);
    assert!(before.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{before}");
    let put = kadlet(&format!("put key value --network 7 --bootstrap {}", node.address));
    assert_eq!(put.code, 0, "{put:?}");
    let page = page(&address);
    assert!(page.contains(&format!("id=\"{}\"", node.id)) && page.contains("network=\"7\""), "{page}");
    assert_eq!((value(&before, "kadlet_records"), value(&page, "kadlet_records")), (0, 1));
    assert!(value(&page, "kadlet_received_total") > value(&before, "kadlet_received_total"));
    assert_eq!(value(&page, "kadlet_records_stored_total"), 1);
    for name in ["kadlet_contacts", "kadlet_operations", "kadlet_published_records", "kadlet_lost_unsent_total"] {
        assert_eq!(value(&page, name), 0, "{name}");
    }
    // All that the node prints at its end is there, under the same names.
    let (_, lines) = node.interrupt("TERM");
    let counters: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    for name in counters.as_object().unwrap().keys() {
        assert!(page.contains(&format!("# HELP kadlet_{name}")), "{name} in {page}");
    }
    let lines = page.split("\r\n\r\n").nth(1).unwrap().lines();
    assert!(lines.clone().count() > 60);
    assert!(
        lines
            .clone()
            .all(|line| line.starts_with("# HELP") || line.starts_with("# TYPE") || line.starts_with("kadlet_"))
    );
}

#[test]
fn the_page_withstands_what_is_no_request_and_who_never_finishes_one() {
    let (node, address) = node();
    assert!(ask(&address, "GET /secret HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
    assert!(ask(&address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(ask(&address, "\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(!ask(&address, "HEAD / HTTP/1.1\r\n\r\n").contains("HELP"));
    assert_eq!(ask(&address, &"x".repeat(100_000)), "");
    let silent: Vec<_> = (0..12).map(|_| TcpStream::connect(&address).unwrap()).collect();
    assert_eq!(kadlet(&format!("ping {} --network 7", node.address)).code, 0);
    until("the page is there again", Duration::from_secs(20), || page(&address).contains("200 OK"));
    drop(silent);
    let used = kadlet(&format!("node --listen 127.0.0.1:0 --metrics {address}"));
    assert!(used.code == 2 && used.err.contains(&address), "{used:?}");
}
