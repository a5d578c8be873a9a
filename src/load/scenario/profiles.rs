//! Ready-made scenarios.

use clap::ValueEnum;

use super::{Breakouts, Network, Operations, People, RunPart, Scenario, Share, Sound};

/// What the participants do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Talkers send 50 packets a second of 100 bytes, with random phases; all others listen.
    Audio,
    /// One shares a screen, 20 frames a second of 11 packets of 1,100 bytes; all others look on.
    Screen,
    /// Of six talkers three talk at a moment, and another each second; two take turns to share a screen.
    Meeting,
    /// All who listen are dealt out to breakout rooms and talk there, until all rooms are destroyed at
    /// once.
    Breakouts,
    /// As `audio`, while people are moved into breakout rooms and come back, others join and leave, and
    /// rooms are cleared and destroyed.
    Churn,
    /// People join at a steady rate, hear something and leave.
    JoinStorm,
    /// As `audio`, over a network that loses and delays datagrams.
    Impaired,
    /// Everybody is connected and hears one packet a second.
    Idle,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 8] = [
        Self::Audio,
        Self::Screen,
        Self::Meeting,
        Self::Breakouts,
        Self::Churn,
        Self::JoinStorm,
        Self::Impaired,
        Self::Idle,
    ];

    /// As it is called on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Screen => "screen",
            Self::Meeting => "meeting",
            Self::Breakouts => "breakouts",
            Self::Churn => "churn",
            Self::JoinStorm => "join-storm",
            Self::Impaired => "impaired",
            Self::Idle => "idle",
        }
    }

    /// What it is, as a scenario.
    #[must_use]
    pub fn scenario(self) -> Scenario {
        let run = RunPart { name: self.name().to_owned(), ..RunPart::default() };
        let usual = Scenario { run, ..Scenario::default() };
        let sound = Sound { talkers: 3, ..Sound::default() };
        match self {
            Self::Audio => Scenario { sound, ..usual },
            Self::Screen => Scenario { share: Share { presenters: 1, ..Share::default() }, ..usual },
            Self::Meeting => Scenario {
                sound: Sound { talkers: 6, at_once: 3, turn_seconds: 1.0, ..sound },
                share: Share { presenters: 2, on_seconds: 3.0, off_seconds: 1.0, ..Share::default() },
                ..usual
            },
            Self::Breakouts => Scenario {
                sound: Sound { talkers: 1, ..sound },
                breakouts: Breakouts { rooms: 10, seats: 15, deal: true, talkers: 1 },
                ..usual
            },
            Self::Churn => {
                let breakouts = Breakouts { rooms: 10, seats: 5, ..Breakouts::default() };
                Scenario { sound, breakouts, operations: Operations::churn(10.0), ..usual }
            }
            Self::JoinStorm => Scenario {
                people: People { participants: 50, rooms: 50 },
                sound: Sound { talkers: 1, ..sound },
                operations: Operations { joins: 1_000.0, ..Operations::default() },
                ..usual
            },
            Self::Impaired => {
                let network = Network { loss: 0.01, jitter_ms: 10.0, ..Network::default() };
                Scenario { sound, network, ..usual }
            }
            Self::Idle => Scenario { sound: Sound { talkers: 1, packets_per_second: 1.0, ..sound }, ..usual },
        }
    }
}

impl Operations {
    /// All of them, at rates that go with that of the moves.
    #[must_use]
    pub fn churn(moves: f64) -> Self {
        Self {
            moves,
            joins: moves / 5.0,
            stay_seconds: 1.0,
            clears: moves / 20.0,
            destroys: moves / 20.0,
            movers_talk: false,
        }
    }
}
