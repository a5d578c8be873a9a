//! `anteroom demo`: brings people in, plays a meeting with them, and judges what everybody heard.

use std::io::{IsTerminal, Write as _};
use std::time::Duration;

use super::demo_meeting::{Meeting, Tally};
use super::dev_token::{TokenError, development_token};
use super::generator::{Addressing, Generator, GeneratorSettings, Orders};
use super::person::{Newcomer, Person, PersonError};
use super::report::{DemoReport, Percentiles};
use crate::base::Random;
use crate::client::{ClientIdentity, ParticipantReport, ParticipantSettings};
use crate::message::Role;
use crate::telemetry::Clock;

/// What a demo is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoOptions {
    /// Participants, 4..=200, one of them the moderator.
    pub participants: usize,
    /// Breakout rooms, 1..=10.
    pub breakouts: usize,
    /// How long the meeting goes on.
    pub seconds: u64,
    /// Whether a live table is drawn on the terminal (standard error).
    pub live: bool,
}

/// Why a demo could not run. A meeting in which something went wrong is a report, not an error.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// An option is out of its range.
    #[error("{0}")]
    Option(String),
    /// The media of the participants could not be set up.
    #[error("the sockets of the participants: {0}")]
    Generator(#[from] std::io::Error),
    /// The server lets nobody in.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// Somebody could not join or a step of the meeting was refused.
    #[error("{who}: {error}")]
    Person {
        /// Whose step.
        who: String,
        /// What happened.
        error: PersonError,
    },
}

/// Participants who join at the same time.
const JOINING_AT_ONCE: usize = 8;

/// Sockets that all participants share.
const SOCKETS: usize = 8;

/// Plays a meeting on the server at `http_address` (`host:port`), which has to hand out development
/// tokens, and judges it.
///
/// # Errors
/// [`DemoError`] where the options are out of range or the meeting could not be played.
pub async fn run(options: &DemoOptions, http_address: &str) -> Result<DemoReport, DemoError> {
    check(options)?;
    let clock = Clock::start();
    let live = Live::new(options.live);
    let settings = GeneratorSettings {
        addressing: Addressing::Loopback { sockets: SOCKETS },
        gro: true,
        processor: None,
        clock,
        network: None,
    };
    let generator = Generator::start(settings)?;
    let people = bring_in(options, http_address, &generator.orders(), &live).await?;
    let mut meeting = Meeting::new(people, options.breakouts);
    let until = clock.now() + Duration::from_secs(options.seconds);
    let played =
        meeting.play(clock, until, |meeting, step| live.draw(meeting.people(), meeting.tally(), step)).await;
    let (people, tally) = meeting.into_parts();
    live.end();
    let joins: Vec<Duration> = people.iter().filter_map(|person| person.state().media.joined_in).collect();
    let mut report = DemoReport {
        participants: options.participants,
        breakouts: options.breakouts,
        moves: tally.moves,
        join_ms: Percentiles::of(&joins),
        move_ack_ms: Percentiles::of(&tally.acks),
        ..DemoReport::default()
    };
    if let Err(problem) = played {
        report.problems.push(problem.to_string());
    }
    gather(&mut report, people).await;
    generator.finish().await;
    Ok(report)
}

fn check(options: &DemoOptions) -> Result<(), DemoError> {
    if !(4..=200).contains(&options.participants) {
        return Err(DemoError::Option("--participants has to be from 4 to 200".to_owned()));
    }
    if !(1..=10).contains(&options.breakouts) {
        return Err(DemoError::Option("--breakouts has to be from 1 to 10".to_owned()));
    }
    if !(1..=3600).contains(&options.seconds) {
        return Err(DemoError::Option("--seconds has to be from 1 to 3600".to_owned()));
    }
    Ok(())
}

async fn bring_in(
    options: &DemoOptions,
    http_address: &str,
    media: &Orders,
    live: &Live,
) -> Result<Vec<Person>, DemoError> {
    let mut seed = Random::from_number(media.clock().now().as_micros());
    let mut people: Vec<Person> = Vec::with_capacity(options.participants);
    while people.len() < options.participants {
        let batch = (people.len()..options.participants).take(JOINING_AT_ONCE).map(|number| {
            let (name, role) = match number {
                0 => ("Moderator".to_owned(), Role::Moderator),
                _ => (format!("Person {number}"), Role::Participant),
            };
            let random = seed.fork();
            async move {
                let token = development_token(http_address, "demo", &name, role).await?;
                let settings = ParticipantSettings::default();
                let made = ClientIdentity::generate().map_err(|e| PersonError::Transport(e.to_string()));
                let identity = made.map_err(|error| DemoError::Person { who: name.clone(), error })?;
                let (token, began) = (token.as_str(), None);
                let newcomer = Newcomer {
                    http_address,
                    name: &name,
                    token,
                    id: number,
                    settings,
                    random,
                    began,
                    identity,
                };
                let joined = Person::join(newcomer, media).await;
                let person = joined.map_err(|error| DemoError::Person { who: name.clone(), error })?;
                let up = person.wait("media connected", |state| state.media.joined_in.is_some()).await;
                up.map_err(|error| DemoError::Person { who: name, error })?;
                Ok::<_, DemoError>(person)
            }
        });
        for joined in futures_util::future::join_all(batch).await {
            people.push(joined?);
        }
        live.draw(&people, &Tally::default(), "people join");
    }
    Ok(people)
}

async fn gather(report: &mut DemoReport, people: Vec<Person>) {
    let mut first_packets = Vec::new();
    for person in people {
        let name = person.name.clone();
        match person.finish().await {
            Ok(found) => {
                add(report, &name, &found);
                first_packets.extend(found.first_packets);
            }
            Err(error) => {
                report.problems.push(format!("{name}: {error}"));
                error.into_found().iter().for_each(|found| add(report, &name, found));
            }
        }
    }
    report.move_to_first_packet_ms = Percentiles::of(&first_packets);
    report.ok = report.problems.is_empty()
        && report.wrong_group_packets == 0
        && report.lost_packets == 0
        && report.decrypt_failures == 0
        && report.forwarded_packets > 0
        && report.moves > 0;
}

fn add(report: &mut DemoReport, name: &str, found: &ParticipantReport) {
    report.forwarded_packets += found.received;
    report.decrypt_failures += found.decrypt_failures;
    report.wrong_group_packets += found.verdict.wrong_group;
    report.lost_packets += found.verdict.lost;
    if found.received == 0 {
        report.problems.push(format!("{name} heard nothing"));
    }
    if found.verdict.wrong_publisher + found.verdict.duplicates > 0 {
        let verdict = &found.verdict;
        let text = format!("{} of another publisher, {} twice", verdict.wrong_publisher, verdict.duplicates);
        report.problems.push(format!("{name} received packets that were not its slots': {text}"));
    }
    for (ssrc, seq, why) in found.examples.iter().take(3) {
        report.problems.push(format!("{name}: slot {ssrc}, packet {seq}: {why:?}"));
    }
    if let Some(srtp) = found.srtp {
        srtp.name().clone_into(&mut report.srtp);
    }
}

/// The live table on standard error.
struct Live {
    table: bool,
    steps: bool,
}

impl Live {
    fn new(wanted: bool) -> Self {
        Self { table: wanted && std::io::stderr().is_terminal(), steps: wanted }
    }

    fn draw(&self, people: &[Person], tally: &Tally, step: &str) {
        let mut err = std::io::stderr().lock();
        if !self.table {
            if self.steps {
                let _ = writeln!(err, "{step}: {} people, {} moves", people.len(), tally.moves);
            }
            return;
        }
        let mut rooms = std::collections::BTreeMap::<String, (usize, u64)>::new();
        for person in people {
            let state = person.state();
            let name = if state.room_id.len() == 32 {
                state.room_id.chars().take(8).collect()
            } else {
                state.room_id
            };
            let room = rooms.entry(name).or_default();
            room.0 += 1;
            room.1 += person.received();
        }
        let _ = write!(err, "\x1b[2J\x1b[H");
        let _ =
            writeln!(err, "Anteroom demo: {step}\n\n  {:<12}{:>8}{:>14}", "room", "people", "packets heard");
        for (room, (count, packets)) in &rooms {
            let _ = writeln!(err, "  {room:<12}{count:>8}{packets:>14}");
        }
        let _ = writeln!(err, "\n  {} moves so far", tally.moves);
    }

    fn end(&self) {
        if self.table {
            let _ = write!(std::io::stderr().lock(), "\x1b[2J\x1b[H");
        }
    }
}
