//! The node's end of its control socket.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use interprocess::local_socket::traits::Listener as _;
use interprocess::local_socket::{Listener, Stream};
use kadlet::routing::Peer;
use kadlet::store::StoredRecord;
use kadlet::{Dht, Options, Store};
use kadlet_udp::Handle;
use serde_json::{Value, json};

use super::connection::Connection;
use super::{Call, KindObject, LONGEST, Reply, Request, place, refused};
use crate::args::{Geometry, Lookup};
use crate::error::Error;
use crate::get;
use crate::network::{Node, Table, stopped};
use crate::output::{StatsObject, Success, spawn};
use crate::put;

/// The longest request, in bytes.
const REQUEST: usize = 8 << 10;
/// How long a connection may take to send its next request.
const RECEIVE: Duration = Duration::from_secs(5);
/// How long it may take to receive a response.
const SEND: Duration = Duration::from_secs(10);
/// How long one that is refused may take to receive the reason.
const REFUSE: Duration = Duration::from_millis(100);
/// The most connections at once.
const CONNECTIONS: usize = 8;
/// How long to wait when the system has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(200);

/// What the requests are executed on.
pub(crate) struct Service<R: Table> {
    pub(crate) handle: Handle<Node<R>>,
    pub(crate) network: u16,
    pub(crate) geometry: Geometry,
    pub(crate) started: Instant,
    /// Ends the node.
    pub(crate) shutdown: Box<dyn Fn() + Send + Sync>,
}

/// The control socket of a node that runs.
pub(crate) struct Control {
    path: PathBuf,
}

impl Control {
    /// Listens at `path`, or at the default place of this node.
    pub(crate) fn start<R: Table>(path: Option<&Path>, service: Service<R>) -> io::Result<Self> {
        let local = service.handle.local_addr();
        let path = path.map_or_else(|| place::default(local), |path| Ok(path.to_owned()))?;
        let listener = place::listen(&path)?;
        let control = Self { path };
        thread::Builder::new().spawn(move || accept(&listener, &Arc::new(service)))?;
        Ok(control)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        place::remove(&self.path);
    }
}

/// Gives each connection a thread, as long as they are few.
fn accept<R: Table>(listener: &Listener, service: &Arc<Service<R>>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok(stream) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        let place = Place::take(&open);
        if open.load(Ordering::Relaxed) > CONNECTIONS {
            refuse(stream);
            continue;
        }
        let service = Arc::clone(service);
        // Without a thread for it, the connection is closed.
        let _ = spawn(move || {
            let _place = place;
            let _ = serve(stream, &service);
        });
    }
}

/// One of the connections that are open.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn refuse(stream: Stream) {
    let error = refused(format!("{CONNECTIONS} connections to the control socket are open already")).tip("again later");
    let _ = Connection::new(stream).and_then(|mut connection| connection.send(&Reply::Failed(error), REFUSE));
}

/// Executes what comes over a connection, until it is closed or something is wrong with it.
fn serve<R: Table>(stream: Stream, service: &Service<R>) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    loop {
        let line = match connection.receive(REQUEST, RECEIVE) {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(error) => return connection.send(&Reply::Failed(refused(error.to_string())), SEND),
        };
        let request: Request = match serde_json::from_slice(&line) {
            Ok(request) => request,
            Err(error) => {
                let error = refused(format!("that is no request: {error}"));
                return connection.send(&Reply::Failed(error.tip("the same version of kadlet as the node's")), SEND);
            }
        };
        tracing::debug!("asked over the control socket: {request:?}");
        let ends = matches!(request, Request::Shutdown {});
        let reply = execute(request, service).map_or_else(Reply::Failed, Reply::Succeeded);
        connection.send(&reply, SEND)?;
        if ends {
            (service.shutdown)();
            // Its closing tells the other end that the process has ended.
            thread::sleep(LONGEST);
        }
    }
}

fn execute<R: Table>(request: Request, service: &Service<R>) -> Result<Success, Error> {
    let handle = &service.handle;
    match request {
        Request::Status {} => status(service).map(Success::new),
        Request::Peers {} => {
            let peers = |node: &mut Node<R>, _| node.routing().peers().map(|peer| peer_object(&peer)).collect();
            let peers: Vec<Value> = handle.with(peers).map_err(stopped)?;
            Ok(Success::new(json!({ "peers": peers })))
        }
        Request::Records {} => {
            let records = |node: &mut Node<R>, now| {
                let store = node.store();
                (0..store.len()).filter_map(|slot| store.get(slot)).map(|stored| record_object(&stored, now)).collect()
            };
            let records: Vec<Value> = handle.with(records).map_err(stopped)?;
            Ok(Success::new(json!({ "records": records })))
        }
        Request::Put { record, lifetime_seconds, compare, publish, call } => {
            let lifetime = Duration::from_secs(u64::from(lifetime_seconds));
            let options = Options { lifetime, compare, publish, ..options(call)? };
            let record = record.record()?;
            put::done(&record.as_record(), &handle.put(&record.as_record(), &options), &options)
        }
        Request::Unpublish { key } => {
            let key = key.key()?;
            let unpublished = handle.with(move |node, _| node.unpublish(&key)).map_err(stopped)?;
            put::unpublished(key, unpublished)
        }
        Request::Get { key, call } => {
            let key = key.key()?;
            get::got(key, &handle.get(key, &options(call)?))
        }
        Request::Find { id, call } => {
            let target = super::id(&id)?;
            get::found::<R>(target, &handle.find_node(target, &options(call)?))
        }
        Request::Shutdown {} => Ok(Success::new(json!({ "address": handle.local_addr() }))),
    }
}

fn options(call: Call) -> Result<Options, Error> {
    let mode = if call.recursive { Lookup::Recursive } else { Lookup::Iterative };
    Ok(Options { timeout: call.limit()?, publish: false, mode: mode.into(), ..Options::DEFAULT })
}

fn status<R: Table>(service: &Service<R>) -> Result<Value, Error> {
    let sizes = |node: &mut Node<R>, _| (node.id(), StatsObject::of(node));
    let (id, stats) = service.handle.with(sizes).map_err(stopped)?;
    let mut object = json!({
        "id": id.to_string(),
        "address": service.handle.local_addr(),
        "network": service.network,
        "geometry": service.geometry,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": service.started.elapsed().as_secs(),
    });
    if let (Value::Object(object), Ok(Value::Object(stats))) = (&mut object, serde_json::to_value(stats)) {
        object.extend(stats);
    }
    Ok(object)
}

fn peer_object(peer: &Peer<core::net::SocketAddr>) -> Value {
    json!({
        "id": peer.contact.id.to_string(),
        "address": peer.contact.address,
        "state": peer.state.to_string(),
        "rtt_ms": peer.rtt.map(|rtt| rtt.as_secs_f64() * 1_000.0),
    })
}

fn record_object(stored: &StoredRecord<'_>, now: kadlet::Instant) -> Value {
    let number = stored.version(now).number;
    let kind = KindObject::from(stored.key.kind);
    json!({
        "kind": kind,
        "id": stored.key.id.to_string(),
        "bytes": stored.stored.value.len(),
        "lifetime_seconds": stored.metadata.expires.since(now).as_secs(),
        "age_ms": matches!(kind, KindObject::Plain).then_some(number),
        "sequence": matches!(kind, KindObject::Signed).then_some(number),
        "published": stored.metadata.pinned,
    })
}
