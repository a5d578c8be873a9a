//! What a load run plays: one description, of which the profiles are ready-made ones and which a file
//! can hold.

mod check;
mod file;
mod profiles;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use check::Fault;
pub use file::ScenarioError;
pub use profiles::Profile;

use super::floor::{Step, Workload};
use super::generator::NetworkModel;
use crate::base::Kind;
use crate::client::Pattern;

/// A load run's people and what they do. Each part is a section of a scenario file, and each field a
/// setting of it; a number that is 0 leaves out what it is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// The run as a whole.
    pub run: RunPart,
    /// Who is there.
    pub people: People,
    /// Who talks.
    pub sound: Sound,
    /// Who shares a screen.
    pub share: Share,
    /// The breakout rooms.
    pub breakouts: Breakouts,
    /// What people do while the others talk on, over all rooms.
    pub operations: Operations,
    /// The network between participants and server.
    pub network: Network,
}

/// `[run]`: the run as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunPart {
    /// What the report calls it.
    pub name: String,
    /// How long is measured.
    pub seconds: u64,
    /// How much faster than they say publishers send.
    pub rate: f64,
}

impl Default for RunPart {
    fn default() -> Self {
        Self { name: "scenario".to_owned(), seconds: 10, rate: 1.0 }
    }
}

/// `[people]`: who is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct People {
    /// Who listens, over all rooms.
    pub participants: usize,
    /// Parent rooms that they are spread over.
    pub rooms: usize,
}

impl Default for People {
    fn default() -> Self {
        Self { participants: 100, rooms: 1 }
    }
}

/// `[sound]`: who talks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sound {
    /// Who may talk, in each room; they come on top of those who listen.
    pub talkers: usize,
    /// How many of them talk at a moment; 0 for all.
    pub at_once: usize,
    /// How long one talks until the next has its turn; 0 for ever.
    pub turn_seconds: f64,
    /// Packets a second of each who talks.
    pub packets_per_second: f64,
    /// Bytes of a packet's payload.
    pub payload_bytes: usize,
}

impl Default for Sound {
    fn default() -> Self {
        Self { talkers: 0, at_once: 0, turn_seconds: 0.0, packets_per_second: 50.0, payload_bytes: 100 }
    }
}

/// `[share]`: who shares a screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Share {
    /// Who may share, in each room, one at a moment; they come on top of those who listen.
    pub presenters: usize,
    /// How long one shares; 0 for ever.
    pub on_seconds: f64,
    /// How long nobody does until the next one starts.
    pub off_seconds: f64,
    /// Frames a second.
    pub frames_per_second: f64,
    /// Packets of a frame.
    pub packets_per_frame: u32,
    /// Bytes of a packet's payload.
    pub payload_bytes: usize,
    /// Packets of a frame that leave together.
    pub burst: u32,
    /// Time between two bursts of a frame.
    pub spacing_ms: f64,
}

impl Default for Share {
    fn default() -> Self {
        Self {
            presenters: 0,
            on_seconds: 0.0,
            off_seconds: 0.0,
            frames_per_second: 20.0,
            packets_per_frame: 11,
            payload_bytes: 1_100,
            // As browsers pace them.
            burst: 3,
            spacing_ms: 5.0,
        }
    }
}

/// `[breakouts]`: the breakout rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breakouts {
    /// Breakout rooms of each parent room.
    pub rooms: usize,
    /// Seats of each.
    pub seats: usize,
    /// Whether all who listen are dealt out before the measurement, and brought home at its end by the
    /// destruction of all rooms at once.
    pub deal: bool,
    /// How many of those who are in a breakout room talk there, when people are dealt out.
    pub talkers: usize,
}

impl Default for Breakouts {
    fn default() -> Self {
        Self { rooms: 0, seats: 5, deal: false, talkers: 0 }
    }
}

/// `[operations]`: what people do while the others talk on, a second and over all rooms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operations {
    /// People who change rooms.
    pub moves: f64,
    /// Newcomers, each of whom leaves again.
    pub joins: f64,
    /// How long a newcomer stays once it has heard something.
    pub stay_seconds: f64,
    /// Parent rooms whose breakout rooms are cleared.
    pub clears: f64,
    /// Parent rooms whose breakout rooms are destroyed, and made anew.
    pub destroys: f64,
    /// Whether those who change rooms talk, wherever they are.
    pub movers_talk: bool,
}

/// `[network]`: what lies between participants and server, each way alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The share of datagrams that is dropped.
    pub loss: f64,
    /// How many that follow each other are dropped together at the most.
    pub burst: u32,
    /// Each takes this long.
    pub delay_ms: f64,
    /// And longer by up to this, so that later ones overtake it.
    pub jitter_ms: f64,
    /// The share of datagrams that comes twice.
    pub copies: f64,
    /// How often a second somebody's port changes, on loopback.
    pub rebinds: f64,
    /// What decides which.
    pub seed: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self { loss: 0.0, burst: 1, delay_ms: 0.0, jitter_ms: 0.0, copies: 0.0, rebinds: 0.0, seed: 1 }
    }
}

impl Scenario {
    /// Who publishes in each room: those who talk, then those who share.
    #[must_use]
    pub const fn publishers_per_room(&self) -> usize {
        self.sound.talkers + self.share.presenters
    }

    /// Who publishes, over all rooms.
    #[must_use]
    pub const fn publishers(&self) -> usize {
        self.publishers_per_room() * self.people.rooms
    }

    /// How many talk at a moment in each room.
    #[must_use]
    pub const fn talking(&self) -> usize {
        if self.sound.at_once == 0 { self.sound.talkers } else { self.sound.at_once }
    }

    /// Whether who publishes changes while the run goes on.
    #[must_use]
    pub fn has_turns(&self) -> bool {
        self.sound.turn_seconds > 0.0 || self.share.on_seconds > 0.0
    }

    /// Whether breakout rooms are made one move at a time.
    #[must_use]
    pub fn churns(&self) -> bool {
        self.operations.moves > 0.0
    }

    /// All newcomers of a run.
    #[must_use]
    pub fn newcomers(&self) -> usize {
        let seconds = u32::try_from(self.run.seconds).map_or(f64::from(u32::MAX), f64::from);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
        let newcomers = (self.operations.joins.max(0.0) * seconds).ceil() as usize;
        newcomers
    }

    /// The most newcomers who are there at a moment.
    #[must_use]
    pub fn newcomers_at_once(&self) -> usize {
        let Operations { joins, stay_seconds, .. } = self.operations;
        if joins <= 0.0 {
            return 0;
        }
        // With what a slow join takes on top.
        let most = (joins * (stay_seconds + SLOW_JOIN.as_secs_f64())).ceil().min(MAX_NEWCOMERS);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most MAX_NEWCOMERS")]
        let most = most as usize;
        most.max(1)
    }

    /// What `max_active_talkers` has to be: one more than the seats of a breakout room.
    #[must_use]
    pub fn active_talkers(&self) -> usize {
        let seats = if self.breakouts.rooms > 0 { self.breakouts.seats + 1 } else { 0 };
        self.talking().max(seats).max(LEAST_TALKERS)
    }

    /// Audio slots of a listener.
    #[must_use]
    pub fn audio_slots(&self) -> usize {
        self.talking().max(LEAST_TALKERS)
    }

    /// How somebody who talks sends.
    #[must_use]
    pub fn sound_pattern(&self) -> Pattern {
        let interval = Duration::from_secs_f64(1.0 / self.sound.packets_per_second.max(0.001));
        Pattern { interval, payload_len: self.sound.payload_bytes, ..Pattern::AUDIO }
    }

    /// How somebody who shares sends.
    #[must_use]
    pub fn share_pattern(&self) -> Pattern {
        Pattern {
            interval: Duration::from_secs_f64(1.0 / self.share.frames_per_second.max(0.001)),
            packets_per_frame: self.share.packets_per_frame,
            payload_len: self.share.payload_bytes,
            burst: self.share.burst,
            spacing: Duration::from_secs_f64(self.share.spacing_ms.max(0.0) / 1_000.0),
        }
    }

    /// The one kind that is published, where there is one.
    #[must_use]
    pub const fn only_kind(&self) -> Option<Kind> {
        match (self.sound.talkers, self.share.presenters) {
            (1.., 0) => Some(Kind::Audio),
            (0, 1..) => Some(Kind::Share),
            _ => None,
        }
    }

    /// The network, where it is not perfect.
    pub(super) fn network_model(&self) -> Option<NetworkModel> {
        let Network { loss, burst, delay_ms, jitter_ms, copies, rebinds, seed } = self.network;
        let [delay, jitter] = [delay_ms, jitter_ms].map(|ms| Duration::from_secs_f64(ms.max(0.0) / 1_000.0));
        let is_perfect = loss + copies + rebinds <= 0.0 && delay.is_zero() && jitter.is_zero();
        (!is_perfect).then_some(NetworkModel { loss, burst, delay, jitter, copies, rebinds, seed })
    }

    /// The same for a raw sender, at `rate` times the usual speed. Of sound and picture it sends what
    /// there are more packets of.
    pub(super) fn workload(&self, rate: f64) -> Workload {
        let talkers = u32::try_from(self.talking().max(1)).unwrap_or(1);
        let sound = f64::from(talkers) * self.sound.packets_per_second;
        let share = f64::from(self.share.packets_per_frame) * self.share.frames_per_second;
        let shows = self.share.presenters > 0 && (self.sound.talkers == 0 || share > sound);
        let pattern = if shows { self.share_pattern() } else { self.sound_pattern() };
        let (interval, spacing) = (pattern.interval.div_f64(rate), pattern.spacing.div_f64(rate));
        let steps = if shows { frame(&pattern, interval, spacing) } else { phases(talkers, interval) };
        Workload { listeners: self.people.participants, payload_len: pattern.payload_len, steps }
    }
}

/// No join that succeeds takes longer.
const SLOW_JOIN: Duration = Duration::from_secs(3);
/// Newcomers at a moment: what is beyond is not started, and has failed.
pub(super) const MAX_NEWCOMERS: f64 = 5_000.0;
/// `max_active_talkers` of a server that nobody has told anything else.
const LEAST_TALKERS: usize = 6;

/// A packet of each who talks, in phases that are neither even nor together.
fn phases(talkers: u32, interval: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut wait = interval;
    for _ in 1..talkers {
        let part = interval.mul_f64(0.8) / talkers;
        steps.push(Step { wait: part, packets: 1 });
        wait -= part;
    }
    steps.push(Step { wait, packets: 1 });
    steps
}

/// A frame, burst by burst.
fn frame(pattern: &Pattern, interval: Duration, spacing: Duration) -> Vec<Step> {
    let (mut steps, mut left, mut wait) = (Vec::new(), pattern.packets_per_frame, interval);
    while left > pattern.burst {
        steps.push(Step { wait: spacing, packets: pattern.burst });
        left -= pattern.burst;
        wait = wait.saturating_sub(spacing);
    }
    steps.push(Step { wait, packets: left });
    steps
}
