//! How many datagrams are lost, and how often a request must therefore be sent.

/// How many times as many attempts are made when much is lost.
pub(super) const MOST_TIMES: u8 = 3;

/// How much is lost: the attempts that got a response and those that didn't, of requests that got one in the end.
/// Requests without a response don't count, because the node may be dead. Those to strangers don't count either: one
/// that responds only to later attempts would make this node ask others more often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    responded: u16,
    lost: u16,
}

impl Loss {
    pub(super) const NONE: Self = Self { responded: 0, lost: 0 };
    /// How many attempts count. Beyond this number both counts are halved, so that older attempts count less and less.
    const MEMORY: u16 = 128;
    /// At most one in 2^17 requests to a live node may fail: fewer than one in 100,000.
    const RARE: u32 = 17;

    /// A request got a response, after some attempts that timed out.
    pub(super) const fn responded(&mut self, timeouts: u8) {
        self.responded = self.responded.saturating_add(1);
        self.lost = self.lost.saturating_add(timeouts as u16);
        if self.responded.saturating_add(self.lost) > Self::MEMORY {
            *self = Self { responded: self.responded / 2, lost: self.lost / 2 };
        }
    }

    /// How many attempts it takes until the loss of all of them is rare: `least` to three times as many.
    pub(super) fn attempts(self, least: u8) -> u8 {
        // The part that is lost, in units of 2^-16.
        let lost =
            (u32::from(self.lost) << 16).checked_div(self.responded.saturating_add(self.lost).into()).unwrap_or(0);
        // How likely the loss of all attempts is, in units of 2^-32.
        let (mut attempts, mut all) = (0_u8, 1_u64 << 32);
        while attempts < least || (all > 1 << (32 - Self::RARE) && attempts < least.saturating_mul(MOST_TIMES)) {
            all = (all * u64::from(lost)) >> 16;
            attempts += 1;
        }
        attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_up_to_three_times_as_often_when_more_is_lost() {
        let attempts_at = |timeouts: &[u8]| {
            let mut loss = Loss::NONE;
            for index in 0..1_000 {
                loss.responded(timeouts[index % timeouts.len()]);
            }
            assert!(loss.responded + loss.lost <= Loss::MEMORY);
            loss.attempts(3)
        };
        assert_eq!(Loss::NONE.attempts(3), 3);
        assert_eq!(attempts_at(&[0]), 3);
        // One of ten attempts is lost, as with 5 % loss each way; and one of three, as with 20 %.
        assert_eq!(attempts_at(&[0, 0, 0, 0, 0, 0, 0, 0, 1]), 6);
        assert_eq!(attempts_at(&[0, 1]), 9);
        assert_eq!(attempts_at(&[9]), 9);
    }
}
