//! What is known of somebody in a meeting over a bad network.

use std::collections::{BTreeMap, BTreeSet};

use anteroom::base::{ClientId, Kind, Time};
use serde_json::Value;

/// What somebody has heard or seen of one publisher's kind.
#[derive(Debug, Default)]
pub(crate) struct Track {
    /// The publisher's own counts.
    pub(crate) counters: BTreeSet<u64>,
    /// Those that came more than once.
    pub(crate) again: u64,
    /// When each came.
    pub(crate) times: Vec<Time>,
    /// When the publisher sent those that came.
    pub(crate) sent_at: BTreeMap<u64, Time>,
    /// The publisher's counts by the server's numbers.
    pub(crate) order: BTreeMap<u64, u64>,
    /// The server's numbers as they came.
    pub(crate) arrived: Vec<u64>,
}

/// What is known of somebody while the test goes on.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) up: bool,
    pub(crate) tracks: BTreeMap<(ClientId, Kind), Track>,
    /// The reasons of the slots, as last told.
    pub(crate) reasons: Vec<String>,
    pub(crate) events: Vec<String>,
    /// The same as they came, and when.
    pub(crate) told: Vec<(Time, Value)>,
    /// The own count of each kind that was published last.
    pub(crate) sent: BTreeMap<Kind, u64>,
    /// When the first check left the newest port.
    pub(crate) checked: Option<Time>,
    /// Packets that went to a port that was left, though later ones had come to the new one.
    pub(crate) to_old: u64,
    /// Media that has come to the new port.
    pub(crate) to_new: u64,
}

impl Seen {
    pub(crate) fn count(&self, publisher: ClientId, kind: Kind) -> u64 {
        self.tracks.get(&(publisher, kind)).map_or(0, |track| track.times.len() as u64)
    }

    pub(crate) fn times(&self, publisher: ClientId, kind: Kind) -> Vec<Time> {
        self.tracks.get(&(publisher, kind)).map(|track| track.times.clone()).unwrap_or_default()
    }

    /// When a packet came last.
    pub(crate) fn newest_at(&self, publisher: ClientId, kind: Kind) -> Time {
        self.tracks.get(&(publisher, kind)).and_then(|track| track.times.last()).copied().unwrap_or(Time(0))
    }

    /// When an event about somebody was told first.
    pub(crate) fn told_of(&self, event: &str, client: ClientId) -> Option<Time> {
        let id = client.to_string();
        let is_it = |frame: &Value| frame["event"] == event && frame["data"]["clientId"] == *id;
        self.told.iter().find(|(_, frame)| is_it(frame)).map(|(at, _)| *at)
    }

    /// Whether that count has come.
    pub(crate) fn has(&self, publisher: ClientId, kind: Kind, counter: u64) -> bool {
        self.tracks.get(&(publisher, kind)).is_some_and(|track| track.counters.contains(&counter))
    }

    /// The most counts in a row that did not come, from one on that did.
    pub(crate) fn longest_hole(&self, publisher: ClientId, kind: Kind, from: u64) -> u64 {
        let counters: Vec<u64> = self.tracks[&(publisher, kind)].counters.range(from..).copied().collect();
        counters.windows(2).map(|pair| pair[1] - pair[0] - 1).max().unwrap_or(0)
    }

    /// Of what was published from the first that came to the last, the part that did not.
    pub(crate) fn missing_share(&self, publisher: ClientId, kind: Kind) -> f64 {
        let counters = &self.tracks[&(publisher, kind)].counters;
        let sent = counters.last().unwrap() + 1 - counters.first().unwrap();
        1.0 - counters.len() as f64 / sent as f64
    }

    /// The newest count that has come.
    pub(crate) fn newest(&self, publisher: ClientId, kind: Kind) -> u64 {
        self.tracks.get(&(publisher, kind)).and_then(|track| track.counters.last()).copied().unwrap_or(0)
    }
}
