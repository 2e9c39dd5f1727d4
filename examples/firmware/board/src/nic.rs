//! The interface of an Ethernet controller. Both images poll it from the main loop, never from an interrupt handler.

/// The longest frame in bytes, without its checksum.
pub const MAX_FRAME: usize = 1_514;

/// An Ethernet controller with a queue of received frames.
pub trait Nic {
    /// Reads the controller's MAC address.
    fn mac(&mut self) -> [u8; 6];

    /// Moves the oldest received frame to `frame`, and returns its length without the checksum. `None` if no frame
    /// waits. Drops frames that are broken or longer than [`MAX_FRAME`].
    fn receive(&mut self, frame: &mut [u8; MAX_FRAME]) -> Option<usize>;

    /// Sends a frame of 14 to [`MAX_FRAME`] bytes, without its checksum. A frame of another length is not sent. The
    /// controller pads short frames and adds the checksum.
    fn send(&mut self, frame: &[u8]);

    /// Acknowledges the controller's interrupt, and returns whether a frame waits. If none waits, the next frame raises
    /// the interrupt. If one waits, it may have raised the interrupt already.
    fn arm(&mut self) -> bool;
}

/// How many words of a FIFO carry `len` bytes.
pub(crate) const fn words(len: usize) -> usize {
    len.div_ceil(4)
}

/// Writes the bytes of a FIFO's word, least significant first, to `out` from index `at` on, as many as fit.
pub(crate) fn unpack(word: u32, out: &mut [u8], at: usize) {
    for (place, byte) in out.iter_mut().skip(at).zip(word.to_le_bytes()) {
        *place = byte;
    }
}

/// Makes a FIFO's word of up to four bytes, least significant first. Missing bytes are zero.
pub(crate) fn pack(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    for (place, byte) in word.iter_mut().zip(bytes) {
        *place = *byte;
    }
    u32::from_le_bytes(word)
}

/// Makes the MAC address from two registers: its first four bytes are in `low`, least significant first.
pub(crate) const fn mac(low: u32, high: u32) -> [u8; 6] {
    let ([a, b, c, d], [e, f, ..]) = (low.to_le_bytes(), high.to_le_bytes());
    [a, b, c, d, e, f]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_carries_four_bytes_least_significant_first() {
        assert_eq!(pack(&[1, 2, 3, 4, 5]), 0x0403_0201);
        assert_eq!(pack(&[1, 2]), 0x0201);
        let mut out = [0; 6];
        unpack(0x0403_0201, &mut out, 1);
        assert_eq!(out, [0, 1, 2, 3, 4, 0]);
    }

    #[test]
    fn bytes_of_the_last_word_beyond_the_frame_are_ignored() {
        let mut out = [0; 2];
        unpack(0x0403_0201, &mut out, 1);
        unpack(0x0403_0201, &mut out, 7);
        assert_eq!(out, [0, 1]);
        assert_eq!([0, 1, 4, 5].map(words), [0, 1, 1, 2]);
    }

    #[test]
    fn two_registers_hold_a_mac_address() {
        assert_eq!(mac(0x0000_0002, 0x0b01), [2, 0, 0, 0, 1, 11]);
    }
}
