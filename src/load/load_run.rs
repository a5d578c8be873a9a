//! `anteroom load`: synthetic participants against a server, and what that costs it.

use std::io::{self, Write as _};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::churn::{Churned, churn};
use super::floor::{self, Floor, ratio};
use super::generator::{Addressing, Gathered, Generator, GeneratorSettings, Measured, Order};
use super::html::{self, Sample};
use super::load_report::{Latency, LoadReport};
use super::options::{LoadOptions, Profile};
use super::person::PersonError;
use super::process::{cpu_ns, resident_kib, thread_times};
use super::report::Percentiles;
use super::servers::{self, Attendee, Newcomer, Target};
use super::watch::watch;
use crate::base::{Kind, Random};
use crate::client::{ParticipantReport, ParticipantSettings, ServerKind};
use crate::telemetry::Clock;

/// Why a run could not be made. One in which something was wrong is a report, not an error.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option is out of its range.
    #[error("{0}")]
    Option(String),
    /// The system refuses sockets, threads or a process.
    #[error("{0}")]
    System(#[from] io::Error),
    /// Somebody could not join.
    #[error("{who}: {error}")]
    Person {
        /// Who.
        who: String,
        /// What happened.
        error: PersonError,
    },
    /// Something did not happen in time.
    #[error("{0}")]
    Late(String),
}

/// Participants who join at the same time.
const JOINING_AT_ONCE: usize = 32;
/// From the last join to the measurement.
const WARM_UP: Duration = Duration::from_secs(2);
/// For packets under way at the end.
const SETTLE: Duration = Duration::from_millis(300);
/// Media of everybody is up this long after the last answer.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(30);
/// One look at the worker's load.
const PROBE: Duration = Duration::from_millis(1_500);
/// Looks until the rate is found.
const MOST_PROBES: usize = 10;

/// Runs a load test.
///
/// # Errors
/// [`LoadError`] where it could not be made.
pub async fn run_load(options: &LoadOptions) -> Result<LoadReport, LoadError> {
    options.check().map_err(LoadError::Option)?;
    let processors = processors();
    let target = servers::open(options, processors.0).await?;
    let before = measure_floor(options, 1.0, processors).await?;
    let mut run = Run::start(options.clone(), target, processors.1)?;
    let mut report = run.measure().await?;
    let samples = std::mem::take(&mut run.samples);
    if let Some(gathered) = run.finish().await {
        report.join_ms = Percentiles::of(&gathered.joins);
    }
    let after = measure_floor(options, report.rate, processors).await?;
    report.add_floor(before.mean(after));
    if let Some(file) = &options.html {
        let unwritable = |error| io::Error::other(format!("{}: {error}", file.display()));
        std::fs::write(file, html::page(&report, &samples)).map_err(unwritable)?;
    }
    Ok(report)
}

/// The processors of server and generator, where there are two.
fn processors() -> (Option<usize>, Option<usize>) {
    let several = std::thread::available_parallelism().is_ok_and(|count| count.get() >= 2);
    (several.then_some(0), several.then_some(1))
}

async fn measure_floor(
    options: &LoadOptions,
    rate: f64,
    processors: (Option<usize>, Option<usize>),
) -> Result<Floor, LoadError> {
    say("measuring a raw sender");
    let workload = options.workload(rate);
    let measured = tokio::task::spawn_blocking(move || floor::measure(&workload, processors)).await;
    Ok(measured.map_err(io::Error::other)??)
}

/// Progress, for people: on standard error.
pub(super) fn say(what: &str) {
    let _ = writeln!(io::stderr(), "load: {what}");
}

struct Run {
    options: LoadOptions,
    target: Box<dyn Target>,
    pid: Option<u32>,
    generator: Generator,
    clock: Clock,
    seed: Random,
    people: Vec<Box<dyn Attendee>>,
    /// Resident memory before the first client.
    rss_before: Option<u64>,
    /// What each second of the measurement was like.
    samples: Vec<Sample>,
}

impl Run {
    fn start(
        options: LoadOptions,
        target: Box<dyn Target>,
        processor: Option<usize>,
    ) -> Result<Self, LoadError> {
        let clock = Clock::start();
        let addressing = target.addressing();
        let pid = target.pid();
        let settings = GeneratorSettings { addressing, gro: options.gro, processor, clock };
        Ok(Self {
            generator: Generator::start(settings)?,
            seed: Random::from_number(clock.now().as_micros()),
            people: Vec::new(),
            samples: Vec::new(),
            rss_before: pid.and_then(|pid| resident_kib(pid).ok()),
            options,
            target,
            pid,
            clock,
        })
    }

    async fn measure(&mut self) -> Result<LoadReport, LoadError> {
        self.bring_in().await?;
        sleep(WARM_UP).await;
        let rate = self.find_rate().await?;
        let seconds = Duration::from_secs(self.options.seconds);
        say(&format!("measuring for {} s", self.options.seconds));
        let (cpu, threads) = self.look();
        self.generator.orders().give(Order::Begin).await;
        let began = self.clock.now();
        let ends = began + seconds;
        let churned = async {
            let rooms = (self.options.rooms, self.options.publishers_per_room());
            match self.options.profile {
                Profile::Churn => {
                    churn(&self.people, rooms, self.options.moves_per_second, (self.clock, ends)).await
                }
                Profile::Audio | Profile::Screen => Ok(Churned::default()),
            }
        };
        let watched = watch(&self.generator, self.clock, self.pid, seconds);
        let (samples, churned) = tokio::join!(watched, churned);
        let churned = churned?;
        self.samples = samples;
        let (end, measured) = oneshot::channel();
        self.generator.orders().give(Order::End { measured: end }).await;
        let measured = measured.await.map_err(|_| LoadError::Late("the generator has ended".to_owned()))?;
        let took = self.clock.now().since(began);
        let (cpu_after, threads_after) = self.look();
        let rss = self.pid.and_then(|pid| resident_kib(pid).ok());
        self.publish(false).await?;
        sleep(SETTLE).await;
        let mut report = self.report(&measured, took, rate);
        report.moves = churned.moves;
        report.move_ack_ms = Percentiles::of(&churned.acks);
        report.destroy_ms = churned.destroyed_in.map(|took| took.as_secs_f64() * 1_000.0);
        report.server_cpu_ns_per_packet =
            cpu.zip(cpu_after).map(|(before, after)| ratio(after - before, measured.received));
        report.worker_utilisation = utilisation(&threads, &threads_after, took);
        report.least_worker_utilisation = shares(&threads, &threads_after, took).reduce(f64::min);
        let people = u64::try_from(self.people.len()).unwrap_or(1);
        let grown = self.rss_before.zip(rss).map(|(before, after)| after.saturating_sub(before));
        report.rss_kib_per_participant = grown.map(|kib| ratio(kib, people));
        self.gather(&mut report).await;
        Ok(report)
    }

    /// Processor time of the server and of each of its media workers.
    fn look(&self) -> (Option<u64>, Vec<u64>) {
        let Some(pid) = self.pid else { return (None, Vec::new()) };
        let workers = thread_times(pid).unwrap_or_default();
        let workers = workers.iter().filter(|thread| thread.name.starts_with("media-"));
        (cpu_ns(pid).ok(), workers.map(|thread| thread.cpu_ns).collect())
    }

    /// Brings everybody in and starts what they publish. Other servers offer a listener what is
    /// published when it comes, Anteroom slots for whatever there will be.
    async fn bring_in(&mut self) -> Result<(), LoadError> {
        let (rooms, each) = (self.options.rooms, self.options.publishers_per_room());
        // Publishers first, so that numbers below `publishers()` are theirs.
        let publishers = (0..rooms).flat_map(|room| (0..each).map(move |number| (room, Some(number))));
        let listeners = (0..self.options.participants).map(|number| (number % rooms, None));
        say(&format!("{} participants join", self.options.participants + self.options.publishers()));
        let publishes_first = self.target.kind() == ServerKind::Other;
        self.join_all(publishers.collect()).await?;
        if publishes_first {
            self.publish(true).await?;
        }
        self.join_all(listeners.collect()).await?;
        if !publishes_first {
            self.publish(true).await?;
        }
        let heard = self.options.publishers_per_room();
        if self.options.kind() == Kind::Audio {
            for person in self.people.iter().skip(self.options.publishers()) {
                person.hears(heard).await.map_err(|error| failed(person.as_ref(), error))?;
            }
        }
        Ok(())
    }

    /// Brings in some, each with its room and its number as a publisher, and waits for their media.
    async fn join_all(&mut self, newcomers: Vec<(usize, Option<usize>)>) -> Result<(), LoadError> {
        let before = self.people.len();
        for group in newcomers.chunks(JOINING_AT_ONCE) {
            let first = self.people.len();
            let orders = self.generator.orders();
            let (target, seed, options) = (self.target.as_ref(), &mut self.seed, &self.options);
            let joining = group.iter().zip(first..).map(|((room, publisher), id)| {
                let settings = settings(options, target.kind(), publisher.is_some());
                let (room, publisher, random) = (*room, *publisher, seed.fork());
                let newcomer = Newcomer { id, room, publisher, settings, random };
                let (who, orders) = (newcomer.name(), &orders);
                async move {
                    let joined = target.join(newcomer, orders).await;
                    joined.map_err(|error| LoadError::Person { who, error })
                }
            });
            for joined in join_all(joining).await {
                self.people.push(joined?);
            }
        }
        for person in self.people.iter().skip(before) {
            person.connected().await.map_err(|error| failed(person.as_ref(), error))?;
        }
        Ok(())
    }

    async fn publish(&self, on: bool) -> Result<(), LoadError> {
        for person in self.people.iter().take(self.options.publishers()) {
            let published = person.publish(self.options.kind(), on).await;
            published.map_err(|error| failed(person.as_ref(), error))?;
        }
        Ok(())
    }

    /// Sets the rate that was asked for, or finds the one at which a worker is as busy as asked.
    async fn find_rate(&mut self) -> Result<f64, LoadError> {
        let Some(target) = self.options.find_load else {
            self.set_rate(self.options.rate).await;
            return Ok(self.options.rate);
        };
        let mut rate = 1.0;
        for probe in 1..=MOST_PROBES {
            self.set_rate(rate).await;
            sleep(PROBE / 3).await;
            let (_, before) = self.look();
            let began = self.clock.now();
            sleep(PROBE).await;
            let (_, after) = self.look();
            let share = utilisation(&before, &after, self.clock.now().since(began)).unwrap_or(0.0);
            say(&format!("probe {probe}: rate {rate:.2}, busiest media worker {:.0} %", share * 100.0));
            if (share - target).abs() < target * 0.03 {
                break;
            }
            rate *= (target / share.max(0.001)).clamp(0.3, 3.0);
        }
        Ok(rate)
    }

    async fn set_rate(&self, rate: f64) {
        self.generator.orders().give(Order::Rate(rate)).await;
    }

    fn report(&self, measured: &Measured, took: Duration, rate: f64) -> LoadReport {
        LoadReport {
            profile: self.options.profile.name().to_owned(),
            server: self.target.name(),
            interface: match self.target.addressing() {
                Addressing::Loopback { .. } => "loopback".to_owned(),
                Addressing::Own(_) if self.options.spawn => {
                    format!("{}, a socket per participant", self.options.interface_address)
                }
                Addressing::Own(_) => "a socket per participant".to_owned(),
            },
            participants: self.options.participants,
            publishers: self.options.publishers(),
            rate,
            hold_ms: self.options.hold_ms,
            seconds: took.as_secs_f64(),
            sent: measured.sent,
            received: measured.received,
            latency_us: Latency::of(&measured.latency),
            generator_cpu: Duration::from_nanos(measured.cpu_ns).as_secs_f64() / took.as_secs_f64(),
            gro: self.options.gro,
            ..LoadReport::default()
        }
    }

    /// Lets everybody go and adds what they found.
    async fn gather(&mut self, report: &mut LoadReport) {
        let publishers = self.options.publishers();
        let expected = match self.target.kind() {
            ServerKind::Anteroom => 0,
            ServerKind::Other => self.options.publishers_per_room(),
        };
        let people = std::mem::take(&mut self.people).into_iter();
        let finished = join_all(people.map(|person| person.finish())).await;
        let mut moves = Vec::new();
        for (number, finished) in finished.into_iter().enumerate() {
            match finished {
                Ok(found) => {
                    moves.extend(found.iter().flat_map(|found| found.first_packets.iter().copied()));
                    let heard: usize = found.iter().map(|found| found.publishers).sum();
                    if number >= publishers && heard < expected {
                        report.problems.push(format!("participant {number} heard {heard} of {expected}"));
                    }
                    found.iter().for_each(|found| report.add(found, number >= publishers));
                }
                Err(error) => report.problems.push(format!("participant {number}: {error}")),
            }
        }
        report.move_to_first_packet_ms = Percentiles::of(&moves);
        report.problems.truncate(20);
    }

    async fn finish(self) -> Option<Gathered> {
        self.target.close().await;
        self.generator.finish().await
    }
}

pub(super) fn failed(person: &dyn Attendee, error: PersonError) -> LoadError {
    LoadError::Person { who: person.name().to_owned(), error }
}

/// What a participant is like.
fn settings(options: &LoadOptions, server: ServerKind, publishes: bool) -> ParticipantSettings {
    let usual = ParticipantSettings { server, ..ParticipantSettings::default() };
    let pattern = options.pattern();
    let (audio, video) =
        if options.kind().is_video() { (usual.audio, pattern) } else { (pattern, usual.video) };
    if server == ServerKind::Other {
        // Such a server has a line for each stream: here it is one to send on or one to listen to.
        let sends = if publishes { vec![options.kind()] } else { Vec::new() };
        let lines = usize::from(!publishes);
        let (audio_slots, video_slots) = if options.kind().is_video() { (0, lines) } else { (lines, 0) };
        return ParticipantSettings { sends, audio_slots, video_slots, audio, video, ..usual };
    }
    // Publishers only publish, so that what is received is listeners times what is sent.
    let (audio_slots, video_slots) =
        if publishes { (0, 0) } else { (usual.audio_slots.max(options.talkers), usual.video_slots) };
    ParticipantSettings { audio_slots, video_slots, audio, video, ..usual }
}

fn utilisation(before: &[u64], after: &[u64], took: Duration) -> Option<f64> {
    shares(before, after, took).reduce(f64::max)
}

/// The share of one processor that each media worker used.
fn shares(before: &[u64], after: &[u64], took: Duration) -> impl Iterator<Item = f64> {
    let used = after.iter().zip(before).map(|(after, before)| after.saturating_sub(*before));
    used.map(move |ns| Duration::from_nanos(ns).as_secs_f64() / took.as_secs_f64())
}

impl LoadReport {
    fn add(&mut self, found: &ParticipantReport, listens: bool) {
        let verdict = &found.verdict;
        self.lost += verdict.lost + verdict.left_out;
        self.duplicated += verdict.duplicates;
        self.wrong_group += verdict.wrong_group + verdict.wrong_publisher;
        self.decrypt_failures += found.decrypt_failures;
        if listens && found.received == 0 {
            self.problems.push("somebody received nothing".to_owned());
        }
        if let Some(srtp) = found.srtp {
            srtp.name().clone_into(&mut self.srtp);
        }
    }

    fn add_floor(&mut self, floor: Floor) {
        self.floor_ns_per_packet = floor.paced;
        self.tight_floor_ns_per_packet = floor.tight;
        self.ratio_to_floor =
            self.server_cpu_ns_per_packet.filter(|_| floor.paced > 0.0).map(|ns| ns / floor.paced);
        self.ok = self.problems.is_empty()
            && self.received > 0
            && (self.lost, self.wrong_group, self.duplicated, self.decrypt_failures) == (0, 0, 0, 0);
    }
}
