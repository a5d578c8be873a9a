//! Whether a worker gets less processor time than its packets take.
//!
//! Then its sockets overflow, and the system throws sound away as it does pictures. So it takes no pictures
//! for a while: they cost the most, and a meeting without sound is none.

use std::time::Duration;

use crate::base::Time;

/// What is in the sockets is more than one turn takes for this long: no burst lasts as long.
const BEHIND: Duration = Duration::from_millis(500);
/// How long pictures stay out: one that comes back needs a keyframe, which costs as well.
const RESPITE: Duration = Duration::from_secs(1);

/// One worker's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overload {
    behind_since: Option<Time>,
    until: Time,
}

impl Overload {
    /// Notes whether a turn has left something in a socket.
    pub(super) fn note(&mut self, now: Time, is_behind: bool) {
        if !is_behind {
            self.behind_since = None;
        } else if now.since(*self.behind_since.get_or_insert(now)) >= BEHIND {
            self.until = now + RESPITE;
        }
    }

    /// Whether something was left in a socket.
    pub(super) const fn is_behind(&self) -> bool {
        self.behind_since.is_some()
    }

    /// Whether pictures stay out.
    pub(super) fn is_on(&self, now: Time) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_all_the_time_gets_a_respite_and_who_catches_up_needs_none() {
        let mut overload = Overload::default();
        let at = |ms| Time(1_000_000) + Duration::from_millis(ms);
        for ms in 0..1_000 {
            overload.note(at(ms), ms % 450 != 0);
            assert!(!overload.is_on(at(ms)));
        }
        for ms in 1_000..1_600 {
            overload.note(at(ms), true);
            assert_eq!(overload.is_on(at(ms)), ms >= 1_401, "{ms}");
        }
        overload.note(at(1_610), false);
        assert!(overload.is_on(at(2_590)) && !overload.is_on(at(2_610)));
    }
}
