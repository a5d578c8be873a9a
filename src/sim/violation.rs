//! What must never happen, and what did.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::Time;

/// The invariants that the judge checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// A participant is in one room and one group, on one worker.
    I1,
    /// Media comes from members of the listener's group only.
    I2,
    /// A participant's media reaches members of its own group only.
    I3,
    /// After the answer to a move nothing of the old group leaves.
    I4,
    /// Revoke before grant: nobody is in two groups at any instant.
    I5,
    /// Who is brought back has the parent room's media again.
    I6,
    /// What has ended leaves nothing behind.
    I7,
    /// Late and repeated commands have no effect.
    I8,
    /// Never two different packets under one key, SSRC and index.
    I9,
    /// Sequence numbers of a slot never repeat or leap, its timestamps never go back or run ahead.
    I10,
    /// The first sequence number of a stream is below 32,768.
    I11,
    /// Who is paused, muted or may not publish is not heard.
    I12,
    /// What is not authenticated is dropped, counted and not answered.
    I13,
    /// No media before the handshake is done with the right certificate.
    I14,
    /// Payloads are forwarded as they were published.
    I15,
    /// Every queue has a cap.
    I17,
    /// Conservation: what comes in goes out or is counted.
    I18,
    /// Control, its events, the media plane and what clients were told agree.
    I19,
    /// Roles rise by a token or a moderator only.
    I21,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, from the beginning of the simulation.
    pub at_seconds: u64,
    /// What was violated.
    pub invariant: Invariant,
    /// How.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} s: {}", self.invariant, self.at_seconds, self.text)
    }
}

/// Violations that are kept with their text.
const MOST_EXAMPLES: usize = 32;

/// All violations of a run.
#[derive(Debug)]
pub(super) struct Violations {
    start: Time,
    counts: BTreeMap<Invariant, u64>,
    checks: BTreeMap<Invariant, u64>,
    examples: Vec<Violation>,
}

impl Violations {
    /// None yet.
    pub(super) const fn new(start: Time) -> Self {
        Self { start, counts: BTreeMap::new(), checks: BTreeMap::new(), examples: Vec::new() }
    }

    /// Notes one.
    pub(super) fn note(&mut self, now: Time, invariant: Invariant, text: impl FnOnce() -> String) {
        *self.counts.entry(invariant).or_default() += 1;
        if self.examples.len() < MOST_EXAMPLES {
            let at_seconds = now.since(self.start).as_secs();
            self.examples.push(Violation { at_seconds, invariant, text: text() });
        }
    }

    /// Notes that something was looked at so many times.
    pub(super) fn checked(&mut self, invariant: Invariant, times: u64) {
        *self.checks.entry(invariant).or_default() += times;
    }

    /// How often each was looked at.
    pub(super) const fn checks(&self) -> &BTreeMap<Invariant, u64> {
        &self.checks
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// How many there were of one sort.
    pub(super) fn count(&self, invariant: Invariant) -> u64 {
        self.counts.get(&invariant).copied().unwrap_or(0)
    }

    /// The first ones.
    pub(super) fn examples(&self) -> &[Violation] {
        &self.examples
    }

    /// How many of each.
    pub(super) fn counts(&self) -> &BTreeMap<Invariant, u64> {
        &self.counts
    }
}
