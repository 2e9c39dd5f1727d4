//! How a host finds its network, on a thread of its own: names are looked up in the background, what resolves is used,
//! and while nobody is known names are looked up again, as they may stand for other addresses now.

use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::task::Wake;
use std::thread;
use std::time::Instant;

use kadlet::Dht;
use kadlet::routing::{ContactState, Routing};

use crate::bootstraps::{Bootstraps, Resolved, Resolver};
use crate::handle::Handle;
use crate::mailbox::Sender;
use crate::outcome::{Error, Joined};

/// The first pause before names are looked up again, and the longest of those that each take twice as long.
const PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15 * 60));
/// How long one attempt to join goes on.
const ATTEMPT: Duration = Duration::from_secs(30);

/// What the thread waits for.
pub(crate) enum Step {
    /// A name is resolved, or can't be.
    Resolved(usize, Resolved),
    /// A node responded.
    Responded,
    /// The attempt to join may have ended.
    Poll,
    /// A caller waits, until a time, for the node to join.
    Join(Instant, Sender<Result<(), NoNetwork>>),
    Stop,
}

/// Why a node has not joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoNetwork {
    /// No bootstrap address was given.
    NoAddresses,
    /// No node responded, and what else went wrong.
    NoResponse(String),
    /// The node has ended.
    Ended(Error<SocketAddr>),
}

/// Starts the thread. It ends with the node, or with [`Step::Stop`].
pub(crate) fn start<D: Dht<Address = SocketAddr> + 'static>(
    handle: Handle<D>,
    bootstraps: Bootstraps,
    resolver: Resolver,
) -> io::Result<mpsc::Sender<Step>> {
    let (sender, steps) = mpsc::channel();
    let joining = Joining {
        handle,
        bootstraps,
        resolver,
        sender: sender.clone(),
        tried: Vec::new(),
        attempt: None,
        failure: None,
        callers: Vec::new(),
        pause: PAUSE.0,
        next: Instant::now() + PAUSE.0,
    };
    thread::Builder::new().name("kadlet-joining".into()).spawn(move || joining.run(&steps))?;
    Ok(sender)
}

type Attempt = Pin<Box<dyn Future<Output = Result<Joined<SocketAddr>, Error<SocketAddr>>> + Send>>;

struct Joining<D: Dht<Address = SocketAddr>> {
    handle: Handle<D>,
    bootstraps: Bootstraps,
    resolver: Resolver,
    /// For what the lookups and the attempts report.
    sender: mpsc::Sender<Step>,
    /// The addresses of the last attempt to join, which the node goes on trying.
    tried: Vec<SocketAddr>,
    attempt: Option<Attempt>,
    /// Why the last attempt failed.
    failure: Option<Error<SocketAddr>>,
    callers: Vec<(Instant, Sender<Result<(), NoNetwork>>)>,
    pause: Duration,
    /// When to look the names up again if nobody is known.
    next: Instant,
}

impl<D: Dht<Address = SocketAddr> + 'static> Joining<D> {
    fn run(mut self, steps: &Receiver<Step>) {
        self.look_up();
        let mut goes_on = self.tick();
        while goes_on.is_ok() {
            let until = self.callers.iter().map(|(until, _)| *until).fold(self.next, Instant::min);
            let step = steps.recv_timeout(until.saturating_duration_since(Instant::now()));
            let taken = match step {
                Ok(Step::Stop) | Err(RecvTimeoutError::Disconnected) => Err(Error::Stopped),
                Ok(step) => self.take(step),
                Err(RecvTimeoutError::Timeout) => Ok(()),
            };
            goes_on = taken.and_then(|()| self.tick());
        }
        self.tell(|_| true, &goes_on.map_err(NoNetwork::Ended));
    }

    fn take(&mut self, step: Step) -> Result<(), Error<SocketAddr>> {
        match step {
            Step::Resolved(index, resolved) => self.bootstraps.take(index, resolved),
            Step::Responded => self.tell(|_| true, &Ok(())),
            Step::Join(_, caller) if self.knows_somebody()? => caller.send(Ok(())),
            Step::Join(_, caller) if self.bootstraps.is_empty() => caller.send(Err(NoNetwork::NoAddresses)),
            Step::Join(until, caller) => {
                self.callers.push((until, caller));
                if self.attempt.is_none() {
                    self.tried.clear();
                    self.look_up();
                }
            }
            Step::Poll | Step::Stop => {}
        }
        Ok(())
    }

    /// Begins an attempt to join if there are new addresses, and looks how far it is. Fails if the node has ended.
    fn attempt(&mut self) -> Result<(), Error<SocketAddr>> {
        let addresses = self.bootstraps.addresses();
        if !addresses.is_empty() && addresses != self.tried {
            self.tried.clone_from(&addresses);
            self.failure = None;
            let responded = self.sender.clone();
            let watched = self.handle.asynchronous().patient().watch(move |progress| {
                if progress.stats.responded > 0 {
                    let _ = responded.send(Step::Responded);
                }
            });
            self.attempt = Some(Box::pin(async move { watched.bootstrap(&addresses, ATTEMPT).await }));
        }
        let Some(attempt) = &mut self.attempt else { return Ok(()) };
        let waker = Arc::new(Nudge(self.sender.clone())).into();
        let Poll::Ready(ended) = attempt.as_mut().poll(&mut Context::from_waker(&waker)) else { return Ok(()) };
        self.attempt = None;
        match ended {
            Ok(_) => self.tell(|_| true, &Ok(())),
            Err(error @ (Error::Stopped | Error::Died(_))) => return Err(error),
            Err(error) => self.failure = Some(error),
        }
        Ok(())
    }

    /// Tells the callers whose time is over, all of them if there is nothing left to wait for, and looks names up
    /// again if that is due.
    fn tick(&mut self) -> Result<(), Error<SocketAddr>> {
        self.attempt()?;
        let now = Instant::now();
        let hopeless = self.attempt.is_none() && !self.bootstraps.is_pending();
        if hopeless || self.callers.iter().any(|(until, _)| *until <= now) {
            let why = self.why();
            self.tell(|until| hopeless || until <= now, &Err(NoNetwork::NoResponse(why)));
        }
        if now < self.next {
            return Ok(());
        }
        let known = self.knows_somebody()?;
        self.pause = if known { PAUSE.0 } else { (2 * self.pause).min(PAUSE.1) };
        self.next = now + self.pause;
        if !known && self.bootstraps.has_names() {
            self.look_up();
        }
        Ok(())
    }

    fn look_up(&mut self) {
        let sender = self.sender.clone();
        self.bootstraps
            .look_up(self.resolver, move |index, resolved| drop(sender.send(Step::Resolved(index, resolved))));
    }

    fn tell(&mut self, is_due: impl Fn(Instant) -> bool, joined: &Result<(), NoNetwork>) {
        self.callers.extract_if(.., |(until, _)| is_due(*until)).for_each(|(_, caller)| caller.send(joined.clone()));
    }

    fn knows_somebody(&self) -> Result<bool, Error<SocketAddr>> {
        let known = |node: &mut D, _| node.routing().peers().any(|peer| peer.state == ContactState::Verified);
        match self.handle.patient().with(known) {
            Err(error @ (Error::Stopped | Error::Died(_))) => Err(error),
            known => Ok(known == Ok(true)),
        }
    }

    fn why(&self) -> String {
        let mut problems = self.bootstraps.problems();
        if !self.tried.is_empty() {
            let tried: Vec<_> = self.tried.iter().map(SocketAddr::to_string).collect();
            let failure = self.failure.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            problems.insert(0, format!("no node responded at {}{failure}", tried.join(", ")));
        }
        problems.join("; ")
    }
}

/// Wakes the thread to poll its attempt.
struct Nudge(mpsc::Sender<Step>);

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(Step::Poll);
    }
}
