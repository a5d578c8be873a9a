//! Whole meetings in the simulated world: seeds that have to pass for ever, fresh ones, and planted
//! bugs that have to be found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test may fail loudly, and reads the clock for a fresh seed"
)]

use std::time::{Duration, Instant, SystemTime};

use anteroom::base::Time;
use anteroom::client::TimeAnchor;
use anteroom::sim::{Simulation, SimulationOptions, SimulationReport};

fn run(options: SimulationOptions) -> SimulationReport {
    let anchor = TimeAnchor { at: Time::from_unix_seconds(1_800_000_000), instant: Instant::now() };
    let mut simulation = Simulation::new(options, anchor).unwrap();
    while simulation.advance(Duration::from_secs(10)) {
        assert!(simulation.elapsed() < Duration::from_secs(3_600), "the meeting does not end");
    }
    simulation.report()
}

fn short(seed: u64, workers: u16) -> SimulationOptions {
    SimulationOptions { seed, workers, moves: 150, participants: 20, ..SimulationOptions::default() }
}

fn check(options: SimulationOptions) {
    let report = run(options.clone());
    assert!(report.ok, "{options:?}: {:?}\n{:?}", report.by_invariant, report.examples);
    assert!(report.moves >= options.moves && report.judged_packets > 1_000, "{report:?}");
}

/// Seeds that once failed: each stays.
#[test]
fn seeds_that_failed_pass() {
    // Packets that were overtaken or delayed while their sender moved were heard in the next room.
    check(SimulationOptions { moves: 1_500, participants: 50, ..short(7, 1) });
    // A join that was given up was granted on one worker and revoked on another.
    check(SimulationOptions { moves: 300, participants: 50, ..short(1, 3) });
    // What was bound between a mover's own worker and the last one was never told.
    check(SimulationOptions { moves: 2_000, participants: 50, ..short(6, 3) });
    check(SimulationOptions { moves: 1_000, participants: 50, ..short(7, 3) });
    // Nobody whose round trip was above 50 ms could connect.
    check(short(3, 3));
}

#[test]
fn committed_seeds_pass() {
    for seed in 10..13 {
        check(short(seed, 1));
        check(short(seed, 2));
    }
}

#[test]
fn fresh_seeds_pass() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    for number in 0..2 {
        let seed = u64::try_from(now.as_millis()).unwrap() + number;
        println!("fresh seed {seed}");
        check(short(seed, 1 + u16::try_from(number).unwrap()));
    }
}

#[test]
fn a_seed_does_the_same_again() {
    for workers in [1, 3] {
        let (first, second) = (run(short(21, workers)), run(short(21, workers)));
        assert_eq!(first, second, "{workers} workers");
    }
}

/// Runs a meeting until an invariant is violated; answers whether it was.
#[cfg(feature = "planted-bugs")]
fn violates(options: SimulationOptions, invariant: &str) -> bool {
    let anchor = TimeAnchor { at: Time::from_unix_seconds(1_800_000_000), instant: Instant::now() };
    let mut simulation = Simulation::new(options, anchor).unwrap();
    let mut is_found = false;
    while !is_found && simulation.advance(Duration::from_secs(2)) {
        is_found = simulation.report().by_invariant.contains_key(invariant);
    }
    is_found || simulation.report().by_invariant.contains_key(invariant)
}

#[cfg(feature = "planted-bugs")]
#[test]
fn every_planted_bug_is_found_by_the_invariant_that_it_breaks() {
    use anteroom::base::plant::{self, Plant};
    let mut missed = Vec::new();
    for bug in Plant::ALL {
        plant::choose(Some(*bug));
        let found = (30..36).find(|seed| {
            let options = SimulationOptions { moves: 150, participants: 30, ..short(*seed, 3) };
            violates(options, bug.invariant())
        });
        plant::choose(None);
        println!("{}: {} with seed {found:?}", bug.name(), bug.invariant());
        missed.extend(found.is_none().then_some(bug.name()));
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}
