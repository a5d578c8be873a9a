//! `anteroom load`: synthetic participants against a server, and what that costs it.

mod acts;
mod cast;
mod churn;
mod dealing;
mod newcomers;
mod outcome;
mod stage;
mod turns;

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::end::{End, Stop};
use super::floor::{self, Floor, Place, ratio};
use super::generator::{Addressing, Generator, GeneratorSettings, Measured, Order};
use super::html::{self, Sample};
use super::load_report::{Latency, LoadReport};
use super::options::{LoadOptions, TargetKind};
use super::person::PersonError;
use super::process::{cpu_ns, machine_cpu_ns, thread_times};
use super::scenario::Scenario;
use super::servers::{self, Attendee, Target};
use super::watch::watch;
use crate::telemetry::{Clock, raise_open_files, resident_bytes};
use acts::Act;
use cast::Cast;

/// Why a run could not be made. One in which something was wrong is a report, not an error.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option or a scenario makes no sense.
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
    /// It was stopped too early for a report.
    #[error("stopped before anything was measured")]
    Stopped,
}

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

/// Runs a load test. Where `stop` comes during the measurement, what was measured until then is reported.
///
/// # Errors
/// [`LoadError`] where it could not be made.
pub async fn run_load(
    options: &LoadOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<LoadReport, LoadError> {
    let scenario = options.plan().map_err(LoadError::Option)?;
    allow_sockets(options, &scenario)?;
    let unwritable = |file: &std::path::Path, error| {
        io::Error::other(format!("cannot write --html {}: {error}", file.display()))
    };
    if let Some(file) = &options.html {
        // Before the run: what was measured is not to be lost for a folder that is not there.
        std::fs::File::create(file).map_err(|error| unwritable(file, error))?;
    }
    let (processors, stop) = (processors(), Stop::when(stop));
    let place = Place { address: options.interface_address, netns: options.netns.clone() };
    let begin = async {
        let target = servers::open(options, &scenario, processors.0).await?;
        let before = measure_floor(options, &scenario, 1.0, &place, processors).await?;
        let mut run = Run::start(options.clone(), scenario, target, processors.1)?;
        let ready = run.prepare().await?;
        Ok::<_, LoadError>((run, ready, before))
    };
    let (mut run, ready, before) = tokio::select! {
        begun = begin => begun?,
        () = stop.comes() => return Err(LoadError::Stopped),
    };
    let mut report = run.measure(ready, stop).await?;
    let (samples, scenario) = (std::mem::take(&mut run.samples), run.scenario.clone());
    run.target.close().await;
    if let Some(gathered) = run.generator.finish().await {
        report.add_gathered(&gathered);
    }
    let after = measure_floor(options, &scenario, report.rate, &place, processors).await?;
    report.add_floor(before.mean(after));
    report.judge(scenario.publishers() == 0);
    if let Some(file) = &options.html {
        std::fs::write(file, html::page(&report, &samples)).map_err(|error| unwritable(file, error))?;
    }
    Ok(report)
}

/// Files that the generator has open besides its participants'.
const OTHER_FILES: u64 = 256;

/// Each participant has a WebSocket, and off loopback a socket for its media, which it keeps to the end.
fn allow_sockets(options: &LoadOptions, scenario: &Scenario) -> Result<(), LoadError> {
    let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let people = whole(scenario.people.participants + scenario.publishers() + scenario.newcomers_at_once());
    let on_loopback = options.target == TargetKind::Anteroom
        && options.interface_address.is_loopback()
        && options.interface_address.is_ipv4();
    let media = if on_loopback { 0 } else { people + whole(scenario.newcomers()) };
    let needed = people + media + OTHER_FILES;
    let allowed = raise_open_files(needed);
    if allowed >= needed {
        return Ok(());
    }
    Err(LoadError::Option(format!(
        "{needed} open files are needed and the system allows {allowed}: raise `ulimit -Hn`, or take fewer \
         participants"
    )))
}

/// The processors of server and generator, where there are two.
fn processors() -> (Option<usize>, Option<usize>) {
    let several = std::thread::available_parallelism().is_ok_and(|count| count.get() >= 2);
    (several.then_some(0), several.then_some(1))
}

async fn measure_floor(
    options: &LoadOptions,
    scenario: &Scenario,
    rate: f64,
    place: &Place,
    processors: (Option<usize>, Option<usize>),
) -> Result<Floor, LoadError> {
    if !options.spawn && options.server_pid.is_none() {
        // Nothing is known of the server that could be compared.
        return Ok(Floor::default());
    }
    say("measuring a raw sender");
    let (workload, place) = (scenario.workload(rate), place.clone());
    let measured = tokio::task::spawn_blocking(move || floor::measure(&workload, &place, processors)).await;
    Ok(measured.map_err(io::Error::other)??)
}

/// Progress, for people: on standard error.
pub(super) fn say(what: &str) {
    let _ = writeln!(io::stderr(), "load: {what}");
}

struct Run {
    options: LoadOptions,
    scenario: Scenario,
    target: Arc<dyn Target>,
    pid: Option<u32>,
    generator: Generator,
    clock: Clock,
    cast: Cast,
    /// Resident memory before the first client.
    rss_before: Option<u64>,
    /// What each second of the measurement was like.
    samples: Vec<Sample>,
}

/// What a measurement begins with.
struct Ready {
    act: Act,
    rate: f64,
}

/// Processor times at a moment.
struct Look {
    server: Option<u64>,
    workers: Vec<u64>,
    tool: u64,
    machine: u64,
}

impl Run {
    fn start(
        options: LoadOptions,
        scenario: Scenario,
        target: Arc<dyn Target>,
        processor: Option<usize>,
    ) -> Result<Self, LoadError> {
        let clock = Clock::start();
        let (addressing, network) = (target.addressing(), scenario.network_model());
        let pid = target.pid();
        let settings = GeneratorSettings { addressing, gro: options.gro, processor, clock, network };
        let generator = Generator::start(settings)?;
        Ok(Self {
            cast: Cast::new(&scenario, Arc::clone(&target), generator.orders()),
            generator,
            samples: Vec::new(),
            rss_before: pid.and_then(resident_bytes),
            options,
            scenario,
            target,
            pid,
            clock,
        })
    }

    /// Brings everybody in, and finds the rate.
    async fn prepare(&mut self) -> Result<Ready, LoadError> {
        // From the first packet on: a crowd at its usual rate may be more than the server bears.
        self.set_rate(self.scenario.run.rate).await;
        self.cast.bring_in().await?;
        let act = Act::prepare(&self.cast).await?;
        sleep(WARM_UP).await;
        Ok(Ready { act, rate: self.find_rate().await? })
    }

    async fn measure(&mut self, Ready { act, rate }: Ready, stop: Stop) -> Result<LoadReport, LoadError> {
        let seconds = Duration::from_secs(self.scenario.run.seconds);
        say(&format!("measuring for {} s", seconds.as_secs()));
        let before = self.look();
        self.generator.orders().give(Order::Begin).await;
        let began = self.clock.now();
        let end = End::new(self.clock, began, seconds, stop);
        let watched = watch(&self.generator, self.clock, self.pid, &end);
        let (samples, acted) = tokio::join!(watched, act.play(&self.cast, &end));
        self.samples = samples;
        let (end, measured) = oneshot::channel();
        self.generator.orders().give(Order::End { measured: end }).await;
        let measured = measured.await.map_err(|_| LoadError::Late("the generator has ended".to_owned()))?;
        let took = self.clock.now().since(began);
        let after = self.look();
        let rss = self.pid.and_then(resident_bytes);
        self.cast.fall_silent().await?;
        sleep(SETTLE).await;
        let mut report = self.report(&measured, took, rate);
        report.add_looks(&before, &after, (took, measured.received));
        report.add_end(took, seconds);
        let people = u64::try_from(self.cast.people().len()).unwrap_or(1);
        let grown = self.rss_before.zip(rss).map(|(before, after)| after.saturating_sub(before));
        report.rss_kib_per_participant = grown.map(|bytes| ratio(bytes / 1_024, people));
        report.add_acted(acted);
        self.cast.gather(&mut report).await;
        Ok(report)
    }

    /// Processor time of the server, of each of its media workers, and of this process.
    fn look(&self) -> Look {
        let tool = cpu_ns(std::process::id()).unwrap_or(0);
        let machine = machine_cpu_ns().unwrap_or(0);
        let Some(pid) = self.pid else { return Look { server: None, workers: Vec::new(), tool, machine } };
        let workers = thread_times(pid).unwrap_or_default();
        let workers = workers.iter().filter(|thread| thread.name.starts_with("media-"));
        let workers = workers.map(|thread| thread.cpu_ns).collect();
        Look { server: cpu_ns(pid).ok(), workers, tool, machine }
    }

    /// The rate that was asked for, or the one at which a worker is as busy as asked.
    async fn find_rate(&mut self) -> Result<f64, LoadError> {
        let Some(target) = self.options.find_load else { return Ok(self.scenario.run.rate) };
        let mut rate = 1.0;
        for probe in 1..=MOST_PROBES {
            self.set_rate(rate).await;
            sleep(PROBE / 3).await;
            let before = self.look();
            let began = self.clock.now();
            sleep(PROBE).await;
            let after = self.look();
            let took = self.clock.now().since(began);
            let share = utilisation(&before.workers, &after.workers, took).unwrap_or(0.0);
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
            profile: self.scenario.run.name.clone(),
            server: self.target.name(),
            interface: match self.target.addressing() {
                Addressing::Loopback { .. } => "loopback".to_owned(),
                Addressing::Own(_) if self.options.spawn => {
                    format!("{}, a socket per participant", self.options.interface_address)
                }
                Addressing::Own(_) => "a socket per participant".to_owned(),
            },
            participants: self.scenario.people.participants,
            rooms: self.scenario.people.rooms,
            publishers: self.scenario.publishers(),
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
}

fn failed(person: &dyn Attendee, error: PersonError) -> LoadError {
    LoadError::Person { who: person.name().to_owned(), error }
}

fn utilisation(before: &[u64], after: &[u64], took: Duration) -> Option<f64> {
    shares(before, after, took).reduce(f64::max)
}

/// The share of one processor that each media worker used.
fn shares(before: &[u64], after: &[u64], took: Duration) -> impl Iterator<Item = f64> {
    let used = after.iter().zip(before).map(|(after, before)| after.saturating_sub(*before));
    used.map(move |ns| share_of(ns, took))
}

/// Nanoseconds of processor time as a share of one processor.
fn share_of(cpu_ns: u64, took: Duration) -> f64 {
    Duration::from_nanos(cpu_ns).as_secs_f64() / took.as_secs_f64().max(0.001)
}
