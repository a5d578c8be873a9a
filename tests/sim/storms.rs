//! Storms of operations.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::SystemTime;

use anteroom::base::Random;
use anteroom::sim::SimulationOptions;

use crate::tally::Tally;
use crate::{assert_fine, run};

fn short(seed: u64, workers: u16) -> SimulationOptions {
    SimulationOptions { seed, workers, moves: 150, participants: 20, ..SimulationOptions::default() }
}

/// What storms came to.
#[derive(Default)]
struct Sum {
    moves: u64,
    checks: BTreeMap<String, u64>,
}

impl Sum {
    fn run(&mut self, options: SimulationOptions) {
        let report = run(options.clone());
        for (invariant, violations) in &report.by_invariant {
            let mut tally = Tally::of("invariants", invariant.clone());
            tally.count(*violations, "violations");
            tally.fail();
        }
        assert_fine(&options, &report);
        assert!(report.moves >= options.moves && report.judged_packets > 1_000, "{report:?}");
        self.moves += report.moves;
        for (invariant, checks) in report.checks {
            *self.checks.entry(invariant).or_default() += checks;
        }
    }

    /// One line of the summary for the moves, and one for each invariant.
    fn tell(&self, name: &str) {
        Tally::of("simulated moves", name).count(self.moves, "moves");
        for (invariant, checks) in &self.checks {
            Tally::of("invariants", invariant).count(*checks, "checks");
        }
    }
}

/// Seeds that once failed: each stays, as it was then.
#[test]
fn seeds_that_failed_pass() {
    let quiet = |moves, participants, (seed, workers)| SimulationOptions {
        moves,
        participants,
        trouble: false,
        ..short(seed, workers)
    };
    let mut sum = Sum::default();
    // Packets that were overtaken or delayed while their sender moved were heard in the next room.
    sum.run(quiet(1_500, 50, (7, 1)));
    // A join that was given up was granted on one worker and revoked on another.
    sum.run(quiet(300, 50, (1, 3)));
    // What was bound between a mover's own worker and the last one was never told.
    sum.run(quiet(2_000, 50, (6, 3)));
    sum.run(quiet(1_000, 50, (7, 3)));
    // Nobody whose round trip was above 50 ms could connect.
    sum.run(quiet(150, 20, (3, 3)));
    // A seat whose worker crashed had its new connection before a worker that was stuck knew of its move.
    sum.run(SimulationOptions { moves: 300, ..short(1_009, 2) });
    // A judge that did not know how late the last packet had been, and one that heard in a port that the
    // server could not know yet.
    for (seed, workers) in [(17_418_188_074_422, 3), (92_232_986_713_415, 3)] {
        sum.run(SimulationOptions { moves: 300, participants: 50, ..short(seed, workers) });
    }
    // The storm was over while all moderators were away, and nobody brought the others back.
    sum.run(SimulationOptions { moves: 2_500, participants: 20, ..short(583_858_009_663_503_351, 6) });
    sum.run(SimulationOptions { moves: 400, participants: 50, ..short(787_118_488_834_485_852, 2) });
    // What an uplink had held up was heard in the next room, of somebody whose last packet before had been overtaken.
    sum.run(SimulationOptions { moves: 400, participants: 22, first_words: true, ..short(236, 1) });
    // Who came back in the middle of a move that was overtaken was told the one room and connected in the other.
    let anew = SimulationOptions { reconnects: true, ..short(38, 1) };
    sum.run(SimulationOptions { moves: 100, participants: 50, ..anew });
    sum.tell("seeds that failed once");
}

#[test]
fn committed_seeds_pass() {
    let mut sum = Sum::default();
    for seed in 10..13 {
        sum.run(short(seed, 1));
        sum.run(SimulationOptions { hold_ms: 10, ..short(seed, 2) });
    }
    for seed in 14..16 {
        sum.run(SimulationOptions { first_words: true, ..short(seed, 1 + u16::try_from(seed % 2).unwrap()) });
    }
    for seed in 16..18 {
        sum.run(SimulationOptions {
            reconnects: true,
            ..short(seed, 1 + u16::try_from(seed % 2).unwrap() * 2)
        });
    }
    // With everything that can happen, so that every invariant is looked at.
    sum.run(SimulationOptions { moves: 1_200, participants: 50, ..short(13, 3) });
    let looked_at = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 21];
    for invariant in looked_at {
        let name = format!("I{invariant}");
        assert!(sum.checks.get(&name).is_some_and(|checks| *checks > 0), "{name} is not looked at");
    }
    sum.tell("committed seeds");
}

/// A storm that nobody has seen yet: the seed says also how many people and workers there are, how much is
/// lost and how long packets are held.
fn fresh(seed: u64) -> SimulationOptions {
    let mut random = Random::from_number(seed);
    let mut one_of = |choices: &[u16]| choices[usize::try_from(random.below(choices.len() as u64)).unwrap()];
    SimulationOptions {
        seed,
        moves: u64::from(one_of(&[150, 400, 1_000, 2_500])),
        participants: usize::from(one_of(&[8, 20, 50, 90])),
        workers: one_of(&[1, 2, 3, 4, 5, 6]),
        loss: f64::from(one_of(&[5, 5, 20, 50])) / 1_000.0,
        hold_ms: u64::from(one_of(&[0, 0, 0, 10])),
        first_words: one_of(&[0, 0, 0, 1]) == 1,
        reconnects: one_of(&[0, 1]) == 1,
        ..SimulationOptions::default()
    }
}

/// Fresh seeds, until they have made so many moves.
fn storms_of_fresh_seeds(seeds: impl Iterator<Item = u64>, wanted: u64) -> Sum {
    let mut sum = Sum::default();
    for seed in seeds {
        let mut options = fresh(seed);
        options.moves = options.moves.min((wanted - sum.moves).max(150));
        let SimulationOptions { moves, participants, workers, loss, hold_ms, .. } = options;
        let first_words = if options.first_words { " --first-words" } else { "" };
        let reconnects = if options.reconnects { " --reconnects" } else { "" };
        // Not through println, which is shown of failed tests only.
        let mut out = std::io::stderr();
        writeln!(
            out,
            "fresh: simulate --seed {seed} --moves {moves} --participants {participants} --workers {workers} \
             --loss {loss} --hold-ms {hold_ms}{first_words}{reconnects}"
        )
        .unwrap();
        sum.run(options);
        if sum.moves >= wanted {
            break;
        }
    }
    sum
}

#[test]
fn fresh_seeds_pass() {
    const WANTED: u64 = 2_000;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = u64::try_from(now.as_millis()).unwrap();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(4);
    let sums: Vec<_> = std::thread::scope(|scope| {
        let start = |thread: usize| {
            let seeds = (first + thread as u64..).step_by(threads);
            scope.spawn(move || storms_of_fresh_seeds(seeds, WANTED.div_ceil(threads as u64)))
        };
        let handles: Vec<_> = (0..threads).map(start).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    for sum in sums {
        sum.tell("fresh seeds");
    }
}

#[test]
fn a_seed_does_the_same_again() {
    for workers in [1, 3] {
        let (first, second) = (run(short(21, workers)), run(short(21, workers)));
        assert_eq!(first, second, "{workers} workers");
    }
}
