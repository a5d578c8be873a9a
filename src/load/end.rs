//! When a measurement ends: after as long as was asked for, or once it is stopped.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::sleep;

use crate::base::Time;
use crate::telemetry::Clock;

/// Comes when a run is to end early. All parts of a run wait for the same one.
#[derive(Clone)]
pub(super) struct Stop(Shared<BoxFuture<'static, ()>>);

impl Stop {
    pub(super) fn when(stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(stop.boxed().shared())
    }

    pub(super) async fn comes(&self) {
        self.0.clone().await;
    }
}

/// The end of a measurement.
pub(super) struct End {
    clock: Clock,
    planned: Time,
    stop: Stop,
}

impl End {
    /// The end of one that lasts so long from `began` on, if nothing stops it.
    pub(super) fn new(clock: Clock, began: Time, lasts: Duration, stop: Stop) -> Self {
        Self { clock, planned: began + lasts, stop }
    }

    /// Waits until a moment, or until the end if that is first; answers whether it was the moment.
    pub(super) async fn is_after(&self, moment: Time) -> bool {
        let wait = sleep(self.clock.until(moment.min(self.planned)));
        tokio::select! {
            biased;
            () = self.stop.comes() => false,
            () = wait => moment < self.planned,
        }
    }

    /// Waits until it has come.
    pub(super) async fn comes(&self) {
        self.is_after(self.planned).await;
    }

    /// How long it is until then, if nothing stops it.
    pub(super) fn left(&self) -> Duration {
        self.clock.until(self.planned)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn what_is_due_before_the_end_is_waited_for() {
        let clock = Clock::start();
        let began = clock.now();
        let end = End::new(clock, began, NEVER, Stop::when(pending()));
        assert!(end.is_after(began + SOON).await);
        assert!(clock.now() >= began + SOON);
    }

    #[tokio::test]
    async fn what_is_due_behind_the_end_never_comes() {
        let clock = Clock::start();
        let began = clock.now();
        let end = End::new(clock, began, SOON, Stop::when(pending()));
        assert!(!end.is_after(began + NEVER).await);
        end.comes().await;
        assert!(clock.now() >= began + SOON);
    }

    #[tokio::test]
    async fn a_stop_is_the_end_for_all_who_wait() {
        let clock = Clock::start();
        let began = clock.now();
        let end = End::new(clock, began, NEVER, Stop::when(ready(())));
        assert_eq!(tokio::join!(end.is_after(began + NEVER), end.is_after(began)), (false, false));
        end.comes().await;
    }
}
