//! Whether a scenario can be played.

use std::fmt;

use super::{MAX_NEWCOMERS, People, Scenario};

/// A setting that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Fault {
    pub(in super::super) section: &'static str,
    pub(in super::super) key: &'static str,
    pub(in super::super) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in [{}]: {}", self.key, self.section, self.message)
    }
}

/// Seats of a room with its breakout rooms, at the most, less some for whoever comes on top.
const MAX_A_ROOM: usize = 4_900;
/// A mark has to fit into each packet, and a packet into a datagram.
const LEAST_PAYLOAD: f64 = 80.0;
const MOST_PAYLOAD: f64 = 1_200.0;

fn fault(section: &'static str, key: &'static str, message: impl Into<String>) -> Result<(), Fault> {
    Err(Fault { section, key, message: message.into() })
}

/// Counts of people, rooms and packets are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
const fn number(count: usize) -> f64 {
    count as f64
}

impl Scenario {
    /// The first setting that cannot be had.
    pub(in super::super) fn check(&self) -> Result<(), Fault> {
        self.check_ranges()?;
        self.check_people()?;
        self.check_turns()?;
        self.check_breakouts()?;
        if self.operations.joins > 0.0 && self.sound.talkers == 0 {
            return fault(
                "operations",
                "joins",
                "newcomers wait for something to hear: [sound] has no talkers",
            );
        }
        Ok(())
    }

    fn check_ranges(&self) -> Result<(), Fault> {
        let Self { run, people, sound, share, breakouts, operations, network } = self;
        let seconds = usize::try_from(run.seconds).map_or(f64::INFINITY, number);
        for (section, key, value, least, most) in [
            ("run", "seconds", seconds, 1.0, 86_400.0),
            ("run", "rate", run.rate, 0.01, 1_000.0),
            ("people", "participants", number(people.participants), 1.0, 20_000.0),
            ("people", "rooms", number(people.rooms), 1.0, 5_000.0),
            ("sound", "talkers", number(sound.talkers), 0.0, 16.0),
            ("sound", "at_once", number(sound.at_once), 0.0, number(sound.talkers)),
            ("sound", "turn_seconds", sound.turn_seconds, 0.0, 3_600.0),
            ("sound", "packets_per_second", sound.packets_per_second, 0.1, 1_000.0),
            ("sound", "payload_bytes", number(sound.payload_bytes), LEAST_PAYLOAD, MOST_PAYLOAD),
            ("share", "presenters", number(share.presenters), 0.0, 16.0),
            ("share", "on_seconds", share.on_seconds, 0.0, 3_600.0),
            ("share", "off_seconds", share.off_seconds, 0.0, 3_600.0),
            ("share", "frames_per_second", share.frames_per_second, 0.1, 1_000.0),
            ("share", "packets_per_frame", f64::from(share.packets_per_frame), 1.0, 200.0),
            ("share", "payload_bytes", number(share.payload_bytes), LEAST_PAYLOAD, MOST_PAYLOAD),
            ("share", "burst", f64::from(share.burst), 1.0, 200.0),
            ("share", "spacing_ms", share.spacing_ms, 0.0, 1_000.0),
            ("breakouts", "rooms", number(breakouts.rooms), 0.0, 10.0),
            ("breakouts", "seats", number(breakouts.seats), 2.0, 15.0),
            ("breakouts", "talkers", number(breakouts.talkers), 0.0, number(breakouts.seats)),
            ("operations", "moves", operations.moves, 0.0, 1_000.0),
            ("operations", "joins", operations.joins, 0.0, 5_000.0),
            ("operations", "stay_seconds", operations.stay_seconds, 0.0, 3_600.0),
            ("operations", "clears", operations.clears, 0.0, 100.0),
            ("operations", "destroys", operations.destroys, 0.0, 100.0),
            ("network", "loss", network.loss, 0.0, 0.5),
            ("network", "burst", f64::from(network.burst), 1.0, 50.0),
            ("network", "delay_ms", network.delay_ms, 0.0, 500.0),
            ("network", "jitter_ms", network.jitter_ms, 0.0, 200.0),
            ("network", "copies", network.copies, 0.0, 0.5),
            ("network", "rebinds", network.rebinds, 0.0, 100.0),
        ] {
            // Also what is not a number is not within.
            if !(least..=most).contains(&value) {
                return fault(section, key, format!("has to be from {least} to {most}"));
            }
        }
        Ok(())
    }

    fn check_people(&self) -> Result<(), Fault> {
        let People { participants, rooms } = self.people;
        if self.run.name.is_empty() || self.run.name.len() > 64 || self.run.name.chars().any(char::is_control)
        {
            return fault("run", "name", "has to be 1 to 64 bytes without control characters");
        }
        if rooms > participants {
            return fault("people", "rooms", format!("there are only {participants} participants"));
        }
        let a_room = participants.div_ceil(rooms) + self.newcomers_at_once().div_ceil(rooms);
        if a_room > MAX_A_ROOM {
            let message =
                format!("{a_room} people a room, newcomers included, and {MAX_A_ROOM} are the most");
            return fault("people", "rooms", message);
        }
        let newcomers = self.operations.joins * self.operations.stay_seconds;
        if newcomers > MAX_NEWCOMERS * 0.8 {
            let message =
                format!("{newcomers:.0} newcomers would be there at once, {MAX_NEWCOMERS} are the most");
            return fault("operations", "stay_seconds", message);
        }
        Ok(())
    }

    fn check_turns(&self) -> Result<(), Fault> {
        let Self { sound, share, .. } = self;
        if self.talking() < sound.talkers && sound.turn_seconds == 0.0 {
            return fault("sound", "turn_seconds", "some would never talk: give them turns");
        }
        if sound.turn_seconds > 0.0 && self.talking() == sound.talkers {
            return fault("sound", "at_once", "all talk all the time: there are no turns to take");
        }
        if sound.turn_seconds > 0.0 && sound.turn_seconds < LEAST_TURN {
            return fault("sound", "turn_seconds", format!("has to be 0 or from {LEAST_TURN}"));
        }
        if share.presenters > 1 && share.on_seconds == 0.0 {
            return fault("share", "on_seconds", "one would share for ever, and the others never");
        }
        if share.on_seconds > 0.0 && share.on_seconds < LEAST_TURN {
            return fault("share", "on_seconds", format!("has to be 0 or from {LEAST_TURN}"));
        }
        Ok(())
    }

    fn check_breakouts(&self) -> Result<(), Fault> {
        let Self { people, sound, breakouts, operations, .. } = self;
        if !breakouts.deal && operations.moves == 0.0 {
            if operations.clears + operations.destroys > 0.0 {
                return fault("operations", "moves", "nobody would be brought home by a clear or a destroy");
            }
            return Ok(());
        }
        let key = if breakouts.deal { ("breakouts", "deal") } else { ("operations", "moves") };
        if breakouts.rooms == 0 {
            return fault(key.0, key.1, "there are no breakout rooms: `rooms` in [breakouts]");
        }
        if sound.talkers == 0 {
            return fault(key.0, key.1, "who comes home has to hear somebody: `talkers` in [sound]");
        }
        if !breakouts.deal {
            return Ok(());
        }
        if operations.moves + operations.clears + operations.destroys > 0.0 {
            return fault(
                "breakouts",
                "deal",
                "goes with none of the moves, clears and destroys of [operations]",
            );
        }
        let (a_room, seats) = (people.participants.div_ceil(people.rooms), breakouts.rooms * breakouts.seats);
        if a_room > seats {
            let message =
                format!("{a_room} participants a parent room, and {seats} seats in its breakout rooms");
            return fault("breakouts", "rooms", message);
        }
        Ok(())
    }
}

/// Turns that are shorter are over before a slot has been bound.
const LEAST_TURN: f64 = 0.2;

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::*;

    #[test]
    fn every_profile_can_be_played() {
        for profile in Profile::ALL {
            assert_eq!(profile.scenario().check(), Ok(()), "{profile:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        type Change = fn(&mut Scenario);
        let cases: [(Profile, Change, &str); 16] = [
            (Profile::Audio, |s| s.people.participants = 0, "`participants` in [people]"),
            (Profile::Audio, |s| s.people.rooms = 101, "`rooms` in [people]"),
            (Profile::Audio, |s| s.people.participants = 5_000, "`rooms` in [people]"),
            (Profile::Audio, |s| s.run.rate = f64::NAN, "`rate` in [run]"),
            (Profile::Audio, |s| s.run.seconds = 0, "`seconds` in [run]"),
            (Profile::Audio, |s| s.sound.turn_seconds = 1.0, "`at_once` in [sound]"),
            (Profile::Audio, |s| s.network.loss = 1.0, "`loss` in [network]"),
            (Profile::Meeting, |s| s.sound.turn_seconds = 0.0, "`turn_seconds` in [sound]"),
            (Profile::Meeting, |s| s.share.on_seconds = 0.0, "`on_seconds` in [share]"),
            (Profile::Breakouts, |s| s.people.participants = 200, "`rooms` in [breakouts]"),
            (Profile::Breakouts, |s| s.sound.talkers = 0, "`deal` in [breakouts]"),
            (Profile::Breakouts, |s| s.operations.moves = 1.0, "`deal` in [breakouts]"),
            (Profile::Churn, |s| s.operations.moves = 0.0, "`moves` in [operations]"),
            (Profile::Churn, |s| s.breakouts.rooms = 0, "`moves` in [operations]"),
            (Profile::JoinStorm, |s| s.sound.talkers = 0, "`joins` in [operations]"),
            (Profile::JoinStorm, |s| s.operations.stay_seconds = 60.0, "`stay_seconds` in [operations]"),
        ];
        for (profile, change, wrong) in cases {
            let mut scenario = profile.scenario();
            change(&mut scenario);
            let found = scenario.check().unwrap_err().to_string();
            assert!(found.starts_with(wrong), "{wrong}: {found}");
        }
    }
}
