//! A second wire format, written outside of the crate through its public traits alone: readable text. Its parameter
//! says in which rules it differs from kadlet's own format, so that each rule is tested with both values. The format
//! and its tests are in `text/`:
//!
//! - `format`, `parts`, `lines`: the format, from messages down to bytes
//! - `round_trip`: an encoded message decodes to the same message
//! - `rules`, `responses`: what each rule changes, at a node whose peers are played by hand (`peer`)
//! - `network`: whole networks that speak text
//! - `network_types`: which types can be networks
#![allow(unreachable_pub, reason = "the network is shared by test binaries")]

/// Makes tests of generic functions: one in each format.
macro_rules! in_each_format {
    ($($test:ident),* $(,)?) => {
        mod as_kadlet { $(#[test] fn $test() { super::$test::<crate::format::Text<0>>(); })* }
        mod tokens_by_find_value {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::TOKENS_BY_FIND_VALUE }>>(); })*
        }
        mod tokens_of_hosts {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::TOKENS_OF_HOSTS }>>(); })*
        }
        mod contacts_prove {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::CONTACTS_PROVE }>>(); })*
        }
        mod unpadded {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::UNPADDED }>>(); })*
        }
        mod no_held {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::NO_HELD }>>(); })*
        }
        mod no_lifetimes {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::NO_LIFETIMES }>>(); })*
        }
        mod no_relays {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::NO_RELAYS }>>(); })*
        }
        mod no_network {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::NO_NETWORK }>>(); })*
        }
        mod no_kinds {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::NO_KINDS }>>(); })*
        }
        mod nameless_errors {
            $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::NAMELESS_ERRORS }>>(); })*
        }
        mod all { $(#[test] fn $test() { super::$test::<crate::format::Text<{ crate::format::ALL }>>(); })* }
        mod opaque { $(#[test] fn $test() { super::$test::<crate::format::Opaque<{ crate::format::ALL }>>(); })* }
    };
}

#[path = "text/format.rs"]
mod format;
#[path = "text/lines.rs"]
mod lines;
mod net;
#[path = "text/network.rs"]
mod network;
#[path = "text/network_types.rs"]
mod network_types;
#[path = "text/parts.rs"]
mod parts;
#[path = "text/peer.rs"]
mod peer;
#[path = "text/responses.rs"]
mod responses;
#[path = "text/round_trip.rs"]
mod round_trip;
#[path = "text/rules.rs"]
mod rules;
#[path = "mesh/table.rs"]
mod table;
