//! A network in one thread: embassy-net stacks, each with a port on a switch that can lose frames, and an executor that
//! polls a task only when it was woken, and counts the polls.

use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use embassy_net::driver::{HardwareAddress, LinkState};
use embassy_net::{Config, Ipv4Cidr, Ipv6Cidr, Stack, StackResources, StaticConfigV4, StaticConfigV6};
use embassy_net_driver_channel as channel;
use kadlet::{ConfigError, Dht, Id};
use kadlet_embassy::{Handle, Resources};

pub(crate) const PORT: u16 = 4_000;
const MTU: usize = 1_514;

pub(crate) struct Lan {
    medium: Medium,
    is_global: bool,
    wires: Rc<Wires>,
    tasks: Vec<Task>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// Stacks must search for their neighbours.
    Ethernet,
    /// Stacks send IP packets without a search.
    Ip,
}

#[derive(Default)]
struct Wires {
    ports: RefCell<Vec<channel::RxRunner<'static, MTU>>>,
    /// How many of 100 frames are lost.
    loss: Cell<u64>,
    random: Cell<u64>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    bell: Arc<Bell>,
}

/// A task's waker.
pub(crate) struct Bell {
    thread: Thread,
    woken: AtomicBool,
    polls: AtomicU64,
}

impl Lan {
    pub(crate) fn new(medium: Medium) -> Self {
        Self { medium, is_global: false, wires: Rc::default(), tasks: Vec::new() }
    }

    /// A network of IP packets with global addresses. The nth stack has the address 8.0.n.n, so a prefix of its own.
    pub(crate) fn global() -> Self {
        Self { is_global: true, ..Self::new(Medium::Ip) }
    }

    pub(crate) fn lose(&self, percent: u64) {
        self.wires.loss.set(percent);
    }

    /// Adds a stack. The nth has the addresses 10.0.0.n and fd00::n.
    pub(crate) fn stack(&mut self) -> Stack<'static> {
        let port = self.wires.ports.borrow().len();
        let n = u8::try_from(port + 1).unwrap();
        let hardware = match self.medium {
            Medium::Ethernet => HardwareAddress::Ethernet([2, 0, 0, 0, 0, n]),
            Medium::Ip => HardwareAddress::Ip,
        };
        let state = Box::leak(Box::new(channel::State::<MTU, 8, 8>::new()));
        let (wire, device) = channel::new(state, hardware);
        let (link, receive, transmit) = wire.split();
        link.set_link_state(LinkState::Up);
        let mut config = Config::default();
        let v4 = match self.is_global {
            true => Ipv4Cidr::new(Ipv4Addr::new(8, 0, n, n), 16),
            false => Ipv4Cidr::new(Ipv4Addr::new(10, 0, 0, n), 24),
        };
        let v6 = Ipv6Cidr::new(v6(n), 64);
        config.ipv4 = embassy_net::ConfigV4::Static(StaticConfigV4 {
            address: v4,
            gateway: None,
            dns_servers: Default::default(),
        });
        config.ipv6 = embassy_net::ConfigV6::Static(StaticConfigV6 {
            address: v6,
            gateway: None,
            dns_servers: Default::default(),
        });
        let resources = Box::leak(Box::new(StackResources::<4>::new()));
        let (stack, mut runner) = embassy_net::new(device, config, resources, u64::from(n));
        self.wires.ports.borrow_mut().push(receive);
        let wires = self.wires.clone();
        self.spawn(async move { wires.carry(port, transmit).await });
        self.spawn(async move { runner.run().await });
        stack
    }

    /// Adds a node on a stack of its own.
    pub(crate) fn node<D>(
        &mut self,
        node: D,
        start: impl FnOnce(&mut D, kadlet::Instant) -> Result<(), ConfigError>,
    ) -> (Handle<'static, D>, Arc<Bell>)
    where
        D: Dht<Address: Into<SocketAddr>> + 'static,
    {
        let stack = self.stack();
        let resources = Box::leak(Box::new(Resources::<D, 4, 2_560>::new(node)));
        let (handle, mut runner) = kadlet_embassy::new(resources, stack, PORT, start).unwrap();
        (handle, self.spawn(async move { runner.run().await }))
    }

    pub(crate) fn spawn<T>(&mut self, future: impl Future<Output = T> + 'static) -> Arc<Bell> {
        let bell = Arc::new(Bell { thread: thread::current(), woken: AtomicBool::new(true), polls: AtomicU64::new(0) });
        let future = Box::pin(async { drop(future.await) });
        self.tasks.push(Task { future, bell: bell.clone() });
        bell
    }

    /// Runs all tasks until `main` ends. Panics if that takes more than 20 seconds.
    pub(crate) fn run<T: 'static>(&mut self, main: impl Future<Output = T> + 'static) -> T {
        let limit = Instant::now() + Duration::from_secs(20);
        let result = Rc::new(Cell::new(None));
        let to = result.clone();
        self.spawn(async move { to.set(Some(main.await)) });
        loop {
            let mut idle = true;
            self.tasks.retain_mut(|task| {
                if !task.bell.woken.swap(false, SeqCst) {
                    return true;
                }
                idle = false;
                task.bell.polls.fetch_add(1, SeqCst);
                task.future.as_mut().poll(&mut Context::from_waker(&task.bell.clone().into())) == Poll::Pending
            });
            if let Some(result) = result.take() {
                return result;
            }
            let left = limit.checked_duration_since(Instant::now()).expect("it must end within 20 seconds");
            if idle {
                thread::park_timeout(left);
            }
        }
    }
}

impl Wires {
    /// Delivers the frames that the stack at port `from` sends.
    async fn carry(&self, from: usize, mut transmit: channel::TxRunner<'static, MTU>) {
        loop {
            let frame = transmit.tx_buf().await.to_vec();
            transmit.tx_done();
            for (to, port) in self.ports.borrow_mut().iter_mut().enumerate() {
                if to == from || !is_for(&frame, to) || self.is_lost() {
                    continue;
                }
                if let Some(buffer) = port.try_rx_buf() {
                    buffer[..frame.len()].copy_from_slice(&frame);
                    port.rx_done(frame.len());
                }
            }
        }
    }

    fn is_lost(&self) -> bool {
        let next = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random.set(next);
        (next >> 33) % 100 < self.loss.get()
    }
}

/// Whether the frame is for this port, by its destination: the MAC address of a frame, or the last byte of a packet's
/// IP address.
fn is_for(frame: &[u8], port: usize) -> bool {
    let n = match frame[0] >> 4 {
        4 => frame[19],
        6 => frame[39],
        _ if frame[0] & 1 == 1 => return true,
        _ => frame[5],
    };
    usize::from(n) == port + 1
}

impl Bell {
    /// How often the task was polled.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.thread.unpark();
    }
}

pub(crate) fn v6(n: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n))
}

/// An id for the nth node, far from those of the nodes before and after it.
pub(crate) fn id(n: u8) -> Id {
    Id::from_bytes([n.wrapping_mul(73); 20])
}
