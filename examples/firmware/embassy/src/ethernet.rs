//! An embassy-net driver for an Ethernet controller.

use core::cell::RefCell;
use core::task::Context;

use board::nic::{MAX_FRAME, Nic};
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

/// The waker of the network's task. The main loop wakes it when a frame waits.
pub(crate) static RECEIVED: AtomicWaker = AtomicWaker::new();

type Shared = RefCell<&'static mut dyn Nic>;

/// A controller, which the main loop uses too, and a buffer for one frame in each direction.
pub(crate) struct Ethernet {
    nic: &'static Shared,
    mac: [u8; 6],
    received: &'static mut [u8; MAX_FRAME],
    sent: &'static mut [u8; MAX_FRAME],
}

impl Ethernet {
    pub(crate) const fn new(
        nic: &'static Shared,
        mac: [u8; 6],
        [received, sent]: &'static mut [[u8; MAX_FRAME]; 2],
    ) -> Self {
        Self { nic, mac, received, sent }
    }
}

impl Driver for Ethernet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, Sending<'_>)> {
        RECEIVED.register(cx.waker());
        let len = self.nic.borrow_mut().receive(self.received)?;
        Some((Received(&mut self.received[..len]), Sending { nic: self.nic, frame: self.sent }))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Sending<'_>> {
        Some(Sending { nic: self.nic, frame: self.sent })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.mac)
    }
}

/// A received frame.
pub(crate) struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A buffer for a frame to send.
pub(crate) struct Sending<'a> {
    nic: &'static Shared,
    frame: &'a mut [u8; MAX_FRAME],
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = &mut self.frame[..len];
        let result = f(frame);
        self.nic.borrow_mut().send(frame);
        result
    }
}
