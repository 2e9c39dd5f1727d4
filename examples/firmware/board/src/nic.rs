//! An Ethernet controller, as both images use it: asked from the main loop, never from an interrupt.

/// The longest frame, without its checksum.
pub const MAX_FRAME: usize = 1_514;

/// An Ethernet controller that keeps some received frames until they are taken.
pub trait Nic {
    /// The address it has been given.
    fn mac(&mut self) -> [u8; 6];

    /// Takes the frame that waits longest into `frame`, and tells its length without the checksum. Frames that are broken or longer
    /// than [`MAX_FRAME`] are dropped on the way.
    fn receive(&mut self, frame: &mut [u8; MAX_FRAME]) -> Option<usize>;

    /// Sends a frame of 14 to [`MAX_FRAME`] bytes, without its checksum; others are not sent. The controller pads short ones.
    fn send(&mut self, frame: &[u8]);

    /// Whether a frame waits. If none does, the next one raises the controller's interrupt; if one does, it may have.
    fn arm(&mut self) -> bool;
}

/// The words of a FIFO that carries `len` bytes.
pub(crate) const fn words(len: usize) -> usize {
    len.div_ceil(4)
}

/// Writes the bytes of a FIFO's word, least significant first, to `out` from `at` on, as far as it reaches.
pub(crate) fn unpack(word: u32, out: &mut [u8], at: usize) {
    for (place, byte) in out.iter_mut().skip(at).zip(word.to_le_bytes()) {
        *place = byte;
    }
}

/// The FIFO's word of up to four bytes, least significant first; what is missing is zero.
pub(crate) fn pack(bytes: &[u8]) -> u32 {
    let mut word = [0; 4];
    for (place, byte) in word.iter_mut().zip(bytes) {
        *place = *byte;
    }
    u32::from_le_bytes(word)
}

/// The address that two registers hold, its first four bytes in `low`, least significant first.
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
    fn a_last_word_may_reach_beyond_the_frame() {
        let mut out = [0; 2];
        unpack(0x0403_0201, &mut out, 1);
        unpack(0x0403_0201, &mut out, 7);
        assert_eq!(out, [0, 1]);
        assert_eq!([0, 1, 4, 5].map(words), [0, 1, 1, 2]);
    }

    #[test]
    fn an_address_lies_in_two_registers() {
        assert_eq!(mac(0x0000_0002, 0x0b01), [2, 0, 0, 0, 1, 11]);
    }
}
