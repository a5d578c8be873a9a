//! A meeting: one who talks and shares a screen, and those who listen.

use std::net::SocketAddr;
use std::time::Duration;

use anteroom::base::{Kind, WorkerId};
use anteroom::client::{ParticipantSettings, Pattern};
use anteroom::node::{Running, WorkerFault};
use anteroom::telemetry::Clock;
use serde_json::json;

use crate::guest::Guest;
use crate::http::{free_ports, get, start};
use crate::seen::Seen;
use crate::weather::FINE;

/// A share of 120 packets of 1,000 bytes a second: about 1 Mbit/s.
const SHARE: Pattern = Pattern { packets_per_frame: 6, burst: 6, ..Pattern::SCREEN };

pub(crate) struct Meeting {
    server: Option<Running>,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) speaker: Guest,
    pub(crate) listeners: Vec<Guest>,
}

pub(crate) fn usual() -> ParticipantSettings {
    ParticipantSettings { video: SHARE, feedback: true, ..ParticipantSettings::default() }
}

impl Meeting {
    /// So many listeners, each of whom has heard and seen something.
    pub(crate) async fn of(listeners: usize, settings: ParticipantSettings) -> Self {
        let (server, address) = start(&free_ports()).await;
        Self { server: Some(server), ..Self::at(address, listeners, settings).await }
    }

    /// At a server that is there.
    pub(crate) async fn at(address: SocketAddr, listeners: usize, settings: ParticipantSettings) -> Self {
        let clock = Clock::start();
        let speaker = Guest::join(address, clock, "Mia", settings.clone()).await;
        let mut all = Vec::new();
        for number in 0..listeners {
            all.push(Guest::join(address, clock, &format!("Ben-{number}"), settings.clone()).await);
        }
        speaker.publish(Kind::Audio, true);
        speaker.ask("startScreenShare", json!({})).await;
        speaker.publish(Kind::Share, true);
        let meeting = Self { server: None, address, clock, speaker, listeners: all };
        for listener in &meeting.listeners {
            listener.hears(meeting.speaker.id, Kind::Audio, 10).await;
            listener.hears(meeting.speaker.id, Kind::Share, 10).await;
        }
        meeting
    }

    /// Lets time pass.
    pub(crate) async fn goes_on(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }

    /// A counter of the server.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let metrics = get(self.server.as_ref().unwrap().metrics_address(), "/metrics").await.body;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("no `{name}` in {metrics}")) as u64
    }

    /// The media worker does nothing for a while.
    pub(crate) async fn stall(&self, fault: WorkerFault) {
        self.server.as_ref().unwrap().engine().fail_worker(WorkerId(0), fault).await;
    }

    /// Nobody talks any more, and what was on its way has arrived, over networks that are fine from now on.
    pub(crate) async fn falls_silent(&self) {
        let Self { speaker, listeners, .. } = self;
        for guest in listeners.iter().chain([speaker]) {
            guest.both(FINE);
            guest.settles().await;
        }
        // Nothing overtakes what is sent from here on: what is heard of it was behind all the rest.
        let before = speaker.seen.borrow().sent.clone();
        let goes_on = |seen: &Seen| before.iter().all(|(kind, count)| seen.sent[kind] > *count);
        speaker.until("packets on a network that is fine", goes_on).await;
        speaker.publish(Kind::Audio, false);
        speaker.publish(Kind::Share, false);
        speaker.settles().await;
        let last = speaker.seen.borrow().sent.clone();
        for listener in listeners.iter().filter(|listener| listener.is_there()) {
            let id = speaker.id;
            // A share that pauses ends earlier.
            let is_over = |seen: &Seen, kind: Kind| kind.is_video() && !seen.reasons.is_empty();
            let has_all = |seen: &Seen| {
                last.iter().all(|(kind, count)| seen.has(id, *kind, *count) || is_over(seen, *kind))
            };
            listener.until("the last packets", has_all).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.server.unwrap().stop().await;
    }
}
