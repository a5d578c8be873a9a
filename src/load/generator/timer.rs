//! A timer that a poll can wait for, finer than the poll's own milliseconds.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// One alarm.
pub(super) struct Timer(TimerFd);

impl Timer {
    /// A timer that shows as `token`.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let fd = timer.as_fd().as_raw_fd();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
        Ok(Self(timer))
    }

    /// Shows after `wait`, once, instead of when it was set to before.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn set(&self, wait: Duration) -> io::Result<()> {
        // Zero would switch it off.
        let wait = wait.max(Duration::from_nanos(1));
        Ok(self.0.set(Expiration::OneShot(wait.into()), TimerSetTimeFlags::empty())?)
    }
}
