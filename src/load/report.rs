//! What the demo found, for people and as one JSON object.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

/// The median, the 99th percentile and the longest of durations, in milliseconds; zero where there is
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Percentiles {
    /// The percentiles of `durations` by nearest rank.
    #[must_use]
    pub fn of(durations: &[Duration]) -> Self {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(rank).map_or(0.0, |found| (found.as_secs_f64() * 1e6).round() / 1e3)
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

/// The outcome of a demo. Field names are those of the JSON object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DemoReport {
    /// Whether everything was as it has to be.
    pub ok: bool,
    /// Participants in the meeting.
    pub participants: usize,
    /// Breakout rooms at once.
    pub breakouts: usize,
    /// Participants who changed group, each change counted.
    pub moves: u64,
    /// Packets that reached a participant in another group than the one that they were sent into.
    pub wrong_group_packets: u64,
    /// Packets that reached a listener.
    pub forwarded_packets: u64,
    /// Gaps in the sequence numbers of slots.
    pub lost_packets: u64,
    /// Packets that a listener could not decrypt.
    pub decrypt_failures: u64,
    /// From the start of the WebSocket to media that can flow.
    pub join_ms: Percentiles,
    /// From a request that moves people to its ack.
    pub move_ack_ms: Percentiles,
    /// From the mover's "done" to the first audio packet of the new room; 0 if that came first.
    pub move_to_first_packet_ms: Percentiles,
    /// What protected the media.
    pub srtp: String,
    /// What was wrong, for people.
    #[serde(skip)]
    pub problems: Vec<String>,
}

impl DemoReport {
    /// The verdict as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<34}{value}");
        };
        let pair = |p: Percentiles| format!("{:.1} ms median, {:.1} ms p99", p.p50, p.p99);
        line("participants", self.participants.to_string());
        line("breakout rooms", self.breakouts.to_string());
        line("moves between rooms", self.moves.to_string());
        line("packets heard or seen", self.forwarded_packets.to_string());
        line("packets in the wrong room", self.wrong_group_packets.to_string());
        line("packets lost", self.lost_packets.to_string());
        line("packets that did not decrypt", self.decrypt_failures.to_string());
        line("join", pair(self.join_ms));
        line("move, request to ack", pair(self.move_ack_ms));
        line("move, ack to first packet", pair(self.move_to_first_packet_ms));
        line("SRTP profile", self.srtp.clone());
        for problem in &self.problems {
            let _ = writeln!(text, "  problem: {problem}");
        }
        let verdict = if self.ok {
            "Everybody heard their own room and nobody heard another."
        } else {
            "Something was wrong; see above."
        };
        let _ = writeln!(text, "\n{verdict}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_go_by_nearest_rank() {
        let durations: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(Percentiles::of(&durations), Percentiles { p50: 50.0, p99: 99.0, max: 100.0 });
        assert_eq!(Percentiles::of(&durations[..1]), Percentiles { p50: 1.0, p99: 1.0, max: 1.0 });
        assert_eq!(Percentiles::of(&[]), Percentiles::default());
    }
}
