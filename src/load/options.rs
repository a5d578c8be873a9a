//! What a load run is asked for.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::scenario::{Fault, Operations, Profile, Scenario};

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
    /// What the participants do; `audio` where nothing is said.
    #[arg(long, value_enum, conflicts_with = "scenario")]
    pub profile: Option<Profile>,
    /// A scenario of your own, in TOML; examples/town_hall.toml shows every setting.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// How many listen, over all rooms; talkers and presenters come on top [100; join-storm: one a room].
    #[arg(long, value_name = "N")]
    pub participants: Option<usize>,
    /// Parent rooms that they are spread over [1; join-storm: 50].
    #[arg(long, value_name = "N")]
    pub rooms: Option<usize>,
    /// How many talk in each room; in the profile `meeting`, half of them at a moment.
    #[arg(long, value_name = "N")]
    pub talkers: Option<usize>,
    /// How long is measured, after a warm-up of two seconds (10).
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// How many people change rooms a second, in the profile `churn`; of joins there are a fifth of
    /// that, of clears and destroys a twentieth each (10).
    #[arg(long, value_name = "N")]
    pub moves_per_second: Option<f64>,
    /// How many people join a second, in the profile `join-storm` (1000).
    #[arg(long, value_name = "N")]
    pub joins_per_second: Option<f64>,
    /// Breakout rooms of each parent room, in the profiles `breakouts` and `churn` (10).
    #[arg(long, value_name = "N")]
    pub breakouts: Option<usize>,
    /// Seats of a breakout room, there [breakouts: 15, churn: 5].
    #[arg(long, value_name = "N")]
    pub breakout_seats: Option<usize>,
    /// The share of datagrams that is dropped, each way, in the profile `impaired` (0.01).
    #[arg(long, value_name = "SHARE")]
    pub loss: Option<f64>,
    /// How much datagrams are delayed at the most, each way, there (10).
    #[arg(long, value_name = "MS")]
    pub jitter_ms: Option<f64>,
    /// What decides which datagrams these are, there (1).
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How much faster than usual publishers send: 2 doubles the packets a second (1).
    #[arg(long, value_name = "FACTOR")]
    pub rate: Option<f64>,
    /// Finds the rate at which the busiest media worker uses this share of its processor, by
    /// scheduler time, and measures there.
    #[arg(long, value_name = "SHARE", conflicts_with = "rate", requires = "spawn")]
    pub find_load: Option<f64>,
    /// How the packets of a video frame leave their publisher (paced).
    #[arg(long, value_enum)]
    pub frame_burst: Option<FrameBurst>,
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
    pub html: Option<PathBuf>,
}

/// What an option stands for in a scenario.
const SETTINGS: [(&str, &str, &str); 11] = [
    ("participants", "people", "participants"),
    ("rooms", "people", "rooms"),
    ("seconds", "run", "seconds"),
    ("rate", "run", "rate"),
    ("talkers", "sound", "talkers"),
    ("moves-per-second", "operations", "moves"),
    ("joins-per-second", "operations", "joins"),
    ("breakouts", "breakouts", "rooms"),
    ("breakout-seats", "breakouts", "seats"),
    ("loss", "network", "loss"),
    ("jitter-ms", "network", "jitter_ms"),
];

impl LoadOptions {
    /// What is played: that of the profile or the file, with what other options say.
    ///
    /// # Errors
    /// A text that names the option, or line and setting of the file.
    pub fn plan(&self) -> Result<Scenario, String> {
        self.check_server()?;
        let scenario = match &self.scenario {
            Some(file) => {
                if let Some((option, _, _)) = self.of_profiles().into_iter().find(|(_, given, _)| *given) {
                    return Err(format!("--{option} goes with profiles: say it in the scenario"));
                }
                Scenario::from_file(file, |scenario| self.adapt(scenario)).map_err(|e| e.to_string())?
            }
            None => self.of_profile(self.profile.unwrap_or(Profile::Audio))?,
        };
        self.check_target(&scenario)?;
        Ok(scenario)
    }

    fn of_profile(&self, profile: Profile) -> Result<Scenario, String> {
        let stranger = self.of_profiles().into_iter().find(|(_, given, of)| *given && !of.contains(&profile));
        if let Some((option, _, of)) = stranger {
            let names: Vec<&str> = of.iter().map(|profile| profile.name()).collect();
            return Err(format!("--{option} goes with --profile {} only", names.join(", ")));
        }
        for (option, rate, most) in [
            ("moves-per-second", self.moves_per_second, 1_000.0),
            ("joins-per-second", self.joins_per_second, 5_000.0),
        ] {
            // In a scenario 0 leaves them out; here it would leave out what the profile is about.
            if rate.is_some_and(|rate| !(0.1..=most).contains(&rate)) {
                return Err(format!("--{option}: has to be from 0.1 to {most}"));
            }
        }
        let mut scenario = profile.scenario();
        self.adapt(&mut scenario);
        if profile == Profile::JoinStorm && self.participants.is_none() {
            scenario.people.participants = scenario.people.rooms;
        }
        self.adapt_profile(profile, &mut scenario);
        scenario.check().map_err(|fault| as_option(&fault))?;
        Ok(scenario)
    }

    /// Options that not every profile has: whether each is given, and who has it.
    fn of_profiles(&self) -> [(&'static str, bool, &'static [Profile]); 9] {
        use Profile::{Audio, Breakouts, Churn, Idle, Impaired, JoinStorm, Meeting, Screen};
        const TALKING: &[Profile] = &[Audio, Meeting, Breakouts, Churn, JoinStorm, Impaired, Idle];
        [
            ("talkers", self.talkers.is_some(), TALKING),
            ("moves-per-second", self.moves_per_second.is_some(), &[Churn]),
            ("joins-per-second", self.joins_per_second.is_some(), &[JoinStorm]),
            ("breakouts", self.breakouts.is_some(), &[Breakouts, Churn]),
            ("breakout-seats", self.breakout_seats.is_some(), &[Breakouts, Churn]),
            ("loss", self.loss.is_some(), &[Impaired]),
            ("jitter-ms", self.jitter_ms.is_some(), &[Impaired]),
            ("seed", self.seed.is_some(), &[Impaired]),
            ("frame-burst", self.frame_burst.is_some(), &[Screen, Meeting]),
        ]
    }

    /// What may be said of every scenario.
    fn adapt(&self, scenario: &mut Scenario) {
        set(&mut scenario.people.participants, self.participants);
        set(&mut scenario.people.rooms, self.rooms);
        set(&mut scenario.run.seconds, self.seconds);
        set(&mut scenario.run.rate, self.rate);
    }

    fn adapt_profile(&self, profile: Profile, scenario: &mut Scenario) {
        let Scenario { sound, share, breakouts, operations, network, .. } = scenario;
        if let Some(talkers) = self.talkers {
            sound.talkers = talkers;
            if profile == Profile::Meeting {
                sound.at_once = talkers.div_ceil(2);
                sound.turn_seconds = if talkers > 1 { sound.turn_seconds } else { 0.0 };
            }
        }
        if let Some(moves) = self.moves_per_second {
            *operations = Operations::churn(moves);
        }
        set(&mut operations.joins, self.joins_per_second);
        set(&mut breakouts.rooms, self.breakouts);
        set(&mut breakouts.seats, self.breakout_seats);
        set(&mut network.loss, self.loss);
        set(&mut network.jitter_ms, self.jitter_ms);
        set(&mut network.seed, self.seed);
        if self.frame_burst == Some(FrameBurst::Whole) {
            share.burst = share.packets_per_frame;
        }
    }

    /// Checks what is said of the server.
    fn check_server(&self) -> Result<(), String> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            let fits = (least..=most).contains(&value);
            if fits { Ok(()) } else { Err(format!("--{name} has to be from {least} to {most}")) }
        };
        within("hold-ms", self.hold_ms, 0, 20)?;
        within("seats-per-worker", u64::try_from(self.seats_per_worker).unwrap_or(u64::MAX), 1, 5_000)?;
        within("workers", u64::from(self.workers), 1, 64)?;
        within("event-loops", u64::from(self.event_loops), 0, 64)?;
        if self.find_load.is_some_and(|share| !(0.05..=0.95).contains(&share)) {
            return Err("--find-load has to be from 0.05 to 0.95".to_owned());
        }
        Ok(())
    }

    fn check_target(&self, scenario: &Scenario) -> Result<(), String> {
        let missing = |what: &str| Err(format!("--target {} needs {what}", self.target.name()));
        match self.target {
            TargetKind::Anteroom if !self.spawn && self.server.is_none() => missing("--spawn or --server"),
            TargetKind::Janus if !self.spawn && self.janus.is_none() => missing("--spawn or --janus"),
            TargetKind::Janus if self.spawn && self.interface_address.is_loopback() => {
                missing("--interface-address: it does no media on loopback")
            }
            TargetKind::Whip if self.spawn => missing("a running server"),
            TargetKind::Whip => self.check_addresses(scenario),
            _ => Ok(()),
        }?;
        if self.target != TargetKind::Anteroom && self.find_load.is_some() {
            return Err("--find-load looks at media workers, which only Anteroom has".to_owned());
        }
        let is_steady = !scenario.has_turns() && !scenario.breakouts.deal && !scenario.churns();
        if self.find_load.is_some() && !(is_steady && scenario.operations.joins == 0.0) {
            return Err(
                "--find-load is for scenarios in which the same people publish all the time".to_owned()
            );
        }
        let is_plain = is_steady && scenario.only_kind().is_some() && scenario.network_model().is_none();
        if self.target != TargetKind::Anteroom && !(is_plain && scenario.operations.joins == 0.0) {
            let name = self.target.name();
            return Err(format!("--target {name} is for sound alone or one screen, as in audio and screen"));
        }
        Ok(())
    }

    /// Each stream needs an address of its own.
    fn check_addresses(&self, scenario: &Scenario) -> Result<(), String> {
        for (option, address) in [("whip", &self.whip), ("whep", &self.whep)] {
            let Some(address) = address else {
                return Err("--target whip needs --whip and --whep".to_owned());
            };
            if scenario.publishers_per_room() > 1 && !address.contains("{publisher}") {
                return Err(format!("--{option} needs a {{publisher}}: there are several"));
            }
            if scenario.people.rooms > 1 && !address.contains("{room}") {
                return Err(format!("--{option} needs a {{room}}: there are several"));
            }
        }
        Ok(())
    }
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

/// A fault as who wrote the command line knows it.
fn as_option(fault: &Fault) -> String {
    let of = SETTINGS.iter().find(|(_, section, key)| (*section, *key) == (fault.section, fault.key));
    match of {
        Some((option, _, _)) => format!("--{option}: {}", fault.message),
        None => fault.to_string(),
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
        line.map_err(|error| error.to_string())?.options.plan().map(|_| ())
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
            ("--target janus --janus ws://h:1 --profile meeting", "sound alone or one screen"),
            ("--spawn --server 127.0.0.1:1", "--server"),
        ] {
            let found = check(words).unwrap_err();
            assert!(found.contains(wrong), "`{words}`: {found}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_option() {
        for (words, wrong) in [
            ("--participants 0", "--participants: has to be from 1 to 20000"),
            ("--participants 30000", "--participants: has to be from 1 to 20000"),
            ("--participants 6000", "--rooms: 6000 people a room"),
            ("--participants 5 --rooms 6", "--rooms: there are only 5 participants"),
            ("--seconds 0", "--seconds: has to be"),
            ("--rate nan", "--rate: has to be"),
            ("--talkers 17", "--talkers: has to be"),
            ("--profile screen --talkers 3", "--talkers goes with --profile audio, meeting"),
            ("--moves-per-second 5", "--moves-per-second goes with --profile churn only"),
            ("--profile churn --moves-per-second 0", "--moves-per-second: has to be"),
            ("--profile churn --talkers 0", "somebody: `talkers`"),
            ("--loss 0.1", "--loss goes with --profile impaired only"),
            ("--profile impaired --loss 1", "--loss: has to be from 0 to 0.5"),
            (
                "--profile breakouts --participants 200",
                "--breakouts: 200 participants a parent room, and 150",
            ),
            ("--profile breakouts --breakouts 11", "--breakouts: has to be from 0 to 10"),
            ("--profile breakouts --breakout-seats 16", "--breakout-seats: has to be from 2 to 15"),
            ("--profile join-storm --joins-per-second 9999", "--joins-per-second: has to be"),
            ("--profile join-storm --find-load 0.5", "--find-load is for"),
            ("--profile audio --scenario x.toml", "--scenario"),
            ("--scenario /no/such/file", "/no/such/file: "),
            ("--scenario x.toml --loss 0.1", "--loss goes with profiles"),
        ] {
            let found = check(&format!("--spawn {words}")).unwrap_err();
            assert!(found.contains(wrong), "`{words}`: {found}");
        }
    }

    #[test]
    fn every_profile_takes_the_common_options() {
        for profile in Profile::ALL {
            let words = format!(
                "--spawn --profile {} --rooms 2 --participants 8 --seconds 3 --rate 2",
                profile.name()
            );
            let line = Line::try_parse_from(["load"].into_iter().chain(words.split_whitespace())).unwrap();
            let Scenario { run, people, .. } = line.options.plan().unwrap();
            assert_eq!((people.rooms, people.participants, run.seconds), (2, 8, 3));
            assert!((run.rate - 2.0).abs() < 1e-9);
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
