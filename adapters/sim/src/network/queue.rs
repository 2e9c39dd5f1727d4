//! The queue of events to come: the earliest first, and of two at the same time the one that was scheduled first.

use core::cmp::Ordering;
use std::collections::BinaryHeap;

use kadlet::Instant;

use crate::address::HostAddress;

/// An event to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheduled {
    /// The datagram in this slot of the pool arrives.
    Arrival(u32),
    /// The node at this host is called: a timeout of it is due.
    Wake(u32),
    /// The node at this host learns that its datagram did not reach this address.
    Unreachable(u32, HostAddress),
    /// The application at this host is called.
    Application(u32),
    /// The adversary at this host is called.
    Adversary(u32),
    /// The node at this host begins to join again, if it is still in this incarnation.
    Join(u32, u32),
}

/// Events in the order in which they happen.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    heap: BinaryHeap<QueueEntry>,
    sequence: u64,
}

#[derive(Debug, PartialEq, Eq)]
struct QueueEntry {
    at: Instant,
    sequence: u64,
    event: Scheduled,
}

impl EventQueue {
    pub(super) fn push(&mut self, at: Instant, event: Scheduled) {
        self.sequence += 1;
        self.heap.push(QueueEntry { at, sequence: self.sequence, event });
    }

    /// Takes the next event out, if it is due by `end`.
    pub(super) fn pop(&mut self, end: Instant) -> Option<(Instant, Scheduled)> {
        self.heap.peek().filter(|entry| entry.at <= end)?;
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }

    /// The pool's slots of the datagrams in flight, in the order of arrival. Walks the whole queue.
    pub(super) fn arrivals(&self) -> Vec<u32> {
        let arrival = |entry: &QueueEntry| match entry.event {
            Scheduled::Arrival(slot) => Some((entry.at, entry.sequence, slot)),
            _ => None,
        };
        let mut arrivals: Vec<_> = self.heap.iter().filter_map(arrival).collect();
        arrivals.sort_unstable();
        arrivals.into_iter().map(|(.., slot)| slot).collect()
    }

    /// Removes an event. Walks the whole queue.
    pub(super) fn cancel(&mut self, event: Scheduled) {
        self.heap.retain(|entry| entry.event != event);
    }
}

impl Ord for QueueEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl PartialOrd for QueueEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_scheduling() {
        let mut queue = EventQueue::default();
        for (at, node) in [(5, 1), (3, 2), (5, 3), (3, 4)] {
            queue.push(Instant::from_secs(at), Scheduled::Wake(node));
        }
        let mut next = |end| queue.pop(Instant::from_secs(end)).map(|(_, event)| event);
        assert_eq!(next(2), None);
        let order = [next(9), next(9), next(9), next(9), next(9)];
        let woken = |host| Some(Scheduled::Wake(host));
        assert_eq!(order, [woken(2), woken(4), woken(1), woken(3), None]);
    }
}
