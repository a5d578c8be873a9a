//! What a script is made of: steps that stay meaningful when others are dropped.
//!
//! A step names people by number (0 is Ada) and rooms by age (`@room0` is the newest), so that a
//! shrunk script still reads, and still runs.

use std::fmt;

use anteroom::message::Role;
use serde_json::Value;

/// The people of every script. One person has at most one seat at a time.
pub const PEOPLE: [&str; 12] =
    ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lea"];

/// When DTLS of a new connection is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtls {
    /// As soon as the worker has answered.
    AtOnce,
    /// At a later [`Step::DtlsDone`], or never.
    Later,
}

/// What a worker does with the offer of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is answered.
    Good(Dtls),
    /// It is refused.
    Refused,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A new signalling connection asks for a seat.
    Join { who: usize, role: Role, offer: Offer },
    /// The person asks for the seat that it had, with or without an offer, over the signalling
    /// connection that there is or over a new one; by the newest secret, or by the one before it as if
    /// the last ack were lost.
    Resume { who: usize, offer: Option<Offer>, over_new: bool, by_old: bool },
    /// The signalling connection is lost.
    Unplug { who: usize },
    /// The media connection is lost.
    LoseMedia { who: usize },
    /// DTLS is done at last.
    DtlsDone { who: usize },
    /// A request. `@roomN` and `@NAME` in the parameters stand for ids.
    Ask { who: usize, method: String, params: Value },
    /// The last request once more, under the same id.
    Repeat { who: usize },
    /// From now on the worker is prompt, or does only what `Work` says.
    Prompt(bool),
    /// A worker that is not prompt applies so many commands and delivers so many reports; a report
    /// may overtake one that is about other people.
    Work { commands: usize, reports: usize, overtake: bool },
    /// The worker tells about talkers and slots on its own.
    Chatter,
    /// The worker crashes.
    Crash,
    /// Time passes.
    Wait { millis: u64 },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |who: &usize| PEOPLE.get(*who).copied().unwrap_or("nobody");
        match self {
            Self::Join { who, role, offer } => write!(f, "{} joins as {role:?}, {offer:?}", name(who)),
            Self::Resume { who, offer, over_new, by_old } => {
                write!(f, "{} comes back, offer {offer:?}, over a new link: {over_new}", name(who))?;
                f.write_str(if *by_old { ", by the secret before" } else { "" })
            }
            Self::Unplug { who } => write!(f, "{} loses signalling", name(who)),
            Self::LoseMedia { who } => write!(f, "{} loses media", name(who)),
            Self::DtlsDone { who } => write!(f, "{}'s DTLS is done", name(who)),
            Self::Ask { who, method, params } => write!(f, "{} asks {method} {params}", name(who)),
            Self::Repeat { who } => write!(f, "{} repeats the last request", name(who)),
            Self::Prompt(true) => f.write_str("the worker is prompt"),
            Self::Prompt(false) => f.write_str("the worker is slow"),
            Self::Work { commands, reports, overtake } => {
                write!(f, "the worker applies {commands}, reports {reports}")?;
                f.write_str(if *overtake { ", out of order" } else { "" })
            }
            Self::Chatter => f.write_str("the worker chatters"),
            Self::Crash => f.write_str("the worker crashes"),
            Self::Wait { millis } => write!(f, "{millis} ms pass"),
        }
    }
}
