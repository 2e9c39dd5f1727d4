//! `node`: runs a node until it is interrupted.

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
use crate::network::{self, OperationError, Table, summary};
use crate::output::{Output, StatsObject};
use crate::state::{State, fingerprint};

/// How often a changed state is saved: a change is in the state file within ten seconds.
const SAVE: Duration = Duration::from_secs(5);
/// How often the counters are printed.
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
        // The saved contacts are bootstrap addresses too: the node tries all addresses until one responds.
        let known = restored.contacts.iter().map(|contact| contact.address).filter(|address| !peers.contains(address));
        let known: Vec<_> = known.take(args::BOOTSTRAPS.saturating_sub(peers.len())).collect();
        peers.extend(known);
    }
    if !peers.is_empty() {
        driver.node_mut().bootstrap(now, &peers).map_err(|error| Error::new(Exit::Network, error.to_string()))?;
    }
    let (address, id) = (driver.local_addr(), driver.node().id());
    let verbose = common.verbose;
    let mut duplicates = 0;
    let server = Server::start_with(driver, move |event| print_event(&event, verbose, &mut duplicates))
        .map_err(|error| Error::new(Exit::Network, format!("can't start a thread: {error}")))?;
    let handle = server.handle();
    let Common { geometry, network, .. } = *common;
    let mut file = args.state.as_deref().map(|path| StateFile {
        path,
        geometry,
        network,
        fingerprint: None,
        last: state.map(State::without_records),
        failing: false,
    });
    if let Some(file) = &mut file {
        file.save(&handle)?;
    }
    out.line(&format!("listening on {address} id {id}"))?;
    let served = serve(&handle, &signals, file.as_mut(), out);
    if let Some(file) = &mut file {
        file.save(&handle)?;
    }
    served?;
    server.shutdown().map(|_| ()).map_err(|error| Error::new(Exit::Network, format!("the node failed: {error}")))
}

/// Prints counters and saves the state until a signal comes.
fn serve<R: Table>(
    handle: &Handle<network::Node<R>>,
    signals: &Receiver<i32>,
    mut file: Option<&mut StateFile<'_>>,
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
            file.as_mut().into_iter().for_each(|file| file.try_save(handle));
        }
    }
}

fn stopped(error: OperationError) -> Error {
    Error::new(Exit::Network, format!("the node has stopped: {error}"))
}

/// A state file that is kept up to date.
struct StateFile<'a> {
    path: &'a Path,
    geometry: args::Geometry,
    network: u16,
    /// The fingerprint of the state that was saved last.
    fingerprint: Option<u64>,
    /// The state that was saved or loaded last, without records.
    last: Option<State>,
    /// Whether the last attempt to save failed.
    failing: bool,
}

impl StateFile<'_> {
    /// Writes the file if the node has something new to save.
    fn save<R: Table>(&mut self, handle: &Handle<network::Node<R>>) -> Result<(), Error> {
        let (saved, geometry, network) = (self.fingerprint, self.geometry, self.network);
        let changed = handle.with(move |node, now| {
            let current = fingerprint(node);
            (Some(current) != saved).then(|| (current, State::of(node, now, geometry, network)))
        });
        let Some((current, mut state)) = changed.map_err(stopped)? else { return Ok(()) };
        self.last.iter().for_each(|last| state.add_contacts(last));
        state.save(self.path)?;
        self.fingerprint = Some(current);
        self.last = Some(state.without_records());
        self.failing = false;
        Ok(())
    }

    /// Saves, and prints an error once. The node goes on: a disk that is full now may have free space later.
    fn try_save<R: Table>(&mut self, handle: &Handle<network::Node<R>>) {
        let Err(error) = self.save(handle) else { return };
        if !self.failing {
            eprintln!("{error}");
        }
        self.failing = true;
    }
}

/// Prints the events that an operator wants to know.
fn print_event(event: &Event<'_, SocketAddr>, verbose: bool, duplicates: &mut u32) {
    match event {
        // Any node can claim any id: an attacker that does so again and again must not fill the disk.
        Event::OwnIdSeen { .. } if *duplicates >= 8 => {}
        Event::OwnIdSeen { address } => {
            *duplicates += 1;
            eprintln!(
                "kadlet: another node at {address} has this node's id\n  try: stop one of the two, and give each its \
                 own --state file"
            );
        }
        Event::Superseded { key } => {
            eprintln!("the network holds a newer record than the one published here, under id {}", key.id)
        }
        Event::Finished(done) => match done.outcome {
            Outcome::Joined { neighbours } if verbose => {
                eprintln!("joined the network: {}", summary(&done.stats));
                neighbours.iter().for_each(|contact| eprintln!("  {} id {}", contact.address, contact.id));
            }
            Outcome::Joined { .. } => eprintln!("joined the network"),
            Outcome::Failed(failure) => {
                eprintln!("could not join the network yet: {failure}; the node keeps trying the bootstrap addresses");
            }
            _ => {}
        },
        _ => {}
    }
}

fn stats<M: Dht>(node: &M) -> StatsObject {
    StatsObject::new(node.routing().peers().count(), node.store().len(), node.store().bytes(), node.stats())
}

/// Receives the signals that end a node. A second signal ends the process at once.
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
