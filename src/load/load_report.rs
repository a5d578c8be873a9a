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
    /// Parent rooms that they were spread over.
    pub rooms: usize,
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
    /// Those of them that the impaired network took.
    pub lost_to_relay: u64,
    /// The others, which are the server's.
    pub lost_by_server: u64,
    /// Datagrams of all kinds that the impaired network dropped, both ways.
    pub relay_dropped: u64,
    /// Those that it brought twice.
    pub relay_copied: u64,
    /// How often it changed somebody's port.
    pub relay_rebinds: u64,
    /// Media packets that came twice.
    pub duplicated: u64,
    /// Media packets of another room, or of another publisher than the slot's.
    pub wrong_group: u64,
    /// Media packets that did not decrypt.
    pub decrypt_failures: u64,
    /// From the time when a packet should have left its publisher to its arrival.
    pub latency_us: Latency,
    /// From the start of a join to the first packet that could be decrypted, of those who came while the
    /// others talked; where nobody came then, to media that can flow.
    pub join_ms: Percentiles,
    /// From the start of any join to media that can flow.
    pub connect_ms: Percentiles,
    /// Those who came while the others talked, and heard something.
    pub joins: u64,
    /// Those who did not get that far.
    pub joins_failed: u64,
    /// Participants of the first cast who were thrown out, or left by the server, before the end.
    pub cut_short: u64,
    /// How many joins a second were begun.
    pub joins_per_second: f64,
    /// People who changed rooms.
    pub moves: u64,
    /// From a request that moves somebody to its ack.
    pub move_ack_ms: Percentiles,
    /// From a mover's "done" to the first packet of the new room.
    pub move_to_first_packet_ms: Percentiles,
    /// Sessions whose breakout rooms were cleared.
    pub clears: u64,
    /// From that request to the first packet of the parent room, for each who was out.
    pub clear_ms: Percentiles,
    /// Sessions whose breakout rooms were destroyed.
    pub destroys: u64,
    /// From that request to the first packet of the parent room, for each who was out.
    pub destroy_ms: Percentiles,
    /// From that request to its ack.
    pub destroy_ack_ms: Percentiles,
    /// Between the first and the last of the destructions that ended the run, in milliseconds.
    pub destroy_spread_ms: f64,
    /// People whom clears and destructions brought home.
    pub brought_home: u64,
    /// Changes of who publishes.
    pub turns: u64,
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
    /// The share of one processor that the thread of the participants' media used.
    pub generator_cpu: f64,
    /// The share of one processor that all threads of the participants used.
    pub tool_cpu: f64,
    /// The share of one processor that the whole server used.
    pub server_cpu: Option<f64>,
    /// Whether the system coalesced what came in.
    pub gro: bool,
    /// What protected the media.
    pub srtp: String,
    /// Whether everything came that had to, and nothing else.
    pub ok: bool,
    /// What was wrong, for people.
    pub problems: Vec<String>,
    /// What was at its limit, or not as planned, for people.
    pub notes: Vec<String>,
    /// `join_ms` of those who came while the others talked.
    #[serde(skip)]
    pub(super) newcomers_ms: Percentiles,
}

impl LoadReport {
    /// The outcome as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<38}{value}");
        };
        line("profile", format!("{}, rate {:.2}, on {}", self.profile, self.rate, self.interface));
        line("server", self.server.clone());
        let (listeners, publishers, rooms) = (self.participants, self.publishers, self.rooms);
        line("listeners / publishers / rooms", format!("{listeners} / {publishers} / {rooms}"));
        line("packets sent / received", format!("{} / {}", self.sent, self.received));
        line("packets lost / twice", format!("{} / {}", self.lost, self.duplicated));
        if self.relay_dropped > 0 {
            line("  of these lost by the server", self.lost_by_server.to_string());
            line("datagrams that the relay dropped", self.relay_dropped.to_string());
        }
        if self.relay_copied + self.relay_rebinds > 0 {
            line(
                "brought twice / changes of port",
                format!("{} / {}", self.relay_copied, self.relay_rebinds),
            );
        }
        line("packets in the wrong room", self.wrong_group.to_string());
        let Latency { p50, p99, p999, max } = self.latency_us;
        line("latency p50 / p99 / p99.9 / max", format!("{p50} / {p99} / {p999} / {max} us"));
        self.tell_people(&mut line);
        self.tell_cost(&mut line);
        for note in &self.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        for problem in &self.problems {
            let _ = writeln!(text, "  problem: {problem}");
        }
        let verdict =
            if self.ok { "Everything came that had to." } else { "Something was wrong; see above." };
        let _ = writeln!(text, "\n{verdict}");
        text
    }

    fn tell_people(&self, line: &mut impl FnMut(&str, String)) {
        let times = |p: Percentiles| format!("{:.1} / {:.1} / {:.1} ms", p.p50, p.p99, p.max);
        if self.joins + self.joins_failed > 0 {
            let (joins, failed, rate) = (self.joins, self.joins_failed, self.joins_per_second);
            line("joins / failed", format!("{joins} / {failed}, {rate:.0} a second"));
            line("join to first packet, p50 / p99 / max", times(self.join_ms));
        }
        line("join to connection, p50 / p99 / max", times(self.connect_ms));
        if self.turns > 0 {
            line("turns of speakers and presenters", self.turns.to_string());
        }
        if self.moves > 0 {
            line("moves", self.moves.to_string());
            line("move, request to ack", times(self.move_ack_ms));
            line("move, ack to first packet", times(self.move_to_first_packet_ms));
        }
        if self.clears > 0 {
            line("clears", self.clears.to_string());
            line("clear, request to parent's media", times(self.clear_ms));
        }
        if self.destroys > 0 {
            let (destroys, home, spread) = (self.destroys, self.brought_home, self.destroy_spread_ms);
            line("destructions", format!("{destroys}, the last ones within {spread:.1} ms"));
            line("people whom they and clears brought", home.to_string());
            line("destroy, request to parent's media", times(self.destroy_ms));
            line("destroy, request to ack", times(self.destroy_ack_ms));
        }
    }

    fn tell_cost(&self, line: &mut impl FnMut(&str, String)) {
        let us = |ns: Option<f64>| ns.map_or("-".to_owned(), |ns| format!("{:.2} us", ns / 1_000.0));
        line("server, processor time per packet", us(self.server_cpu_ns_per_packet));
        line("raw sender, paced / tight", {
            // Beside a server that runs already it is not measured.
            let measured = |ns: f64| us(Some(ns).filter(|ns| *ns > 0.0));
            format!("{} / {}", measured(self.floor_ns_per_packet), measured(self.tight_floor_ns_per_packet))
        });
        let ratio = self.ratio_to_floor.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        line("server by the paced raw sender", ratio);
        let share =
            |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0));
        line("media worker: busiest / idlest", {
            format!("{} / {}", share(self.worker_utilisation), share(self.least_worker_utilisation))
        });
        line("whole server", share(self.server_cpu));
        line("participants: media / all", {
            format!("{} / {}", share(Some(self.generator_cpu)), share(Some(self.tool_cpu)))
        });
        let memory = self.rss_kib_per_participant.map_or("-".to_owned(), |kib| format!("{kib:.1} KiB"));
        line("memory per participant", memory);
        line("SRTP profile", self.srtp.clone());
    }
}
