//! How fast pictures leave for one listener.

use std::time::Duration;

use crate::base::Time;

/// The step in which packets are counted.
const STEP: Duration = Duration::from_millis(5);
/// Packets of one step: 120 Mbit/s of full packets, so that only bursts are spread. A frame that was
/// sent as one stays one; a keyframe of 200 packets takes 15 ms.
const PACKETS: usize = 64;

/// The packets of the current step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    ends: Time,
    sent: usize,
}

impl Pace {
    /// How many packets may leave now.
    pub(super) fn allowance(&mut self, now: Time) -> usize {
        if now >= self.ends {
            *self = Self { ends: now + STEP, sent: 0 };
        }
        PACKETS.saturating_sub(self.sent)
    }

    /// Notes packets that left.
    pub(super) const fn sent(&mut self, packets: usize) {
        self.sent += packets;
    }

    /// When more may leave.
    pub(super) const fn ends(&self) -> Time {
        self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_spread_over_steps() {
        let mut pace = Pace::default();
        let mut now = Time(1_000_000);
        let (mut left, mut steps) = (200, 0);
        while left > 0 {
            let packets = pace.allowance(now).min(left);
            pace.sent(packets);
            assert_eq!(pace.allowance(now), 64 - packets);
            left -= packets;
            steps += 1;
            now = pace.ends();
        }
        assert_eq!((steps, now), (4, Time(1_020_000)));
    }
}
