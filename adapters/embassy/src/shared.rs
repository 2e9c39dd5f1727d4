//! What the runner and the handles share: the node, and who waits for what.

use embassy_sync::waitqueue::WakerRegistration;
use kadlet::{Event, Machine, Query};

use crate::{Losses, News};

#[derive(Debug)]
pub(crate) struct Shared<M: Machine, C: ?Sized = [Call]> {
    pub(crate) node: M,
    pub(crate) losses: Losses,
    pub(crate) runner: WakerRegistration,
    pub(crate) listener: WakerRegistration,
    // At most one. In an `Option` it would not be zeros.
    pub(crate) news: heapless::Vec<News<M::Address>, 1>,
    pub(crate) calls: C,
}

/// A call's place: the operation it waits for, and whom to wake when that ends.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) query: Option<Query>,
    pub(crate) waker: WakerRegistration,
}

impl Call {
    pub(crate) const FREE: Self = Self { query: None, waker: WakerRegistration::new() };
}

impl<M: Machine> Shared<M> {
    /// Wakes those whose operation has ended, and who listens if there is news.
    pub(crate) fn tell(&mut self) {
        let mut ended = false;
        for call in &mut self.calls {
            if call.query.is_some_and(|query| self.node.progress(query).is_none()) {
                ended = true;
                call.waker.wake();
            }
        }
        // Of an operation that ended, `poll_event` would take the result away from its call.
        if ended || self.news.is_full() {
            return;
        }
        let news = match self.node.poll_event() {
            Some(Event::OwnIdSeen { address }) => News::OwnIdSeen { address },
            Some(Event::Superseded { key }) => News::Superseded { key },
            Some(Event::Done(_) | Event::PassedOn { .. }) | None => return,
        };
        let _ = self.news.push(news);
        self.listener.wake();
    }
}

/// The node's time: since the chip's start.
pub(crate) fn now() -> kadlet::Instant {
    kadlet::Instant::from_micros(embassy_time::Instant::now().as_micros())
}
