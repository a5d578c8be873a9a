//! What a load run found, for people and as one JSON object.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::report::Percentiles;

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The 99.9th percentile.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl Latency {
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        if histogram.is_empty() {
            return Self::default();
        }
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: histogram.max() }
    }
}

/// The outcome of a load run. Field names are those of the JSON object.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadReport {
    /// What the participants did.
    pub profile: String,
    /// Which server it was.
    pub server: String,
    /// The interface that everything went over.
    pub interface: String,
    /// Who listened.
    pub participants: usize,
    /// Who published.
    pub publishers: usize,
    /// How much faster than usual publishers sent.
    pub rate: f64,
    /// How long the server held packets, in milliseconds.
    pub hold_ms: u64,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Media packets that publishers sent.
    pub sent: u64,
    /// Media packets that reached listeners.
    pub received: u64,
    /// Media packets that should have reached a listener and did not.
    pub lost: u64,
    /// Media packets that came twice.
    pub duplicated: u64,
    /// Media packets of another room, or of another publisher than the slot's.
    pub wrong_group: u64,
    /// Media packets that did not decrypt.
    pub decrypt_failures: u64,
    /// From the time when a packet should have left its publisher to its arrival.
    pub latency_us: Latency,
    /// From the start of a join to media that can flow.
    pub join_ms: Percentiles,
    /// People who changed rooms.
    pub moves: u64,
    /// From a request that moves somebody to its ack.
    pub move_ack_ms: Percentiles,
    /// From the request that destroys all breakout rooms to its ack, in milliseconds.
    pub destroy_ms: Option<f64>,
    /// From a mover's "done" to the first packet of the new room.
    pub move_to_first_packet_ms: Percentiles,
    /// Processor time of the whole server per packet that reached a listener.
    pub server_cpu_ns_per_packet: Option<f64>,
    /// The share of one processor that the busiest media worker used.
    pub worker_utilisation: Option<f64>,
    /// The same of the least busy one; the same number where there is one worker.
    pub least_worker_utilisation: Option<f64>,
    /// Processor time of a raw sender per packet, at the same rate, sleeping in between.
    pub floor_ns_per_packet: f64,
    /// The same without sleeping.
    pub tight_floor_ns_per_packet: f64,
    /// The server's cost by the paced floor.
    pub ratio_to_floor: Option<f64>,
    /// Resident memory of the server at the end, less what it had before the first client, per
    /// participant.
    pub rss_kib_per_participant: Option<f64>,
    /// The share of one processor that the media of the participants used.
    pub generator_cpu: f64,
    /// Whether the system coalesced what came in.
    pub gro: bool,
    /// What protected the media.
    pub srtp: String,
    /// Whether everything came that had to, and nothing else.
    pub ok: bool,
    /// What was wrong, for people.
    pub problems: Vec<String>,
}

impl LoadReport {
    /// The outcome as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<38}{value}");
        };
        let us = |ns: Option<f64>| ns.map_or("-".to_owned(), |ns| format!("{:.2} us", ns / 1_000.0));
        line("profile", format!("{}, rate {:.2}, on {}", self.profile, self.rate, self.interface));
        line("server", self.server.clone());
        line("listeners / publishers", format!("{} / {}", self.participants, self.publishers));
        line("packets sent / received", format!("{} / {}", self.sent, self.received));
        line("packets lost / twice", format!("{} / {}", self.lost, self.duplicated));
        line("packets in the wrong room", self.wrong_group.to_string());
        let Latency { p50, p99, p999, max } = self.latency_us;
        line("latency p50 / p99 / p99.9 / max", format!("{p50} / {p99} / {p999} / {max} us"));
        line("join, median / p99", format!("{:.1} / {:.1} ms", self.join_ms.p50, self.join_ms.p99));
        if self.moves > 0 {
            let pair = |p: Percentiles| format!("{:.1} / {:.1} ms", p.p50, p.p99);
            line("moves", self.moves.to_string());
            line("move, request to ack, median / p99", pair(self.move_ack_ms));
            line("move, ack to first packet", pair(self.move_to_first_packet_ms));
            let destroyed = self.destroy_ms.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
            line("destroy of all rooms", destroyed);
        }
        line("server, processor time per packet", us(self.server_cpu_ns_per_packet));
        line("raw sender, paced / tight", {
            format!("{} / {}", us(Some(self.floor_ns_per_packet)), us(Some(self.tight_floor_ns_per_packet)))
        });
        let ratio = self.ratio_to_floor.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        line("server by the paced raw sender", ratio);
        let share =
            |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0));
        line("busiest / idlest media worker", {
            format!("{} / {}", share(self.worker_utilisation), share(self.least_worker_utilisation))
        });
        line("the participants' own media", share(Some(self.generator_cpu)));
        let memory = self.rss_kib_per_participant.map_or("-".to_owned(), |kib| format!("{kib:.1} KiB"));
        line("memory per participant", memory);
        line("SRTP profile", self.srtp.clone());
        for problem in &self.problems {
            let _ = writeln!(text, "  problem: {problem}");
        }
        let verdict =
            if self.ok { "Everything came that had to." } else { "Something was wrong; see above." };
        let _ = writeln!(text, "\n{verdict}");
        text
    }
}
