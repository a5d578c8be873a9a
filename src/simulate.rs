//! `anteroom simulate`: the edge of the simulated world, which reads the clock that it must not.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anteroom::base::Time;
#[cfg(feature = "planted-bugs")]
use anteroom::base::plant::{self, Plant};
use anteroom::client::TimeAnchor;
use anteroom::sim::{Simulation, SimulationOptions, SimulationReport};
use clap::Args;

/// What `anteroom simulate` is told.
#[derive(Args)]
pub(crate) struct SimulateArguments {
    /// All randomness follows from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many moves are made before everybody is brought back.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    moves: u64,
    /// How many people meet, 4 to 200; the first three are moderators.
    #[arg(long, value_name = "N", default_value_t = 50)]
    participants: usize,
    /// How many media workers the server has, 1 to 8.
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: u16,
    /// The share of datagrams that the network loses, 0 to 0.5.
    #[arg(long, value_name = "SHARE", default_value_t = 0.005)]
    loss: f64,
    /// For how many milliseconds the workers hold packets, 0 to 20.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=20))]
    hold_ms: u64,
    /// Leave out intruders, impostors, stuck workers, slow readers and late commands.
    #[arg(long)]
    no_trouble: bool,
    /// People send nothing before they ask for a move, on networks where a third of all takes much longer, and where
    /// outages hold up for seconds what they do not lose.
    #[arg(long)]
    first_words: bool,
    /// Some who ask for a move ask for another media connection at once.
    #[arg(long)]
    reconnects: bool,
    /// Print what happens, line by line.
    #[arg(long)]
    trace: bool,
    /// Plant a bug by its name, to see that it is found; `list` names all of them.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, value_name = "NAME")]
    plant: Option<String>,
    /// Print the outcome as one JSON object, in the last line.
    #[arg(long)]
    json: bool,
}

/// How much simulated time passes between two looks at the clock.
const SLICE: Duration = Duration::from_secs(1);
/// How often it is said how far the run has come.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Answers whether all was well.
pub(crate) fn run(arguments: &SimulateArguments) -> Result<bool, String> {
    #[cfg(feature = "planted-bugs")]
    if let Some(name) = &arguments.plant {
        if name == "list" {
            let all = Plant::ALL.iter();
            all.map(|plant| format!("{:24} {}", plant.name(), plant.invariant()))
                .try_for_each(|line| super::say(&line))?;
            return Ok(true);
        }
        let found = Plant::ALL.iter().find(|plant| plant.name() == name);
        plant::choose(Some(*found.ok_or_else(|| format!("no bug is called `{name}`: see --plant list"))?));
    }
    let options = SimulationOptions {
        seed: arguments.seed,
        moves: arguments.moves,
        participants: arguments.participants,
        workers: arguments.workers,
        loss: arguments.loss,
        trace: arguments.trace,
        hold_ms: arguments.hold_ms,
        trouble: !arguments.no_trouble,
        first_words: arguments.first_words,
        reconnects: arguments.reconnects,
        ..SimulationOptions::default()
    };
    let report = simulate(options, arguments.trace)?;
    for violation in &report.examples {
        let _ = writeln!(io::stderr(), "violated: {violation}");
    }
    let json = serde_json::to_string(&report).map_err(|error| error.to_string())?;
    super::say(&if arguments.json { json } else { text(&report) })?;
    Ok(report.ok)
}

#[expect(clippy::disallowed_methods, reason = "this is the edge: how long it takes is measured here")]
fn simulate(options: SimulationOptions, traces: bool) -> Result<SimulationReport, String> {
    let began = Instant::now();
    let (seed, moves) = (options.seed, options.moves);
    let anchor = TimeAnchor { at: Time::from_unix_seconds(1_800_000_000), instant: began };
    let mut simulation = Simulation::new(options, anchor).map_err(|error| error.to_string())?;
    let mut say_at = SAY_EVERY;
    while simulation.advance(SLICE) {
        if traces {
            simulation.take_trace().iter().try_for_each(|line| super::say(line))?;
        }
        let took = began.elapsed();
        if took >= say_at {
            say_at = took + SAY_EVERY;
            let (passed, found) = (simulation.elapsed().as_secs(), simulation.violations());
            let speedup = simulation.elapsed().as_secs_f64() / took.as_secs_f64();
            let _ = writeln!(
                io::stderr(),
                "seed {seed}: {} of {moves} moves in {passed} simulated seconds, {speedup:.0} times real time, {found} violations",
                simulation.moves()
            );
        }
    }
    let mut report = simulation.report();
    report.speedup = (report.simulated_seconds / began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    Ok(report)
}

fn text(report: &SimulationReport) -> String {
    let verdict = if report.ok { "nothing was violated" } else { "something was violated" };
    format!(
        "{} moves of {} people on {} workers in {:.0} simulated seconds, {:.1} times real time: {verdict}\n{} packets forwarded, {} judged, {} to the wrong group, {} violations",
        report.moves,
        report.participants,
        report.workers,
        report.simulated_seconds,
        report.speedup,
        report.forwarded_packets,
        report.judged_packets,
        report.wrong_group_packets,
        report.violations
    )
}
