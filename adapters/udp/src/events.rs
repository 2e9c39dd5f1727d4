//! The events of a server's node, for a thread or a task that reads them.

use core::fmt;
use core::time::Duration;
use std::time::Instant;

use kadlet::{Address, Event};

use crate::mailbox::{Receiver, mailbox, wait};
use crate::queue::{LONGEST, News};

/// The events of a server's node: changes of its external address, another node that uses its identifier, records that
/// a newer one superseded. It has none of the results of queries, and none about forwarded requests.
///
/// [`Handle::events`](crate::Handle::events) makes it. It has room for a number of events that are not read yet. If
/// there are more, the oldest are lost, and [`missed`](Events::missed) counts them.
///
/// ```
/// use core::net::SocketAddr;
/// use core::time::Duration;
///
/// use kadlet::Event;
/// use kadlet_udp::Events;
///
/// /// Prints events until the server ends.
/// async fn print(mut events: Events<SocketAddr>) {
///     while let Some(event) = events.next().await {
///         match event {
///             Event::ExternalAddress { address, .. } => println!("others reach this node at {address}"),
///             other => println!("{other}"),
///         }
///     }
/// }
/// ```
pub struct Events<A: 'static> {
    receiver: Receiver<Event<'static, A>>,
}

impl<A: Address> Events<A> {
    /// Begins to collect events. The first is the external address, if it is known.
    pub(crate) fn of(news: &mut News<A>, room: usize) -> Self {
        let (sender, receiver) = mailbox(room);
        if let Some((address, id)) = news.external {
            sender.send(Event::ExternalAddress { address, id });
        }
        news.readers.retain(|reader| !reader.is_abandoned());
        news.readers.push(sender);
        Self { receiver }
    }

    /// Waits for the next event. `None`: the server has ended.
    pub async fn next(&mut self) -> Option<Event<'static, A>> {
        self.receiver.receive().await
    }

    /// Waits for the next event on this thread, at most for `limit`. `None`: there was none, or the server has ended.
    pub fn next_within(&mut self, limit: Duration) -> Option<Event<'static, A>> {
        wait(self.receiver.receive(), Some(Instant::now() + limit.min(LONGEST))).flatten()
    }

    /// How many events were lost because they were not read in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.receiver.missed()
    }
}

impl<A: Address> News<A> {
    /// Passes an event on to all readers.
    pub(crate) fn tell(&mut self, event: &Event<'_, A>) {
        let event = match *event {
            Event::ExternalAddress { address, id } => {
                self.external = Some((address, id));
                Event::ExternalAddress { address, id }
            }
            Event::OwnIdSeen { address } => Event::OwnIdSeen { address },
            Event::Superseded { key } => Event::Superseded { key },
            _ => return,
        };
        self.readers.retain(|reader| !reader.is_abandoned());
        self.readers.iter().for_each(|reader| reader.send(event));
    }
}

impl<A: 'static> fmt::Debug for Events<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
