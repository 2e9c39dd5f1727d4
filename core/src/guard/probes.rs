//! How often a node helps others to find out whether they can be reached.
//!
//! This does not defend a third party against many nodes that each ping it once a minute.

use heapless::Vec;

use crate::address::Prefix;
use crate::time::Instant;

/// How many probes a node forwards in a minute.
const MOST: usize = 8;

/// The address prefixes for which a probe was forwarded in this minute.
#[derive(Debug)]
pub struct Probes {
    minute: u32,
    prefixes: Vec<Prefix, MOST, u8>,
}

impl Probes {
    /// None.
    pub const NONE: Self = Self { minute: 0, prefixes: Vec::new() };

    /// Whether a probe for this address prefix can be forwarded now: one a minute, and 8 for all. If so, it is counted.
    pub fn allows(&mut self, now: Instant, prefix: Prefix) -> bool {
        let minute = now.stamp() / 60;
        if self.minute != minute {
            self.minute = minute;
            self.prefixes.clear();
        }
        !self.prefixes.contains(&prefix) && self.prefixes.push(prefix).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prefix_has_one_probe_a_minute_and_all_have_eight() {
        let (mut probes, prefix) = (Probes::NONE, |n: u64| Prefix::new(n).unwrap());
        for minute in 0..3_u64 {
            let at = |second: u64| Instant::from_secs(60 * minute + second);
            assert!(probes.allows(at(0), prefix(1)) && !probes.allows(at(59), prefix(1)));
            assert_eq!((2..20).filter(|n| probes.allows(at(59), prefix(*n))).count(), 7);
        }
    }
}
