//! kadlet's command-line tool.
fn main() {}
