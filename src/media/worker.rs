//! One media worker: its own socket's datagrams in, datagrams out.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::settings::MediaSettings;
use super::statistics::WorkerStatistics;
use crate::base::{Random, Time};
use crate::message::{MediaCommand, MediaReport};
use crate::transport::{Path, TimeAnchor};

/// What one worker is told when it is made.
#[derive(Clone, Debug, Default)]
pub struct WorkerSettings {
    /// The addresses that clients reach this worker's socket at: the candidates of its answers.
    pub advertised: Vec<SocketAddr>,
    /// What the operator set.
    pub media: MediaSettings,
}

/// Why a worker could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// No certificate could be made.
    #[error("the worker's DTLS certificate could not be made: {0}")]
    Identity(String),
}

/// One datagram to send, or a run of datagrams of one size to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub path: Path,
    /// How many bytes of the buffer.
    pub len: usize,
    /// For a run: the size of each datagram; only the last may be shorter.
    pub segment_size: Option<usize>,
}

/// One media worker.
pub struct Worker {
    reports: VecDeque<MediaReport>,
    statistics: WorkerStatistics,
}

impl Worker {
    /// A worker without participants.
    ///
    /// # Errors
    ///
    /// When its DTLS certificate cannot be made.
    pub fn new(settings: WorkerSettings, random: Random, anchor: TimeAnchor) -> Result<Self, WorkerError> {
        let _ = (settings, random, anchor);
        Ok(Self { reports: VecDeque::new(), statistics: WorkerStatistics::default() })
    }

    /// Applies one command. What it changes is true when this returns.
    pub fn handle_command(&mut self, now: Time, command: MediaCommand) {
        let _ = (now, command);
    }

    /// Takes one datagram from the socket; it is opened in place.
    pub fn handle_datagram(&mut self, now: Time, path: Path, datagram: &mut [u8]) {
        let _ = (now, path, datagram);
    }

    /// Says that what the socket had was handed in.
    pub fn end_batch(&mut self, now: Time) {
        let _ = now;
    }

    /// Writes the next datagram or run into `buffer` (65,536 bytes); call until `None`.
    pub fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<Transmit> {
        let _ = (now, buffer);
        None
    }

    /// The next report for control.
    pub fn poll_report(&mut self) -> Option<MediaReport> {
        self.reports.pop_front()
    }

    /// When [`Self::handle_timeout`] is due; `None` while nothing is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        None
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        let _ = now;
    }

    /// The counters.
    #[must_use]
    pub const fn statistics(&self) -> &WorkerStatistics {
        &self.statistics
    }
}
