//! `node`: runs a node until it is interrupted.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::path::Path;
use std::process;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kadlet::{Address, Config, Dht, Event, Outcome, Scope};
use kadlet_udp::{Handle, Server};
use tracing::{debug, error, info, trace, warn};

use crate::args::{self, Common, HostPort};
use crate::bootstraps::{Bootstraps, resolve};
use crate::control::{Control, Service};
use crate::error::{Error, Exit};
use crate::joining::Joining;
use crate::journal::Journal;
use crate::log::{self, LogLevel};
use crate::metrics;
use crate::network::{self, OperationError, Table, stopped, summary};
use crate::output::{EventObject, Lines, NodeObject, Output, StartObject, StatsObject, cannot_start, json, note};
use crate::resolver::Resolved;
use crate::saved::{Change, Saved};
use crate::signals;
use crate::state::{State, wall};

/// How often a changed state is saved: a change is in the state file within ten seconds.
const SAVE: Duration = Duration::from_secs(5);
/// How often the counters are printed.
const STATS: Duration = Duration::from_secs(10);

/// The port to listen on, if none is given.
const PORT: u16 = 4000;

/// What the main thread waits for. Few wait at once: they come from the threads of the signals, of stdout and of the
/// node, and from at most one for each name that is looked up.
enum Occurrence {
    /// A signal came.
    Signal,
    /// A bootstrap address is resolved, or can't be.
    Resolved(Resolved),
    /// Stdout can't be written to.
    Unwritable(Error),
    /// The node's thread has ended.
    NodeEnded,
    /// The control socket was asked to end the node.
    Shutdown,
}

/// Where a node prints: stdout.
struct Streams {
    out: Lines,
    json: bool,
}

pub(crate) fn run<R: Table>(args: &args::Node, common: &Common, out: &Output) -> Result<(), Error> {
    let (sender, occurrences) = mpsc::channel();
    let (unwritable, out) = (sender.clone(), *out);
    let (lines, printed) = Lines::start(move |line| match out.line(line) {
        Ok(()) => true,
        Err(error) => unwritable.send(Occurrence::Unwritable(error.aloud())).is_err(),
    })?;
    let (log, logged) = Lines::start(|line| {
        note(line);
        true
    })?;
    let usual = if common.verbose { LogLevel::Debug } else { LogLevel::Info };
    log::start(args.log.unwrap_or(usual), log)?;
    let ended = host::<R>(args, common, &Streams { out: lines, json: out.json }, &sender, &occurrences);
    log::end();
    if printed.finish() & logged.finish() {
        return ended;
    }
    // Nobody reads what the main thread would still print: it would wait for ever.
    process::exit(ended.map_or_else(|error| error.exit() as i32, |()| 0));
}

/// Starts the node, and ends it when it must end.
fn host<R: Table>(
    args: &args::Node,
    common: &Common,
    streams: &Streams,
    sender: &Sender<Occurrence>,
    occurrences: &Receiver<Occurrence>,
) -> Result<(), Error> {
    let state = args.state.as_deref().map(State::load).transpose()?.flatten();
    if let Some(state) = &state {
        state.check(common.geometry, common.network, args.state.as_deref())?;
    }
    let mut bootstraps = Bootstraps::new(&args.bootstrap)?;
    let signal = sender.clone();
    signals::watch(move || drop(signal.send(Occurrence::Signal)))?;

    let listen = match &args.listen {
        Some(listen) => resolve(listen, common, common.timeout)?,
        None => vec![(Ipv6Addr::UNSPECIFIED, PORT).into(), (Ipv4Addr::UNSPECIFIED, PORT).into()],
    };
    let trusted = common.network_key.is_some() || listen.iter().all(|address| address.scope() < Scope::Global);
    let config = Config { plain: args.plain || trusted, serve: args.serve.into(), ..network::config(common) };
    let mut driver = network::bind::<R>(&listen, config, state.as_ref().map(|state| state.id))?;
    let (address, id) = (driver.local_addr(), driver.node().id());
    bootstraps.check(address)?;
    let now = driver.now();
    if let Some(state) = &state {
        let records = state.restore(driver.node_mut(), now, wall());
        info!("restored {} contacts and {records} records", state.contacts.len());
        // The saved contacts are bootstrap addresses too: the node tries all addresses until one responds.
        bootstraps.contacts = state.contacts.iter().map(|contact| contact.address).collect();
    }
    let tried = bootstraps.addresses(address);
    if !tried.is_empty() {
        driver.node_mut().bootstrap(now, &tried).map_err(|error| Error::new(Exit::Network, error.to_string()))?;
    }
    let mut events =
        Events { objects: streams.json.then(|| streams.out.clone()), duplicates: 0, occurrences: sender.clone() };
    let server = Server::start_with(driver, move |event| events.print(&event))
        .map_err(|error| cannot_start("the node", &error))?;
    let handle = server.handle();
    let file = args.state.as_deref().map(|path| StateFile::start(path, state, common, &handle));
    let mut file = file.transpose()?;
    let metrics = args.metrics.as_ref().map(|address| metrics::<R>(address, common, &handle)).transpose()?;
    // It is removed when this function ends.
    let _control = control(args, common, &handle, sender)?;
    streams.out.line(match streams.json {
        true => json(&StartObject { node: NodeObject { id: id.to_string(), address }, metrics })?,
        false => format!("listening on {address} id {id}"),
    });
    let resolved = sender.clone();
    let report = move |name| drop(resolved.send(Occurrence::Resolved(name)));
    let mut joining = Joining::new(bootstraps, address, tried, common.resolver, report);
    let served = serve(&handle, occurrences, file.as_mut(), &mut joining, streams);
    let saved = file.as_mut().map_or(Ok(()), |file| file.finish(&handle));
    // If the node's thread has ended by itself, that is why nothing else worked.
    let ended = server.shutdown().map_err(|error| {
        let what = format!("the node failed: {error}; the state file lacks what changed in the last seconds");
        Error::new(Exit::Network, what).tip("start it again, and report what it printed before")
    });
    ended.map(|_| ()).and(saved).and(served)
}

/// Prints counters, saves the state and looks names up until a signal comes.
fn serve<R: Table>(
    handle: &Handle<network::Node<R>>,
    occurrences: &Receiver<Occurrence>,
    mut file: Option<&mut StateFile<'_>>,
    joining: &mut Joining<impl Fn(Resolved) + Clone + Send + 'static>,
    streams: &Streams,
) -> Result<(), Error> {
    let (mut next_stats, mut next_save) = (Tick::every(STATS), Tick::every(SAVE));
    loop {
        let wait = next_stats.at.min(next_save.at).saturating_duration_since(Instant::now());
        let ended = match occurrences.recv_timeout(wait) {
            Ok(Occurrence::Signal | Occurrence::Shutdown) => true,
            Ok(Occurrence::NodeEnded) => return Err(stopped(OperationError::Stopped)),
            Ok(Occurrence::Unwritable(error)) => return Err(error),
            Ok(Occurrence::Resolved(resolved)) => {
                joining.take(handle, resolved)?;
                false
            }
            Err(_) => false,
        };
        let now = Instant::now();
        if (next_stats.is_due(now) || ended) && streams.json {
            streams.out.line(json(&handle.with(|node, _| StatsObject::of(node)).map_err(stopped)?)?);
        }
        if ended {
            return Ok(());
        }
        if next_save.is_due(now) {
            file.iter_mut().for_each(|file| file.try_save(handle));
            joining.retry(handle)?;
        }
    }
}

/// When something that is done regularly is due again. What was missed, as in a suspension, isn't made up for.
struct Tick {
    every: Duration,
    at: Instant,
}

impl Tick {
    fn every(every: Duration) -> Self {
        Self { every, at: Instant::now() + every }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.at;
        if due {
            self.at = now + self.every;
        }
        due
    }
}

/// A state file that is kept up to date.
struct StateFile<'a> {
    path: &'a Path,
    journal: Journal,
    saved: Arc<Mutex<Saved>>,
    /// Whether it was ever written.
    written: bool,
    /// Whether the last attempt to save failed.
    failing: bool,
}

impl<'a> StateFile<'a> {
    /// Writes the state of a node that has started. Where nothing can be written, the node goes on with a warning.
    fn start<R: Table>(
        path: &'a Path,
        state: Option<State>,
        common: &Common,
        handle: &Handle<network::Node<R>>,
    ) -> Result<Self, Error> {
        let (starts, contacts) = state.map_or_else(Default::default, |state| (state.starts, state.contacts));
        let geometry = common.geometry.to_string();
        let saved = Saved::new(common.network, geometry, starts.saturating_add(1), contacts);
        let saved = Arc::new(Mutex::new(saved));
        let journal = Journal::at(path).map_err(|error| unwritable(path, &error))?;
        let mut file = Self { path, journal, saved, written: false, failing: false };
        file.try_save(handle);
        Ok(file)
    }

    /// Writes what has changed since it was written last. `last` is whether the node ends.
    fn save<R: Table>(&mut self, handle: &Handle<network::Node<R>>, last: bool) -> Result<(), Error> {
        let saved = Arc::clone(&self.saved);
        let change = handle.with(move |node, now| lock(&saved).change(node, now, wall(), last)).map_err(stopped)?;
        let written = match change {
            None => return Ok(()),
            Some(Change::Append(bytes)) => self.journal.append(&bytes),
            Some(Change::Replace(bytes)) => self.journal.replace(&bytes),
        };
        self.failing = written.is_err();
        written.map_err(|error| {
            lock(&self.saved).failed();
            unwritable(self.path, &error)
        })?;
        self.written = true;
        Ok(())
    }

    /// Saves, and prints an error once. The node goes on: a disk that is full now may have free space later.
    fn try_save<R: Table>(&mut self, handle: &Handle<network::Node<R>>) {
        let failing = self.failing;
        if let Err(error) = self.save(handle, false)
            && !failing
        {
            error!("{}", error.brief());
        }
    }

    /// Saves at the end of the run. That nothing can be written at all is no news then.
    fn finish<R: Table>(&mut self, handle: &Handle<network::Node<R>>) -> Result<(), Error> {
        self.save(handle, true).or_else(|error| if self.written { Err(error) } else { Ok(()) })
    }
}

fn lock(saved: &Mutex<Saved>) -> MutexGuard<'_, Saved> {
    saved.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    let what = format!("can't write the state file {}: {error}", path.display());
    Error::new(Exit::Usage, what).tip("check that its folder exists, is writable and has free space")
}

/// Prints the events that an operator wants to know. It lives on the node's thread, and ends with it.
struct Events {
    /// Stdout, for JSON objects.
    objects: Option<Lines>,
    /// How often another node had this node's id.
    duplicates: u32,
    occurrences: Sender<Occurrence>,
}

impl Events {
    fn print(&mut self, event: &Event<'_, SocketAddr>) {
        match event {
            // Any node can claim any id: an attacker that does so again and again must not fill the disk.
            Event::OwnIdSeen { .. } if self.duplicates >= 8 => {}
            Event::OwnIdSeen { address } => {
                self.duplicates += 1;
                warn!(
                    "another node at {address} has this node's id: stop one of the two, and give each its own --state \
                     file"
                );
            }
            Event::ExternalAddress { address, id } => {
                info!("other nodes see this one at {address}; its id is {id}");
                self.object(&EventObject::ExternalAddress { address: *address, id: id.to_string() });
            }
            Event::Serves { serves } => {
                if *serves {
                    info!("other nodes can reach this one: it serves");
                } else {
                    info!("other nodes can't reach this one: it is a client, and serves again once they can");
                }
                self.object(&EventObject::Serves { serves: *serves });
            }
            Event::Superseded { key } => {
                warn!("the network holds a newer record than the one published here, under id {}", key.id);
            }
            Event::Forwarded { target, to } => trace!("forwarded a request for {target} to {to}"),
            Event::Finished(done) => match done.outcome {
                Outcome::Joined { neighbours } => {
                    info!("joined the network");
                    debug!("joined the network: {}", summary(&done.stats));
                    neighbours.iter().for_each(|contact| debug!("neighbour {} id {}", contact.address, contact.id));
                }
                Outcome::Failed(failure) => {
                    warn!("could not join the network yet: {failure}; the node keeps trying the bootstrap addresses");
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// With `--json`: prints an object on stdout.
    fn object(&self, object: &EventObject) {
        if let Some((lines, object)) = self.objects.as_ref().zip(json(object).ok()) {
            lines.line(object);
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.occurrences.send(Occurrence::NodeEnded);
    }
}

/// Serves the counters. Returns the address of their page.
fn metrics<R: Table>(
    address: &HostPort,
    common: &Common,
    handle: &Handle<network::Node<R>>,
) -> Result<SocketAddr, Error> {
    let addresses = resolve(address, common, common.timeout)?;
    let served = metrics::serve(&addresses, common, handle).map_err(|error| {
        Error::new(Exit::Usage, format!("can't serve metrics at {address}: {error}")).tip("another --metrics ADDR")
    })?;
    info!("metrics at http://{served}/metrics");
    Ok(served)
}

/// Makes the control socket. Where the default place can't have one, the node goes on without, and says so.
fn control<R: Table>(
    args: &args::Node,
    common: &Common,
    handle: &Handle<network::Node<R>>,
    sender: &Sender<Occurrence>,
) -> Result<Option<Control>, Error> {
    if args.no_control {
        return Ok(None);
    }
    let sender = sender.clone();
    let service = Service {
        handle: handle.clone(),
        network: common.network,
        geometry: common.geometry,
        started: Instant::now(),
        shutdown: Box::new(move || drop(sender.send(Occurrence::Shutdown))),
    };
    match (Control::start(common.control.as_deref(), service), &common.control) {
        (Ok(control), _) => {
            debug!("control socket at {}", control.path().display());
            Ok(Some(control))
        }
        (Err(error), Some(path)) => {
            let what = format!("can't make the control socket {}: {error}", path.display());
            Err(Error::new(Exit::Usage, what).tip("another --control, or --no-control"))
        }
        (Err(error), None) => {
            warn!("no control socket: {error}; give --control PATH or --no-control");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use kadlet::Kademlia;

    use super::*;
    use crate::args::Cli;
    use crate::output::spawn;

    #[test]
    fn a_node_whose_thread_has_ended_ends_too() {
        let cli = Cli::try_parse_from(["kadlet", "demo", "key", "value"]).unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let driver =
            network::bind::<Kademlia<SocketAddr, 512, 64>>(&[local], network::config(&cli.common), None).unwrap();
        let (sender, occurrences) = mpsc::channel();
        let (out, _) = Lines::start(|_| true).unwrap();
        let mut events = Events { objects: None, duplicates: 0, occurrences: sender.clone() };
        let server = Server::start_with(driver, move |event| events.print(&event)).unwrap();
        let (handle, dying) = (server.handle(), server.handle());
        let (ended, result) = mpsc::channel();
        spawn(move || {
            let bootstraps = Bootstraps::new(&[]).unwrap();
            let mut joining = Joining::new(bootstraps, local, Vec::new(), cli.common.resolver, |_| {});
            let streams = Streams { out, json: false };
            let _ = ended.send(serve(&handle, &occurrences, None, &mut joining, &streams));
        })
        .unwrap();
        assert!(result.recv_timeout(Duration::from_millis(200)).is_err(), "it ends although its node runs");

        let _ = dying.with(|_, _| panic!("what a fault of the node would do"));
        let error = result.recv_timeout(SAVE / 2).unwrap().unwrap_err();
        assert!(error.what().contains("the node has stopped"), "{error}");
        assert!(server.shutdown().unwrap_err().to_string().contains("panicked"));
    }

    #[test]
    fn a_node_tells_its_external_address_and_whether_it_serves() {
        let (sender, objects) = mpsc::channel();
        let (out, _) = Lines::start(move |line| sender.send(line.to_owned()).is_ok()).unwrap();
        let (occurrences, _) = mpsc::channel();
        let mut events = Events { objects: Some(out), duplicates: 0, occurrences };
        let (address, id) = ("192.0.2.1:4000".parse().unwrap(), kadlet::Id::from_bytes([1; 20]));
        events.print(&Event::ExternalAddress { address, id });
        events.print(&Event::Serves { serves: false });
        events.print(&Event::Serves { serves: true });
        drop(events);

        let objects: Vec<_> = objects.iter().collect();
        assert_eq!(objects[1..], [r#"{"event":"serves","serves":false}"#, r#"{"event":"serves","serves":true}"#]);
        assert_eq!(objects[0], format!(r#"{{"event":"external_address","address":"192.0.2.1:4000","id":"{id}"}}"#));
    }

    #[test]
    fn ticks_that_were_missed_are_skipped() {
        let mut tick = Tick::every(STATS);
        assert!(!tick.is_due(tick.at - Duration::from_millis(1)));
        let late = tick.at + 2_880 * STATS;
        assert!(tick.is_due(late));
        assert!(!tick.is_due(late + STATS / 2));
        assert!(tick.is_due(late + STATS));
    }
}
