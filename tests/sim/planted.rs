//! Planted bugs: each has to be found by the invariant that it breaks.

use std::time::Duration;

use anteroom::base::plant::{self, Plant};
use anteroom::sim::{Simulation, SimulationOptions};

use crate::anchor;
use crate::stories::{an_invitation_is_used_once, an_invitation_that_is_over_lets_nobody_in};
use crate::tally::Tally;

/// Removes the bug again, whatever happens.
struct Planted;

impl Planted {
    fn new(bug: Plant) -> Self {
        plant::choose(Some(bug));
        Self
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        plant::choose(None);
    }
}

/// Runs a meeting until an invariant is violated; answers whether it was.
fn violates(options: SimulationOptions, invariant: &str) -> bool {
    let mut simulation = Simulation::new(options, anchor()).unwrap();
    let mut is_found = false;
    while !is_found && simulation.advance(Duration::from_secs(1)) {
        is_found = simulation.report().by_invariant.contains_key(invariant);
    }
    is_found || simulation.report().by_invariant.contains_key(invariant)
}

/// The meeting in which a bug shows.
fn meeting_of(bug: Plant, seed: u64) -> SimulationOptions {
    let usual = SimulationOptions { seed, moves: 400, participants: 30, workers: 3, ..Default::default() };
    match bug {
        // What waits when a mover is revoked first has been sent when it is placed anew.
        Plant::QueueSurvives => SimulationOptions { workers: 1, hold_ms: 20, ..usual },
        // Seldom is a worker stuck for longer than it is waited for.
        Plant::FenceIgnored => SimulationOptions { moves: 1_500, ..usual },
        // Seldom is a first packet late enough, and somebody there to hear it.
        Plant::FirstPacketBelieved | Plant::HeldBelieved => {
            SimulationOptions { first_words: true, moves: 1_500, participants: 50, workers: 1, ..usual }
        }
        Plant::ConnectBetween => SimulationOptions { reconnects: true, moves: 1_500, ..usual },
        // This one shows at the end.
        Plant::GroupKept => SimulationOptions { moves: 50, ..usual },
        _ => usual,
    }
}

fn finds(bug: Plant) -> bool {
    let _planted = Planted::new(bug);
    match bug {
        // Storms find these as well, but seldom.
        Plant::InvitationKept => an_invitation_is_used_once().is_err(),
        Plant::InvitationOutlives => an_invitation_that_is_over_lets_nobody_in().is_err(),
        _ => (30..36).any(|seed| violates(meeting_of(bug, seed), bug.invariant())),
    }
}

#[test]
fn every_planted_bug_is_found_by_the_invariant_that_it_breaks() {
    let mut missed = Vec::new();
    for bug in Plant::ALL {
        let started = std::time::Instant::now();
        let is_found = finds(*bug);
        println!("{}: {}: {is_found} after {:.1?}", bug.name(), bug.invariant(), started.elapsed());
        let mut tally = Tally::of("planted bugs", bug.name());
        if !is_found {
            tally.fail();
            missed.push(bug.name());
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn a_run_with_a_planted_bug_fails_and_names_the_invariant() {
    let simulate = |plant: &[&str]| {
        let usual = ["simulate", "--json", "--moves", "100", "--participants", "20", "--seed", "7"];
        let mut anteroom = std::process::Command::new(env!("CARGO_BIN_EXE_anteroom"));
        anteroom.args(usual).args(plant).output().unwrap()
    };
    let (fine, planted) = (simulate(&[]), simulate(&["--plant", "revoke-forgotten"]));
    assert_eq!((fine.status.code(), planted.status.code()), (Some(0), Some(1)));
    let said = String::from_utf8_lossy(&planted.stderr).into_owned();
    assert!(said.contains("violated: I2 at "), "{said}");
}
