//! What happened in a run: a number that stands for all of it, and lines for people.

use std::collections::VecDeque;
use std::fmt::Arguments;

use crate::base::Time;

/// Lines that wait to be taken; the oldest give way.
const MOST_LINES: usize = 1 << 16;

/// A running hash of everything that happened, and the lines of what is worth reading.
#[derive(Debug)]
pub(super) struct Trace {
    start: Time,
    hash: u64,
    lines: Option<VecDeque<String>>,
}

impl Trace {
    /// An empty trace; it keeps lines if it is to.
    pub(super) fn new(start: Time, keeps_lines: bool) -> Self {
        Self { start, hash: 0xcbf2_9ce4_8422_2325, lines: keeps_lines.then(VecDeque::new) }
    }

    /// Notes that something happened.
    pub(super) const fn note(&mut self, now: Time, what: u64, who: u64) {
        self.mix(now.0);
        self.mix((what << 32) ^ who);
    }

    /// Notes something worth reading.
    pub(super) fn line(&mut self, now: Time, text: Arguments<'_>) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() >= MOST_LINES {
            lines.pop_front();
        }
        let at = now.since(self.start).as_secs_f64();
        lines.push_back(format!("{at:12.6} {text}"));
    }

    /// Whether lines are kept.
    pub(super) const fn keeps_lines(&self) -> bool {
        self.lines.is_some()
    }

    /// The lines since the last time.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        self.lines.as_mut().map(|lines| lines.drain(..).collect()).unwrap_or_default()
    }

    /// The number that stands for everything so far.
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    const fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
}
