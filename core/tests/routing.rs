//! The tables of all three geometries under random calls: the body of the fuzz target `routing`, on stable Rust.

#[path = "fuzz/routing.rs"]
pub mod fuzz;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_sequence_of_calls_breaks_the_table(data in proptest::collection::vec(any::<u8>(), 0..1_500)) {
        fuzz::run(&data);
    }
}
