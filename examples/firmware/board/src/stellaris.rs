//! The Ethernet controller of TI's Stellaris LM3S6965 (data sheet, chapter 17), as in QEMU's `stellaris`.
//!
//! A received frame is read as words. The first half of the first word is a length: the frame's, plus 2 bytes for the
//! length itself and 4 for the checksum. Then follow the frame and the checksum. A frame to send is written as words.
//! The first half of the first word is the frame's length without the 14 bytes of the Ethernet header. Then follows the
//! frame.
//!
//! QEMU filters no addresses: every frame on the segment is received, and smoltcp drops those for other hosts.

use crate::bus::Bus;
use crate::nic::{self, MAX_FRAME, Nic, words};

const RIS_IACK: usize = 0x00;
const IM: usize = 0x04;
const RCTL: usize = 0x08;
const TCTL: usize = 0x0C;
const DATA: usize = 0x10;
const IA0: usize = 0x14;
const IA1: usize = 0x18;
const NP: usize = 0x34;
const TR: usize = 0x38;

/// In `RIS_IACK` and `IM`: a frame has been received.
const RECEIVED: u32 = 1;
const RESET_FIFO: u32 = 0x10;
const RECEIVE: u32 = 1;
/// For `TCTL`: on, with full duplex, checksums and padding.
const TRANSMIT: u32 = 0x0F;
const HEADER: usize = 14;
/// The bytes that a received frame's length counts besides the frame: the length itself, and the checksum.
const EXTRA: usize = 2 + 4;
/// The most reads of a register while a frame leaves. At 10 Mbit/s that takes 1.2 ms, in which none of these processors
/// makes this many. QEMU sends at once.
const PATIENCE: usize = 100_000;

/// The controller. It is at 0x4004_8000, and its interrupt has number 42.
#[derive(Debug)]
pub struct Stellaris<B> {
    bus: B,
}

impl<B: Bus> Stellaris<B> {
    /// Starts the controller. It must have its clock and its MAC address already.
    pub fn new(mut bus: B) -> Self {
        bus.write(RCTL, RESET_FIFO);
        bus.write(IM, RECEIVED);
        bus.write(TCTL, TRANSMIT);
        bus.write(RCTL, RECEIVE);
        Self { bus }
    }

    /// Drops all waiting frames: after an impossible length it is unknown where the next frame begins.
    fn reset_fifo(&mut self) {
        self.bus.write(RCTL, RESET_FIFO);
        self.bus.write(RCTL, RECEIVE);
    }
}

impl<B: Bus> Nic for Stellaris<B> {
    fn mac(&mut self) -> [u8; 6] {
        nic::mac(self.bus.read(IA0), self.bus.read(IA1))
    }

    fn receive(&mut self, frame: &mut [u8; MAX_FRAME]) -> Option<usize> {
        while self.bus.read(NP) != 0 {
            let first = self.bus.read(DATA);
            let total = (first & 0xFFFF) as usize;
            let Some(len) = total.checked_sub(EXTRA) else {
                self.reset_fifo();
                return None;
            };
            nic::unpack(first >> 16, &mut frame[..2], 0);
            for word in 1..words(total) {
                nic::unpack(self.bus.read(DATA), frame, 4 * word - 2);
            }
            if len <= MAX_FRAME {
                return Some(len);
            }
        }
        None
    }

    fn send(&mut self, frame: &[u8]) {
        if !(HEADER..=MAX_FRAME).contains(&frame.len()) {
            return;
        }
        for _ in 0..PATIENCE {
            if self.bus.read(TR) & 1 == 0 {
                break;
            }
        }
        let (start, rest) = frame.split_at(2);
        self.bus.write(DATA, (frame.len() - HEADER) as u32 | nic::pack(start) << 16);
        for bytes in rest.chunks(4) {
            self.bus.write(DATA, nic::pack(bytes));
        }
        self.bus.write(TR, 1);
    }

    fn arm(&mut self) -> bool {
        // Acknowledged first: a frame that arrives in between is seen below, or raises the interrupt again.
        self.bus.write(RIS_IACK, RECEIVED);
        self.bus.read(NP) != 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[derive(Default)]
    struct Fake {
        frames: usize,
        incoming: VecDeque<u32>,
        outgoing: Vec<u32>,
        sent: usize,
        acknowledged: u32,
    }

    impl Bus for Fake {
        fn read(&mut self, offset: usize) -> u32 {
            match offset {
                DATA => self.incoming.pop_front().unwrap(),
                NP => u32::from(!self.incoming.is_empty()) * self.frames as u32,
                IA0 => 0x0000_0002,
                IA1 => 0x0B01,
                TR => 0,
                _ => panic!("read at {offset:#x}"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            match (offset, value) {
                (DATA, word) => self.outgoing.push(word),
                (TR, 1) => self.sent += 1,
                (RCTL, RESET_FIFO) => self.incoming.clear(),
                (RIS_IACK, bits) => self.acknowledged |= bits,
                (IM | RCTL | TCTL, _) => {}
                _ => panic!("{value:#x} written at {offset:#x}"),
            }
        }
    }

    fn waiting(frames: &[&[u8]]) -> Stellaris<Fake> {
        let mut nic = Stellaris::new(Fake { frames: frames.len(), ..Fake::default() });
        for frame in frames {
            let mut bytes = ((frame.len() + EXTRA) as u16).to_le_bytes().to_vec();
            bytes.extend_from_slice(frame);
            bytes.extend_from_slice(&[0xCC; 4]);
            nic.bus.incoming.extend(bytes.chunks(4).map(nic::pack));
        }
        nic
    }

    #[test]
    fn frames_of_every_length_are_received_whole_and_in_order() {
        let frame: [u8; MAX_FRAME] = core::array::from_fn(|n| n as u8);
        for len in [0, 1, 2, 3, 4, 5, 14, 60, 61, 62, 63, 1_513, MAX_FRAME] {
            let mut nic = waiting(&[&frame[..len], b"next"]);
            let mut received = [0xEE; MAX_FRAME];
            assert_eq!(nic.receive(&mut received), Some(len));
            assert_eq!(received[..len], frame[..len]);
            assert_eq!(nic.receive(&mut received), Some(4));
            assert_eq!(&received[..4], b"next");
            assert_eq!(nic.receive(&mut received), None);
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_dropped_and_the_next_one_is_received() {
        let mut nic = waiting(&[&[7; MAX_FRAME + 1], b"next"]);
        let mut received = [0; MAX_FRAME];
        assert_eq!(nic.receive(&mut received), Some(4));
        assert_eq!(&received[..4], b"next");
    }

    #[test]
    fn an_impossible_length_empties_the_fifo() {
        let mut nic = waiting(&[b"next"]);
        nic.bus.incoming.push_front(5);
        assert_eq!(nic.receive(&mut [0; MAX_FRAME]), None);
        assert!(nic.bus.incoming.is_empty());
    }

    #[test]
    fn a_frame_is_sent_after_its_length_without_the_header() {
        let mut nic = waiting(&[]);
        let frame: [u8; 17] = core::array::from_fn(|n| n as u8 + 1);
        nic.send(&frame);
        assert_eq!(nic.bus.outgoing, [0x0201_0003, 0x0605_0403, 0x0A09_0807, 0x0E0D_0C0B, 0x0011_100F]);
        assert_eq!(nic.bus.sent, 1);
    }

    #[test]
    fn a_frame_that_is_too_short_or_too_long_is_not_sent() {
        let mut nic = waiting(&[]);
        nic.send(&[0; 13]);
        nic.send(&[0; MAX_FRAME + 1]);
        assert_eq!((nic.bus.outgoing.len(), nic.bus.sent), (0, 0));
    }

    #[test]
    fn arming_acknowledges_the_interrupt_and_reports_a_waiting_frame() {
        let mut nic = waiting(&[b"frame"]);
        assert!(nic.arm());
        assert!(!waiting(&[]).arm());
        assert_eq!(nic.bus.acknowledged, RECEIVED);
        assert_eq!(nic.mac(), [2, 0, 0, 0, 1, 11]);
    }
}
