//! Every metric of the server, by name.

use prometheus::{
    Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// From 50 us, a step on an idle worker, to 3 s, when a request gives up waiting for media.
const BUCKETS_SECONDS: &[f64] = &[0.000_05, 0.000_2, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 3.0];

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The value of the label `reason`.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

reasons!(
    /// Why a client got no WebSocket.
    RefusedLink {
        /// The token was missing or not valid.
        Token = "token",
        /// The page that asked is not allowed to.
        Origin = "origin",
        /// The server is stopping.
        Stopping = "stopping",
        /// The server is short of memory.
        Memory = "memory",
        /// The server has too much to do already.
        Overloaded = "overloaded",
    }
);

reasons!(
    /// Why a client's frame was not handed to control.
    RefusedFrame {
        /// It is no request.
        Malformed = "malformed",
        /// The client sends too many.
        Rate = "rate",
        /// It is binary.
        Binary = "binary",
    }
);

reasons!(
    /// Why the edge itself dropped a packet.
    DropReason {
        /// The socket took no more.
        SocketFull = "socket_full",
        /// Another media worker took no more.
        HandoverFull = "handover_full",
        /// The system refused to send it.
        SendFailed = "send_failed",
        /// No socket can reach the address.
        NoSocket = "no_socket",
    }
);

/// How much of everything is there, as control says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Parent rooms.
    pub rooms: usize,
    /// Live breakout rooms.
    pub breakout_rooms: usize,
    /// Participants connected or held.
    pub participants: usize,
}

/// The server's metrics. Cheap to clone: clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    rooms: IntGauge,
    breakout_rooms: IntGauge,
    participants: IntGauge,
    /// WebSockets and embedders' links that are open.
    pub links: IntGauge,
    /// WebSockets and embedders' links that were ever opened.
    pub links_opened: IntCounter,
    /// Bytes of memory that the process has.
    pub resident_bytes: IntGauge,
    /// Bytes of memory that it may have; 0 where nothing limits them.
    pub memory_limit_bytes: IntGauge,
    /// Connections refused because there were as many as the server takes.
    pub connections_refused: IntCounter,
    /// Links closed because the client read too slowly.
    pub links_too_slow: IntCounter,
    links_refused: IntCounterVec,
    /// Requests handed to control.
    pub requests: IntCounter,
    frames_refused: IntCounterVec,
    /// Participants placed into a group.
    pub moves: IntCounter,
    /// Pauses of the pictures of listeners whose links were full.
    pub listener_pauses: IntCounter,
    /// From the command to the worker's report.
    pub move_apply_seconds: Histogram,
    /// Datagrams received.
    pub datagrams_received: IntCounter,
    /// Bytes of datagrams received.
    pub bytes_received: IntCounter,
    /// Bytes of datagrams sent.
    pub bytes_sent: IntCounter,
    /// Datagrams sent.
    pub datagrams_sent: IntCounter,
    /// Calls that sent one or more datagrams.
    pub send_calls: IntCounter,
    /// RTP packets received and opened.
    pub packets_received: IntCounter,
    /// RTP packets sealed for a listener.
    pub packets_forwarded: IntCounter,
    /// Packets sent to a listener again.
    pub packets_retransmitted: IntCounter,
    /// RTP packets handed to another media worker, once to each that has listeners.
    pub packets_handed_over: IntCounter,
    packets_dropped: IntCounterVec,
    /// Packets that a stale epoch stopped at egress.
    pub wrong_epoch: IntCounter,
    udp_offload: IntGaugeVec,
    /// Whether what people are told survives a crash.
    pub store_up: IntGauge,
    /// How long a write to the store took, of all changes that came since the one before.
    pub store_commit_seconds: Histogram,
    /// Bytes written to the store.
    pub store_bytes: IntCounter,
    /// Writes to the store that failed.
    pub store_errors: IntCounter,
    worker_up: IntGaugeVec,
    worker_restarts: IntCounterVec,
}

impl Metrics {
    /// All metrics at zero, in a registry of their own.
    ///
    /// # Errors
    /// When two metrics share a name.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let r = &registry;
        let build = gauges(r, "anteroom_build_info", "Always 1; the version is a label.", "version")?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            rooms: gauge(r, "anteroom_rooms", "Parent rooms.")?,
            breakout_rooms: gauge(r, "anteroom_breakout_rooms", "Live breakout rooms.")?,
            participants: gauge(r, "anteroom_participants", "Participants, connected or held.")?,
            links: gauge(r, "anteroom_links", "Open signalling links (WebSockets and embedders').")?,
            links_opened: counter(r, "anteroom_links_opened_total", "Signalling links opened.")?,
            resident_bytes: gauge(r, "anteroom_resident_bytes", "Memory that the process has.")?,
            memory_limit_bytes: gauge(r, "anteroom_memory_limit_bytes", "Memory it may have; 0: any.")?,
            connections_refused: counter(r, "anteroom_connections_refused_total", "Connections too many.")?,
            links_too_slow: counter(r, "anteroom_links_too_slow_total", "Links closed for not reading.")?,
            links_refused: counters(r, "anteroom_links_refused_total", "WebSockets refused.", "reason")?,
            requests: counter(r, "anteroom_requests_total", "Requests handed to control.")?,
            frames_refused: counters(r, "anteroom_frames_refused_total", "Client frames refused.", "reason")?,
            moves: counter(r, "anteroom_moves_total", "Participants placed into a group.")?,
            listener_pauses: counter(r, "anteroom_listener_pauses_total", "Pictures paused by full links.")?,
            move_apply_seconds: histogram(
                r,
                "anteroom_move_apply_seconds",
                "From a move's command to its report.",
            )?,
            datagrams_received: counter(r, "anteroom_datagrams_received_total", "Datagrams received.")?,
            bytes_received: counter(r, "anteroom_received_bytes_total", "Bytes of datagrams received.")?,
            bytes_sent: counter(r, "anteroom_sent_bytes_total", "Bytes of datagrams sent.")?,
            datagrams_sent: counter(r, "anteroom_datagrams_sent_total", "Datagrams sent.")?,
            send_calls: counter(r, "anteroom_send_calls_total", "System calls that sent datagrams.")?,
            packets_received: counter(r, "anteroom_packets_received_total", "RTP packets received.")?,
            packets_forwarded: counter(r, "anteroom_packets_forwarded_total", "RTP packets forwarded.")?,
            packets_retransmitted: counter(r, "anteroom_packets_retransmitted_total", "Packets sent again.")?,
            packets_handed_over: counter(
                r,
                "anteroom_packets_handed_over_total",
                "RTP packets handed from one media worker to another.",
            )?,
            packets_dropped: counters(r, "anteroom_packets_dropped_total", "Packets dropped.", "reason")?,
            wrong_epoch: counter(r, "anteroom_wrong_epoch_total", "Packets stopped by a stale epoch.")?,
            store_up: gauge(r, "anteroom_store_up", "Whether what people are told survives a crash.")?,
            store_commit_seconds: histogram(r, "anteroom_store_commit_seconds", "Writes to the store.")?,
            store_bytes: counter(r, "anteroom_store_bytes_total", "Bytes written to the store.")?,
            store_errors: counter(r, "anteroom_store_errors_total", "Writes to the store that failed.")?,
            udp_offload: udp_offload(r)?,
            worker_up: gauges(r, "anteroom_worker_up", "Whether a media worker runs.", "worker")?,
            worker_restarts: counters(
                r,
                "anteroom_worker_restarts_total",
                "Media workers replaced.",
                "cause",
            )?,
            registry,
        };
        metrics.begin();
        Ok(metrics)
    }

    /// Counters of reasons begin at 0 and not with their first count, which nobody who asks for an increase
    /// would see.
    fn begin(&self) {
        for reason in RefusedLink::ALL {
            self.links_refused.with_label_values(&[reason.label()]).reset();
        }
        for reason in RefusedFrame::ALL {
            self.frames_refused.with_label_values(&[reason.label()]).reset();
        }
        for reason in DropReason::ALL {
            self.packets_dropped(reason.label()).reset();
        }
        for cause in ["panic", "error", "fence", "stuck"] {
            self.worker_restarts.with_label_values(&[cause]).reset();
        }
    }

    /// Sets the gauges that follow from what control holds.
    pub fn set_totals(&self, totals: Totals) {
        self.rooms.set(count(totals.rooms));
        self.breakout_rooms.set(count(totals.breakout_rooms));
        self.participants.set(count(totals.participants));
    }

    /// Counts a client that got no WebSocket.
    pub fn link_refused(&self, reason: RefusedLink) {
        self.links_refused.with_label_values(&[reason.label()]).inc();
    }

    /// Counts a frame that was not handed to control.
    pub fn frame_refused(&self, reason: RefusedFrame) {
        self.frames_refused.with_label_values(&[reason.label()]).inc();
    }

    /// The counter of packets dropped for a reason out of a closed set.
    #[must_use]
    pub fn packets_dropped(&self, reason: &'static str) -> IntCounter {
        self.packets_dropped.with_label_values(&[reason])
    }

    /// Whether the media sockets of a worker have `gso` or `gro`.
    #[must_use]
    pub fn udp_offload(&self, worker: u16, kind: &'static str) -> IntGauge {
        self.udp_offload.with_label_values(&[&worker.to_string(), kind])
    }

    /// Says whether a worker runs.
    pub fn worker_up(&self, worker: u16, up: bool) {
        self.worker_up.with_label_values(&[&worker.to_string()]).set(i64::from(up));
    }

    /// Counts a worker that was replaced: `panic`, `error`, `fence` or `stuck`.
    pub fn worker_replaced(&self, cause: &'static str) {
        self.worker_restarts.with_label_values(&[cause]).inc();
    }

    /// The Prometheus text format, version 0.0.4.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub fn render(&self) -> Result<String, Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, Error> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn counters(registry: &Registry, name: &str, help: &str, label: &str) -> Result<IntCounterVec, Error> {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, Error> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

fn gauges(registry: &Registry, name: &str, help: &str, label: &str) -> Result<IntGaugeVec, Error> {
    let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

/// Each worker says it for itself: of one gauge for all, only the last word would be seen.
fn udp_offload(registry: &Registry) -> Result<IntGaugeVec, Error> {
    let options = Opts::new(
        "anteroom_udp_offload",
        "Whether every socket of a media worker has segmentation (gso) and receive offload (gro).",
    );
    let gauges = IntGaugeVec::new(options, &["worker", "kind"])?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}

fn histogram(registry: &Registry, name: &str, help: &str) -> Result<Histogram, Error> {
    let options = HistogramOpts::new(name, help).buckets(BUCKETS_SECONDS.to_vec());
    let histogram = Histogram::with_opts(options)?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_the_servers_own_and_clones_share_values() {
        let metrics = Metrics::new().unwrap();
        let clone = metrics.clone();
        clone.moves.inc_by(2);
        clone.set_totals(Totals { rooms: 3, breakout_rooms: 1, participants: 9 });
        clone.link_refused(RefusedLink::Token);
        let text = metrics.render().unwrap();
        for line in
            ["anteroom_moves_total 2", "anteroom_rooms 3", "anteroom_links_refused_total{reason=\"token\"} 1"]
        {
            assert!(text.contains(line), "{line} in {text}");
        }
        let foreign = text.lines().filter(|line| !line.starts_with("anteroom_") && !line.starts_with('#'));
        assert_eq!(foreign.count(), 0);
    }
}
