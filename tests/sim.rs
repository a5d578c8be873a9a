//! Whole meetings in the simulated world: storms by seeds that have to pass for ever and by fresh ones,
//! stories, numbers that wrap, and planted bugs that have to be found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may fail loudly, and reads the clock for a fresh seed"
)]

#[path = "sim/differential.rs"]
mod differential;
#[cfg(feature = "planted-bugs")]
#[path = "sim/planted.rs"]
mod planted;
#[path = "sim/stories.rs"]
mod stories;
#[path = "sim/storms.rs"]
mod storms;
#[path = "support/tally.rs"]
mod tally;
#[path = "sim/wraps.rs"]
mod wraps;

use std::time::{Duration, Instant};

use anteroom::base::Time;
use anteroom::client::TimeAnchor;
use anteroom::sim::{Simulation, SimulationOptions, SimulationReport};

fn anchor() -> TimeAnchor {
    TimeAnchor { at: Time::from_unix_seconds(1_800_000_000), instant: Instant::now() }
}

/// A storm, to its end.
fn run(options: SimulationOptions) -> SimulationReport {
    let mut simulation = Simulation::new(options, anchor()).unwrap();
    while simulation.advance(Duration::from_secs(10)) {
        assert!(simulation.elapsed() < Duration::from_secs(3_600), "the meeting does not end");
    }
    simulation.report()
}

/// Nothing was violated, and much was looked at.
fn assert_fine(options: &SimulationOptions, report: &SimulationReport) {
    assert!(report.ok, "{options:?}: {:?}\n{:?}", report.by_invariant, report.examples);
}
