//! The Ethernet controller LAN9118 by SMSC (data sheet, revision 1.5), as on the MPS2 board and in QEMU's `lan9118`.
//!
//! Each received frame has a status word in a separate FIFO: its length with the checksum, and whether it is broken. A
//! frame to send begins with two command words.

use crate::bus::Bus;
use crate::nic::{self, MAX_FRAME, Nic, words};

const RX_DATA: usize = 0x00;
const TX_DATA: usize = 0x20;
const RX_STATUS: usize = 0x40;
const TX_STATUS: usize = 0x48;
const IRQ_CFG: usize = 0x54;
const INT_STS: usize = 0x58;
const INT_EN: usize = 0x5C;
const FIFO_INT: usize = 0x68;
const TX_CFG: usize = 0x70;
const HW_CFG: usize = 0x74;
const RX_FIFO_INF: usize = 0x7C;
const TX_FIFO_INF: usize = 0x80;
const MAC_CSR_CMD: usize = 0xA4;
const MAC_CSR_DATA: usize = 0xA8;

const MAC_CR: u32 = 1;
const ADDRH: u32 = 2;
const ADDRL: u32 = 3;

const SOFT_RESET: u32 = 1;
/// For `HW_CFG`: 5 KiB for frames to send, and bit 16, which "must be one".
const FIFO_SIZES: u32 = 0x0005_0000;
/// For `MAC_CR`: receiver and transmitter on. The controller receives frames to its own address and broadcasts.
const RECEIVE_AND_TRANSMIT: u32 = 0x0C;
const BUSY: u32 = 0x8000_0000;
const READ: u32 = 0x4000_0000;
/// In `INT_STS` and `INT_EN`: the FIFO of status words is above its interrupt level, which is set to 0.
const RECEIVED: u32 = 8;
/// For `IRQ_CFG`: interrupts on; the pin is active high and push-pull.
const INTERRUPT: u32 = 0x111;
/// In the first command word: this is the first and the last part of a frame.
const WHOLE: u32 = 0x3000;
/// In a status word: the frame is broken.
const BROKEN: u32 = 1 << 15;
const CHECKSUM: usize = 4;
/// The most reads of a register in a wait. Nothing here takes this long.
const PATIENCE: usize = 100_000;

/// The controller. On mps2-an385 it is at 0x4020_0000, and its interrupt has number 13.
#[derive(Debug)]
pub struct Lan9118<B> {
    bus: B,
}

impl<B: Bus> Lan9118<B> {
    /// Resets and starts the controller. It must have its MAC address already.
    pub fn new(bus: B) -> Self {
        let mut nic = Self { bus };
        nic.bus.write(HW_CFG, SOFT_RESET);
        nic.wait(HW_CFG, SOFT_RESET);
        nic.bus.write(HW_CFG, FIFO_SIZES);
        nic.write_mac(MAC_CR, RECEIVE_AND_TRANSMIT);
        nic.bus.write(TX_CFG, 2);
        nic.bus.write(FIFO_INT, 0);
        nic.bus.write(IRQ_CFG, INTERRUPT);
        nic.bus.write(INT_EN, RECEIVED);
        nic
    }

    /// Waits until the bits are zero, for [`PATIENCE`] reads: a missing controller must not block the board for ever.
    fn wait(&mut self, register: usize, bits: u32) {
        for _ in 0..PATIENCE {
            if self.bus.read(register) & bits == 0 {
                break;
            }
        }
    }

    fn write_mac(&mut self, register: u32, value: u32) {
        self.bus.write(MAC_CSR_DATA, value);
        self.bus.write(MAC_CSR_CMD, BUSY | register);
        self.wait(MAC_CSR_CMD, BUSY);
    }

    fn read_mac(&mut self, register: u32) -> u32 {
        self.bus.write(MAC_CSR_CMD, BUSY | READ | register);
        self.wait(MAC_CSR_CMD, BUSY);
        self.bus.read(MAC_CSR_DATA)
    }

    fn waiting(&mut self) -> bool {
        self.bus.read(RX_FIFO_INF) & 0x00FF_0000 != 0
    }
}

impl<B: Bus> Nic for Lan9118<B> {
    fn mac(&mut self) -> [u8; 6] {
        nic::mac(self.read_mac(ADDRL), self.read_mac(ADDRH))
    }

    fn receive(&mut self, frame: &mut [u8; MAX_FRAME]) -> Option<usize> {
        while self.waiting() {
            let status = self.bus.read(RX_STATUS);
            let total = (status >> 16 & 0x3FFF) as usize;
            for word in 0..words(total) {
                nic::unpack(self.bus.read(RX_DATA), frame, 4 * word);
            }
            match total.checked_sub(CHECKSUM) {
                Some(len) if len <= MAX_FRAME && status & BROKEN == 0 => return Some(len),
                _ => {}
            }
        }
        None
    }

    fn send(&mut self, frame: &[u8]) {
        if !(14..=MAX_FRAME).contains(&frame.len()) {
            return;
        }
        // Reads the status words of earlier frames. Unread, they fill their FIFO, and the controller stops sending.
        while self.bus.read(TX_FIFO_INF) & 0x00FF_0000 != 0 {
            self.bus.read(TX_STATUS);
        }
        for _ in 0..PATIENCE {
            if (self.bus.read(TX_FIFO_INF) & 0xFFFF) as usize >= frame.len() + 12 {
                break;
            }
        }
        self.bus.write(TX_DATA, WHOLE | frame.len() as u32);
        self.bus.write(TX_DATA, frame.len() as u32);
        for bytes in frame.chunks(4) {
            self.bus.write(TX_DATA, nic::pack(bytes));
        }
    }

    fn arm(&mut self) -> bool {
        // Acknowledged first: a frame that arrives in between is seen below, or raises the interrupt again.
        self.bus.write(INT_STS, RECEIVED);
        self.waiting()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[derive(Default)]
    struct Fake {
        status: VecDeque<u32>,
        incoming: VecDeque<u32>,
        outgoing: Vec<u32>,
        done: u32,
        data: u32,
        acknowledged: u32,
    }

    impl Bus for Fake {
        fn read(&mut self, offset: usize) -> u32 {
            match offset {
                RX_STATUS => self.status.pop_front().unwrap(),
                RX_DATA => self.incoming.pop_front().unwrap(),
                RX_FIFO_INF => (self.status.len() as u32) << 16,
                TX_FIFO_INF => self.done << 16 | 4_608,
                TX_STATUS => {
                    self.done -= 1;
                    0
                }
                HW_CFG | MAC_CSR_CMD => 0,
                MAC_CSR_DATA => self.data,
                _ => panic!("read at {offset:#x}"),
            }
        }

        fn write(&mut self, offset: usize, value: u32) {
            match (offset, value) {
                (TX_DATA, word) => self.outgoing.push(word),
                (MAC_CSR_CMD, 0xC000_0002) => self.data = 0x0B01,
                (MAC_CSR_CMD, 0xC000_0003) => self.data = 0x0000_0002,
                (INT_STS, bits) => self.acknowledged |= bits,
                (HW_CFG | MAC_CSR_CMD | MAC_CSR_DATA | TX_CFG | FIFO_INT | IRQ_CFG | INT_EN, _) => {}
                _ => panic!("{value:#x} written at {offset:#x}"),
            }
        }
    }

    fn waiting(frames: &[(&[u8], u32)]) -> Lan9118<Fake> {
        let mut nic = Lan9118::new(Fake::default());
        for (frame, bits) in frames {
            let mut bytes = frame.to_vec();
            bytes.extend_from_slice(&[0xCC; CHECKSUM]);
            nic.bus.status.push_back((bytes.len() as u32) << 16 | bits);
            nic.bus.incoming.extend(bytes.chunks(4).map(nic::pack));
        }
        nic
    }

    #[test]
    fn frames_of_every_length_are_received_whole_and_in_order() {
        let frame: [u8; MAX_FRAME] = core::array::from_fn(|n| n as u8);
        for len in [0, 1, 2, 3, 4, 5, 14, 60, 61, 62, 63, 1_513, MAX_FRAME] {
            let mut nic = waiting(&[(&frame[..len], 0), (b"next", 0)]);
            let mut received = [0xEE; MAX_FRAME];
            assert_eq!(nic.receive(&mut received), Some(len));
            assert_eq!(received[..len], frame[..len]);
            assert_eq!(nic.receive(&mut received), Some(4));
            assert_eq!(&received[..4], b"next");
            assert_eq!(nic.receive(&mut received), None);
        }
    }

    #[test]
    fn too_long_and_broken_frames_are_dropped_and_the_next_one_is_received() {
        let mut nic = waiting(&[(&[7; MAX_FRAME + 1], 0), (b"broken", BROKEN), (b"next", 0)]);
        let mut received = [0; MAX_FRAME];
        assert_eq!(nic.receive(&mut received), Some(4));
        assert_eq!(&received[..4], b"next");
    }

    #[test]
    fn a_length_shorter_than_the_checksum_is_no_frame() {
        let mut nic = waiting(&[]);
        nic.bus.status.extend([0, 3 << 16]);
        nic.bus.incoming.push_back(0);
        assert_eq!(nic.receive(&mut [0; MAX_FRAME]), None);
        assert!(nic.bus.incoming.is_empty());
    }

    #[test]
    fn a_frame_is_sent_after_two_commands_and_earlier_status_words_are_read() {
        let mut nic = waiting(&[]);
        nic.bus.done = 2;
        let frame: [u8; 17] = core::array::from_fn(|n| n as u8 + 1);
        nic.send(&frame);
        assert_eq!(nic.bus.outgoing, [0x3011, 0x11, 0x0403_0201, 0x0807_0605, 0x0C0B_0A09, 0x100F_0E0D, 0x0000_0011]);
        assert_eq!(nic.bus.done, 0);
    }

    #[test]
    fn a_frame_that_is_too_short_or_too_long_is_not_sent() {
        let mut nic = waiting(&[]);
        nic.send(&[0; 13]);
        nic.send(&[0; MAX_FRAME + 1]);
        assert!(nic.bus.outgoing.is_empty());
    }

    #[test]
    fn arming_acknowledges_the_interrupt_and_reports_a_waiting_frame() {
        let mut nic = waiting(&[(b"frame", 0)]);
        assert!(nic.arm());
        assert!(!waiting(&[]).arm());
        assert_eq!(nic.bus.acknowledged, RECEIVED);
        assert_eq!(nic.mac(), [2, 0, 0, 0, 1, 11]);
    }
}
