//! Runs the committed inputs of the fuzz target `swarm`, findings included, through the same body on stable.

use std::path::{Path, PathBuf};

#[path = "fuzz/swarm.rs"]
pub mod swarm;

#[test]
fn the_corpus_of_swarm_finds_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/swarm");
    let mut inputs: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("it is there").map(|entry| entry.expect("it is a file").path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    for input in inputs {
        let data = std::fs::read(&input).expect("it can be read");
        let _named = Named(&input);
        swarm::run(&data);
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
