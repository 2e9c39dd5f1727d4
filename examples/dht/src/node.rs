//! `node`: a node that runs until it is interrupted.

use core::net::SocketAddr;
use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use kadlet::{Config, Dht, Event, Outcome, Routing, Store};
use kadlet_udp::{Handle, Server};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::args::{self, Common, bootstraps};
use crate::error::{Error, Exit};
use crate::network::{self, Table, Trouble, account};
use crate::output::{Output, StatsObject};
use crate::state::{State, fingerprint};

/// A change is in the state file within ten seconds: it is looked for at half of that.
const SAVE: Duration = Duration::from_secs(5);
const STATS: Duration = Duration::from_secs(10);

pub(crate) fn run<R: Table>(args: &args::Node, common: &Common, out: &Output) -> Result<(), Error> {
    let state = args.state.as_deref().map(State::load).transpose()?.flatten();
    if let Some(state) = &state {
        state.check(common.geometry, common.network, args.state.as_deref())?;
    }
    let peers = bootstraps(&args.bootstrap)?;
    let signals = signals()?;

    let config = Config { plain: !args.no_plain, ..network::config(common) };
    let mut driver = network::bind::<R>(&args.listen.resolve()?, config, state.as_ref().and_then(State::id))?;
    let mut peers = network::reachable(&peers, driver.local_addr())?;
    let now = driver.now();
    if let Some(state) = &state {
        let restored = state.restore(driver.node_mut(), now);
        eprintln!("restored {} contacts and {} records", restored.contacts.len(), restored.records);
        // The way back into the network, besides the addresses given: tried until one of them answers.
        let known = restored.contacts.iter().map(|contact| contact.address).filter(|address| !peers.contains(address));
        let known: Vec<_> = known.take(args::BOOTSTRAPS.saturating_sub(peers.len())).collect();
        peers.extend(known);
    }
    if !peers.is_empty() {
        driver.node_mut().bootstrap(now, &peers).map_err(|error| Error::new(Exit::Network, error.to_string()))?;
    }
    let (address, id) = (driver.local_addr(), driver.node().id());
    let verbose = common.verbose;
    let mut doubles = 0;
    let server = Server::start_with(driver, move |event| print_event(&event, verbose, &mut doubles))
        .map_err(|error| Error::new(Exit::Network, format!("no thread can be started: {error}")))?;
    let handle = server.handle();
    let Common { geometry, network, .. } = *common;
    let mut file = args.state.as_deref().map(|path| Keeper {
        path,
        geometry,
        network,
        fingerprint: None,
        last: state.map(State::without_records),
        failing: false,
    });
    if let Some(file) = &mut file {
        file.keep(&handle)?;
    }
    out.line(&format!("listening on {address} id {id}"))?;
    let served = serve(&handle, &signals, file.as_mut(), out);
    if let Some(file) = &mut file {
        file.keep(&handle)?;
    }
    served?;
    server.shutdown().map(|_| ()).map_err(|error| Error::new(Exit::Network, format!("the node ended with {error}")))
}

/// Until a signal comes.
fn serve<R: Table>(
    handle: &Handle<network::Node<R>>,
    signals: &Receiver<i32>,
    mut file: Option<&mut Keeper<'_>>,
    out: &Output,
) -> Result<(), Error> {
    let mut next_stats = Instant::now() + STATS;
    let mut next_save = Instant::now() + SAVE;
    loop {
        let wait = next_stats.min(next_save).saturating_duration_since(Instant::now());
        let ended = !matches!(signals.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
        let now = Instant::now();
        if out.json && (ended || now >= next_stats) {
            out.object(&handle.with(|node, _| stats(node)).map_err(stopped)?)?;
        }
        if ended {
            return Ok(());
        }
        if now >= next_stats {
            next_stats += STATS;
        }
        if now >= next_save {
            next_save += SAVE;
            file.as_mut().into_iter().for_each(|file| file.try_keep(handle));
        }
    }
}

fn stopped(trouble: Trouble) -> Error {
    Error::new(Exit::Network, format!("the node has stopped: {trouble}"))
}

/// Keeps a state file up to date.
struct Keeper<'a> {
    path: &'a Path,
    geometry: args::Geometry,
    network: u16,
    /// Of what it holds.
    fingerprint: Option<u64>,
    /// Whom the node knew when it was written.
    last: Option<State>,
    failing: bool,
}

impl Keeper<'_> {
    /// Writes the file if there is something new to remember.
    fn keep<R: Table>(&mut self, handle: &Handle<network::Node<R>>) -> Result<(), Error> {
        let (kept, geometry, network) = (self.fingerprint, self.geometry, self.network);
        let changed = handle.with(move |node, now| {
            let print = fingerprint(node);
            (Some(print) != kept).then(|| (print, State::of(node, now, geometry, network)))
        });
        let Some((print, mut state)) = changed.map_err(stopped)? else { return Ok(()) };
        self.last.iter().for_each(|last| state.remember(last));
        state.save(self.path)?;
        self.fingerprint = Some(print);
        self.last = Some(state.without_records());
        self.failing = false;
        Ok(())
    }

    /// A disk that is full now may have room later: the node goes on.
    fn try_keep<R: Table>(&mut self, handle: &Handle<network::Node<R>>) {
        let Err(error) = self.keep(handle) else { return };
        if !self.failing {
            eprintln!("{error}");
        }
        self.failing = true;
    }
}

/// Tells what an operator wants to know.
fn print_event(event: &Event<'_, SocketAddr>, verbose: bool, doubles: &mut u32) {
    match event {
        // Anybody can claim any id: whoever does so again and again doesn't fill the disk.
        Event::OwnIdSeen { .. } if *doubles >= 8 => {}
        Event::OwnIdSeen { address } => {
            *doubles += 1;
            eprintln!(
                "kadlet: another node at {address} has this node's id\n  try: end one of the two, and give each a --state file of its own"
            );
        }
        Event::Superseded { key } => {
            eprintln!("a newer record than the one published here was met under id {}", key.id)
        }
        Event::Forwarded { .. } => {}
        Event::QueryResult(done) => match done.outcome {
            Outcome::Joined { neighbours } if verbose => {
                eprintln!("joined the network: {}", account(&done.stats));
                neighbours.iter().for_each(|contact| eprintln!("  {} id {}", contact.address, contact.id));
            }
            Outcome::Joined { .. } => eprintln!("joined the network"),
            Outcome::Failed(failure) => {
                eprintln!(
                    "the network was not joined yet: {failure}; the bootstrap addresses are tried again and again"
                );
            }
            _ => {}
        },
    }
}

fn stats<M: Dht>(node: &M) -> StatsObject {
    StatsObject::new(node.routing().peers().count(), node.store().len(), node.store().bytes(), node.stats())
}

/// What ends a node, as it comes. A second signal ends the process at once.
fn signals() -> Result<Receiver<i32>, Error> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&ended))?;
        flag::register(signal, Arc::clone(&ended))?;
    }
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || signals.forever().try_for_each(|signal| sender.send(signal)));
    Ok(receiver)
}
