//! What is to happen, by when: first the earlier, and of two at the same time the one that was said first.

use core::cmp::Ordering;
use std::collections::BinaryHeap;

use kadlet::Instant;

/// Something that is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The datagram at this place of the arena arrives.
    Arrival(u32),
    /// This node asked to be called.
    Wake(u32),
    /// The first is told that its datagram did not reach the second.
    Unreachable(u32, u32),
    /// The application at this node asked to be called.
    Call(u32),
    /// This node, if it is still in this incarnation, begins to join again.
    Join(u32, u32),
}

/// A queue of events.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    said: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    at: Instant,
    said: u64,
    what: What,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Instant, what: What) {
        self.said += 1;
        self.heap.push(Entry { at, said: self.said, what });
    }

    /// The next, if it is due by `end`.
    pub(crate) fn pop(&mut self, end: Instant) -> Option<(Instant, What)> {
        self.heap.peek().filter(|entry| entry.at <= end)?;
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }

    /// The datagrams on their way, by when they arrive. Looks at the whole queue.
    pub(crate) fn arrivals(&self) -> Vec<u32> {
        let of = |entry: &Entry| match entry.what {
            What::Arrival(place) => Some((entry.at, entry.said, place)),
            _ => None,
        };
        let mut arrivals: Vec<_> = self.heap.iter().filter_map(of).collect();
        arrivals.sort_unstable();
        arrivals.into_iter().map(|(.., place)| place).collect()
    }

    /// What was to happen does not.
    pub(crate) fn cancel(&mut self, what: What) {
        self.heap.retain(|entry| entry.what != what);
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.said).cmp(&(self.at, self.said))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_comes_first_and_then_what_was_said_first() {
        let mut queue = Queue::default();
        for (at, node) in [(5, 1), (3, 2), (5, 3), (3, 4)] {
            queue.push(Instant::from_secs(at), What::Wake(node));
        }
        let mut next = |end| queue.pop(Instant::from_secs(end)).map(|(_, what)| what);
        assert_eq!(next(2), None);
        let order = [next(9), next(9), next(9), next(9), next(9)];
        assert_eq!(order, [Some(What::Wake(2)), Some(What::Wake(4)), Some(What::Wake(1)), Some(What::Wake(3)), None]);
    }
}
