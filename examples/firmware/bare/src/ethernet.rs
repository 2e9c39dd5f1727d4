//! A smoltcp device for an Ethernet controller.

use board::nic::{MAX_FRAME, Nic};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// A controller, and a buffer for one frame in each direction.
pub(crate) struct Ethernet<N> {
    pub(crate) nic: N,
    received: &'static mut [u8; MAX_FRAME],
    sent: &'static mut [u8; MAX_FRAME],
}

impl<N: Nic> Ethernet<N> {
    pub(crate) const fn new(nic: N, [received, sent]: &'static mut [[u8; MAX_FRAME]; 2]) -> Self {
        Self { nic, received, sent }
    }
}

impl<N: Nic> Device for Ethernet<N> {
    type RxToken<'a>
        = Received<'a>
    where
        N: 'a;
    type TxToken<'a>
        = Sending<'a, N>
    where
        N: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sending<'_, N>)> {
        let len = self.nic.receive(self.received)?;
        Some((Received(&self.received[..len]), Sending { nic: &mut self.nic, frame: self.sent }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_, N>> {
        Some(Sending { nic: &mut self.nic, frame: self.sent })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities
    }
}

/// A received frame.
pub(crate) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// A buffer for a frame to send.
pub(crate) struct Sending<'a, N> {
    nic: &'a mut N,
    frame: &'a mut [u8; MAX_FRAME],
}

impl<N: Nic> TxToken for Sending<'_, N> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = &mut self.frame[..len];
        let result = f(frame);
        self.nic.send(frame);
        result
    }
}
