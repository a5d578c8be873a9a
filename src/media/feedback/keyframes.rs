//! When to ask a publisher for a keyframe.

use std::time::Duration;

use crate::base::Time;

/// The least time between two requests to one stream: listeners' wishes are joined.
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);

/// The requests of all listeners of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyframeRequests {
    wanted: bool,
    sent_at: Option<Time>,
}

impl KeyframeRequests {
    /// Somebody needs a keyframe.
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// A keyframe has come.
    pub(crate) const fn arrived(&mut self) {
        self.wanted = false;
    }

    /// Whether somebody waits.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether to ask now.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.wanted && self.sent_at.is_none_or(|sent| now.since(sent) >= INTERVAL)
    }

    /// Notes that a request leaves now. Whoever still waits afterwards says so again.
    pub(crate) const fn sent(&mut self, now: Time) {
        self.wanted = false;
        self.sent_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_wishes_are_two_requests_a_second() {
        let mut requests = KeyframeRequests::default();
        let mut sent = 0;
        for ms in 0..5_000 {
            let now = Time(1_000_000) + Duration::from_millis(ms);
            requests.want();
            if requests.is_due(now) {
                requests.sent(now);
                sent += 1;
            }
        }
        assert_eq!(sent, 10);
    }
}
