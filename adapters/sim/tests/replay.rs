//! Runs the committed inputs of the fuzz target `swarm`, findings included, on a stable compiler.

use std::path::{Path, PathBuf};

#[path = "fuzz/swarm.rs"]
pub mod swarm;

#[test]
fn the_corpus_of_swarm_finds_no_fault() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/swarm");
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the corpus exists")
        .map(|entry| entry.expect("the entry is a file").path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    for input in inputs {
        let data = std::fs::read(&input).expect("the file can be read");
        let _name = NameOnPanic(&input);
        swarm::run(&data);
    }
}

/// Prints the name of the input if its run panics.
struct NameOnPanic<'a>(&'a Path);

impl Drop for NameOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {}", self.0.display());
        }
    }
}
