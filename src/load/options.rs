//! What a load run is asked for.

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::floor::{Step, Workload};
use crate::base::Kind;
use crate::client::Pattern;

/// What the participants do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Talkers send 50 packets a second of 100 bytes, with random phases; all others listen.
    Audio,
    /// As `audio`, while listeners are moved into breakout rooms and come back.
    Churn,
    /// One shares a screen, 20 frames a second of 11 packets of 1,100 bytes; all others look on.
    Screen,
}

impl Profile {
    /// As it is called on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Churn => "churn",
            Self::Screen => "screen",
        }
    }
}

impl TargetKind {
    /// As it is called on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anteroom => "anteroom",
            Self::Janus => "janus",
            Self::Whip => "whip",
        }
    }
}

/// How the packets of a video frame leave their publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FrameBurst {
    /// All at once.
    Whole,
    /// 3 every 5 ms, as browsers pace them.
    Paced,
}

/// Which server is under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetKind {
    /// This one.
    Anteroom,
    /// The VideoRoom of a Janus, by its WebSocket.
    Janus,
    /// Any with WHIP and WHEP.
    Whip,
}

/// What a load run is like.
#[derive(Args, Clone, Debug)]
pub struct LoadOptions {
    /// Which server is under load: the participants are the same for all.
    #[arg(long, value_enum, default_value_t = TargetKind::Anteroom)]
    pub target: TargetKind,
    /// What the participants do.
    #[arg(long, value_enum, default_value_t = Profile::Audio)]
    pub profile: Profile,
    /// How many listen, over all rooms; talkers and presenters come on top.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub participants: usize,
    /// Parent rooms that they are spread over.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub rooms: usize,
    /// How many talk in each room, in the profile `audio`.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub talkers: usize,
    /// How long is measured, after a warm-up of two seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub seconds: u64,
    /// How many people change rooms a second, in the profile `churn`.
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    pub moves_per_second: f64,
    /// How much faster than usual publishers send: 2 doubles the packets a second.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub rate: f64,
    /// Finds the rate at which the busiest media worker uses this share of its processor, by
    /// scheduler time, and measures there.
    #[arg(long, value_name = "SHARE", conflicts_with = "rate", requires = "spawn")]
    pub find_load: Option<f64>,
    /// How the packets of a video frame leave their publisher.
    #[arg(long, value_enum, default_value_t = FrameBurst::Paced)]
    pub frame_burst: FrameBurst,
    /// Lets the system coalesce what comes in (UDP GRO). Servers are compared without.
    #[arg(long)]
    pub gro: bool,
    /// Starts a server beside the test, with limits raised to what the test needs: one of this binary
    /// or, with `--target janus`, the one of the Debian package `janus`.
    #[arg(long, conflicts_with_all = ["server", "janus", "whip", "whep"])]
    pub spawn: bool,
    /// The address that the spawned server listens on and is reached at. Janus does no media on
    /// loopback.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", requires = "spawn")]
    pub interface_address: IpAddr,
    /// The network namespace that the spawned server runs in, instead of the test's own.
    #[arg(long, value_name = "NAME", requires = "spawn")]
    pub netns: Option<String>,
    /// The HTTP door of a running Anteroom (`host:port`) that hands out development tokens.
    #[arg(long, value_name = "ADDRESS")]
    pub server: Option<String>,
    /// The WebSocket of a running Janus, such as `ws://192.0.2.7:8188`.
    #[arg(long, value_name = "URL")]
    pub janus: Option<String>,
    /// Where publishers hand in offers; `{room}` and `{publisher}` stand for their numbers, from 0.
    #[arg(long, value_name = "URL", requires = "whep")]
    pub whip: Option<String>,
    /// Where listeners do; they have a connection for each publisher.
    #[arg(long, value_name = "URL", requires = "whip")]
    pub whep: Option<String>,
    /// The process id of that server, on this machine, so that its processor time can be told.
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Media workers of the spawned server.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub workers: u16,
    /// Participants of a room on one media worker of the spawned server before the room takes another
    /// as well.
    #[arg(long, value_name = "N", default_value_t = 250)]
    pub seats_per_worker: usize,
    /// Event loops of a spawned Janus; 0 gives each connection a thread, as it does by itself.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub event_loops: u16,
    /// How long the spawned server holds packets, in milliseconds, so that more leave together.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub hold_ms: u64,
    /// Prints the outcome as one JSON object, in the last line.
    #[arg(long)]
    pub json: bool,
    /// Writes the outcome with plots over time into this file, as a page without scripts.
    #[arg(long, value_name = "FILE")]
    pub html: Option<std::path::PathBuf>,
}

/// Seats of a room, at the most, less some for publishers.
const MAX_A_ROOM: usize = 4_900;

/// 50 packets a second of 100 bytes.
const AUDIO: Pattern = Pattern { payload_len: 100, ..Pattern::AUDIO };
/// 20 frames a second of 11 packets of 1,100 bytes, 3 every 5 ms.
const SCREEN: Pattern = Pattern {
    interval: Duration::from_millis(50),
    packets_per_frame: 11,
    payload_len: 1_100,
    burst: 3,
    spacing: Duration::from_millis(5),
};

impl LoadOptions {
    /// Checks what single options cannot.
    ///
    /// # Errors
    /// A text that names the option.
    pub fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: usize, least: usize, most: usize| {
            let fits = (least..=most).contains(&value);
            if fits { Ok(()) } else { Err(format!("--{name} has to be from {least} to {most}")) }
        };
        within("participants", self.participants, 1, 20_000)?;
        within("rooms", self.rooms, 1, self.participants)?;
        if self.participants / self.rooms.max(1) > MAX_A_ROOM {
            return Err(format!("more than {MAX_A_ROOM} participants a room: give more --rooms"));
        }
        within("talkers", self.talkers, 0, 16)?;
        within("seconds", usize::try_from(self.seconds).unwrap_or(0), 1, 86_400)?;
        within("hold-ms", usize::try_from(self.hold_ms).unwrap_or(usize::MAX), 0, 20)?;
        within("seats-per-worker", self.seats_per_worker, 1, 5_000)?;
        within("workers", usize::from(self.workers), 1, 64)?;
        within("event-loops", usize::from(self.event_loops), 0, 64)?;
        self.check_target()?;
        if !(0.1..=1_000.0).contains(&self.moves_per_second) {
            return Err("--moves-per-second has to be from 0.1 to 1000".to_owned());
        }
        if self.profile == Profile::Churn && (self.target != TargetKind::Anteroom || self.talkers == 0) {
            return Err("--profile churn is for Anteroom, and somebody has to talk: --talkers".to_owned());
        }
        if !(0.01..=1_000.0).contains(&self.rate) {
            return Err("--rate has to be from 0.01 to 1000".to_owned());
        }
        if self.find_load.is_some_and(|share| !(0.05..=0.95).contains(&share)) {
            return Err("--find-load has to be from 0.05 to 0.95".to_owned());
        }
        Ok(())
    }

    fn check_target(&self) -> Result<(), String> {
        let missing = |what: &str| Err(format!("--target {} needs {what}", self.target.name()));
        match self.target {
            TargetKind::Anteroom if !self.spawn && self.server.is_none() => missing("--spawn or --server"),
            TargetKind::Janus if !self.spawn && self.janus.is_none() => missing("--spawn or --janus"),
            TargetKind::Janus if self.spawn && self.interface_address.is_loopback() => {
                missing("--interface-address: it does no media on loopback")
            }
            TargetKind::Whip if self.spawn => missing("a running server"),
            TargetKind::Whip => self.check_addresses(),
            _ => Ok(()),
        }?;
        if self.target != TargetKind::Anteroom && self.find_load.is_some() {
            return Err("--find-load looks at media workers, which only Anteroom has".to_owned());
        }
        Ok(())
    }

    /// Each stream needs an address of its own.
    fn check_addresses(&self) -> Result<(), String> {
        for (option, address) in [("whip", &self.whip), ("whep", &self.whep)] {
            let Some(address) = address else {
                return Err("--target whip needs --whip and --whep".to_owned());
            };
            if self.publishers_per_room() > 1 && !address.contains("{publisher}") {
                return Err(format!("--{option} needs a {{publisher}}: there are several"));
            }
            if self.rooms > 1 && !address.contains("{room}") {
                return Err(format!("--{option} needs a {{room}}: there are several"));
            }
        }
        Ok(())
    }

    /// Who publishes in each room.
    #[must_use]
    pub const fn publishers_per_room(&self) -> usize {
        match self.profile {
            Profile::Audio | Profile::Churn => self.talkers,
            Profile::Screen => 1,
        }
    }

    /// Who publishes, over all rooms.
    #[must_use]
    pub const fn publishers(&self) -> usize {
        self.publishers_per_room() * self.rooms
    }

    /// What is published.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.profile {
            Profile::Audio | Profile::Churn => Kind::Audio,
            Profile::Screen => Kind::Share,
        }
    }

    /// How it is sent.
    #[must_use]
    pub const fn pattern(&self) -> Pattern {
        match (self.profile, self.frame_burst) {
            (Profile::Audio | Profile::Churn, _) => AUDIO,
            (Profile::Screen, FrameBurst::Paced) => SCREEN,
            (Profile::Screen, FrameBurst::Whole) => Pattern { burst: SCREEN.packets_per_frame, ..SCREEN },
        }
    }

    /// The same for a raw sender, at `rate` times the usual speed.
    pub(super) fn workload(&self, rate: f64) -> Workload {
        let pattern = self.pattern();
        let interval = pattern.interval.div_f64(rate);
        let spacing = pattern.spacing.div_f64(rate);
        let mut steps = Vec::new();
        if self.kind() == Kind::Audio {
            // Phases that are neither even nor together.
            let talkers = u32::try_from(self.talkers.max(1)).unwrap_or(1);
            let mut wait = interval;
            for _ in 1..talkers {
                let part = interval.mul_f64(0.8) / talkers;
                steps.push(Step { wait: part, packets: 1 });
                wait -= part;
            }
            steps.push(Step { wait, packets: 1 });
        } else {
            let mut left = pattern.packets_per_frame;
            let mut wait = interval;
            while left > pattern.burst {
                steps.push(Step { wait: spacing, packets: pattern.burst });
                left -= pattern.burst;
                wait = wait.saturating_sub(spacing);
            }
            steps.push(Step { wait, packets: left });
        }
        Workload { listeners: self.participants, payload_len: pattern.payload_len, steps }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: LoadOptions,
    }

    fn check(words: &str) -> Result<(), String> {
        let line = Line::try_parse_from(["load"].into_iter().chain(words.split_whitespace()));
        line.map_err(|error| error.to_string())?.options.check()
    }

    #[test]
    fn each_target_says_what_it_needs() {
        for (words, wrong) in [
            ("", "needs --spawn or --server"),
            ("--target janus", "needs --spawn or --janus"),
            ("--target janus --spawn", "--interface-address"),
            ("--target janus --spawn --interface-address 10.0.0.1 --find-load 0.5", "--find-load"),
            ("--target whip", "needs --whip and --whep"),
            ("--target whip --whip http://h/in", "--whep"),
            ("--target whip --whip http://h/in --whep http://h/out", "needs a {publisher}"),
            (
                "--profile screen --rooms 2 --target whip --whip http://h/in --whep http://h/{room}",
                "a {room}",
            ),
            ("--target whip --spawn", "a running server"),
            ("--spawn --server 127.0.0.1:1", "--server"),
        ] {
            let found = check(words).unwrap_err();
            assert!(found.contains(wrong), "`{words}`: {found}");
        }
    }

    #[test]
    fn each_target_may_be_asked_for() {
        for words in [
            "--spawn",
            "--spawn --interface-address 10.0.0.1 --netns there",
            "--server 127.0.0.1:8080",
            "--target janus --janus ws://h:8188",
            "--target janus --spawn --interface-address 10.0.0.1",
            "--target whip --whip http://h/{publisher}/in --whep http://h/{publisher}/out",
            "--target whip --profile screen --whip http://h/in --whep http://h/out",
        ] {
            assert_eq!(check(words), Ok(()), "`{words}`");
        }
    }
}
