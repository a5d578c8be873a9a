//! Whether newcomers are let in: not while memory is short, and not while the server stops.

use std::time::Duration;

use crate::base::Time;
use crate::message::Intake;
use crate::telemetry::{Metrics, memory_limit_bytes, resident_bytes};

/// How often memory is looked at: people who join as fast as they can take less than a hundredth of it
/// meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Of the limit, in hundredths, from where on nobody new is let in. What is left is for those who are
/// here: they talk, move and come back.
const SHORT_FROM: u64 = 90;

/// Below that there is enough again. What those who came have taken for a moment goes back in seconds: at one
/// mark the door would open and shut with it.
const ENOUGH_BELOW: u64 = 85;

/// Looks at memory now and then.
pub(super) struct Gate {
    /// Bytes that the process may have; nothing if as many as there are.
    limit: Option<u64>,
    look_at: Time,
    intake: Intake,
}

impl Gate {
    /// `configured` limits the process in bytes; 0 leaves that to its control group, whose limit counts in
    /// any case.
    pub(super) fn new(configured: u64, metrics: &Metrics) -> Self {
        let limit = [Some(configured).filter(|bytes| *bytes > 0), memory_limit_bytes()];
        let limit = limit.into_iter().flatten().min();
        metrics.memory_limit_bytes.set(whole(limit.unwrap_or(0)));
        Self { limit, look_at: Time::default(), intake: Intake::Open }
    }

    /// Looks if it is time; answers what has changed.
    pub(super) fn look(&mut self, now: Time, metrics: &Metrics) -> Option<Intake> {
        if now < self.look_at {
            return None;
        }
        self.look_at = now + LOOK_EVERY;
        let resident = resident_bytes(std::process::id())?;
        metrics.resident_bytes.set(whole(resident));
        self.judge(resident)
    }

    fn judge(&mut self, resident: u64) -> Option<Intake> {
        let mark = if self.intake == Intake::ShortOfMemory { ENOUGH_BELOW } else { SHORT_FROM };
        let is_short = self.limit.is_some_and(|limit| resident >= limit / 100 * mark);
        let intake = if is_short { Intake::ShortOfMemory } else { Intake::Open };
        if self.intake == Intake::Stopping || self.intake == intake {
            return None;
        }
        let (limit, resident) = (self.limit.unwrap_or(0), resident);
        if is_short {
            tracing::error!(resident, limit, "memory is short: nobody new is let in");
        } else {
            tracing::warn!(resident, limit, "there is memory again: newcomers are let in");
        }
        self.intake = intake;
        Some(intake)
    }

    /// The server stops: nobody new is let in any more.
    pub(super) const fn shut(&mut self) -> Intake {
        self.intake = Intake::Stopping;
        self.intake
    }
}

fn whole(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shuts_at_nine_tenths_and_opens_again_with_some_to_spare() {
        let metrics = Metrics::new().unwrap();
        let mut gate = Gate::new(1_000, &metrics);
        assert_eq!(metrics.memory_limit_bytes.get(), 1_000);
        assert_eq!(
            [899, 900, 5_000].map(|bytes| gate.judge(bytes)),
            [None, Some(Intake::ShortOfMemory), None]
        );
        assert_eq!([899, 850].map(|bytes| gate.judge(bytes)), [None, None]);
        assert_eq!([849, 899].map(|bytes| gate.judge(bytes)), [Some(Intake::Open), None]);
        assert_eq!(gate.shut(), Intake::Stopping);
        assert_eq!([5_000, 10].map(|bytes| gate.judge(bytes)), [None, None]);
    }
}
