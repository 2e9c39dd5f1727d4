//! Replays the committed corpora of the fuzz targets, findings included, through the targets' bodies on stable Rust.

use std::path::{Path, PathBuf};

#[path = "fuzz/decode.rs"]
pub mod decode;
#[path = "fuzz/node.rs"]
pub mod node;
#[path = "fuzz/routing.rs"]
pub mod routing;
#[cfg(feature = "sealed")]
#[path = "fuzz/sealed.rs"]
pub mod sealed;
#[cfg(feature = "alloc")]
#[path = "fuzz/store.rs"]
pub mod store;

#[test]
fn the_corpus_of_decode_finds_nothing() {
    replay("decode", decode::run);
}

#[test]
fn the_corpus_of_node_finds_nothing() {
    replay("node", node::run);
}

#[test]
fn the_corpus_of_routing_finds_nothing() {
    replay("routing", routing::run);
}

#[cfg(feature = "sealed")]
#[test]
fn the_corpus_of_sealed_finds_nothing() {
    replay("sealed", sealed::run);
}

#[cfg(feature = "alloc")]
#[test]
fn the_corpus_of_store_finds_nothing() {
    replay("store", store::run);
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    for input in inputs {
        let data = std::fs::read(&input).unwrap();
        let _named = Named(&input);
        run(&data);
    }
}

/// Names the input when its run panics.
struct Named<'a>(&'a Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {}", self.0.display());
        }
    }
}
