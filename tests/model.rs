//! Random sessions against a reference model.
//!
//! Each seed makes one session after another: people join, leave, lose connections, invite, force,
//! move, clear and destroy, while a fake media worker is prompt, slow, out of order or dead. After
//! every input control must show what the model holds, answer what the model answers, and tell whom
//! the contract names. A failing seed prints a shrunk script.
//!
//! `ANTEROOM_SEED=7 cargo test --test model` runs one seed; `ANTEROOM_OPERATIONS` sets how many
//! operations a run makes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::too_many_arguments,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "a test may fail loudly, read the clock and its settings, and print"
)]

#[path = "support/tally.rs"]
mod tally;

mod model {
    pub mod audience;
    pub mod compare;
    pub mod crash;
    pub mod dealt;
    pub mod expect;
    pub mod generate;
    pub mod observe;
    pub mod params;
    pub mod replica;
    pub mod requests;
    pub mod session;
    pub mod shrink;
    pub mod step;
    pub mod tale;
    pub mod worker;
    pub mod world;
}

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anteroom::base::Random;

use model::generate::{self, Habits};
use model::shrink::shrink;
use model::step::Step;
use model::world::World;

/// Steps of one session.
const STEPS: usize = 400;
/// Operations of one run, unless `ANTEROOM_OPERATIONS` says otherwise.
const OPERATIONS: usize = 1_000_000;
/// How many runs of a script the search for a shorter one may take.
const SHRINKING: usize = 3_000;

/// Runs a script; the error says what differs.
fn replay(seed: u64, script: &[Step]) -> Result<(), String> {
    let run = || {
        let mut world = World::new(seed);
        script.iter().try_for_each(|step| world.step(step))
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(words(&*panic)))
}

/// What a panic said.
fn words(panic: &dyn std::any::Any) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    format!("a panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("silent"))
}

/// Makes one session up as it goes; answers its script and how it ended.
fn play(seed: u64) -> (Vec<Step>, Result<(), String>) {
    let mut script = Vec::with_capacity(STEPS);
    let run = || {
        let mut random = Random::from_number(seed);
        let habits = Habits::draw(&mut random);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            let step = generate::step(&mut random, &habits, &world);
            script.push(step);
            world.step(script.last().unwrap())?;
        }
        world.finish()
    };
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(words(&*panic)));
    (script, outcome)
}

fn fail(seed: u64, script: &[Step], error: &str) -> ! {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let short = shrink(script, SHRINKING, |steps| replay(seed, steps).is_err());
    let last = replay(seed, &short).err().unwrap_or_else(|| error.to_owned());
    std::panic::set_hook(hook);
    println!("seed {seed} fails after {} steps: {error}", script.len());
    println!("a shorter script of {} steps fails, too: {last}", short.len());
    for (number, step) in short.iter().enumerate() {
        println!("{number:4}  {step}");
    }
    panic!("seed {seed}: {last}\nrun it again with ANTEROOM_SEED={seed} cargo test --test model");
}

/// Seeds that every run begins with.
const COMMITTED: [u64; 15] = [
    1,
    2,
    3,
    20_261_122,
    1_795_388_744_202_024_867,
    1_795_388_923_038_157_065,
    1_795_389_939_170_368_789,
    1_795_391_377_921_831_397,
    1_882_905_586_780_080_278,
    1_882_922_615_631_251_107,
    1_882_951_643_966_735_230,
    1_882_966_858_999_529_842,
    1_883_034_733_989_856_684,
    1_883_035_589_315_395_891,
    1_883_084_462_952_023_810,
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seed, script and error of a session that failed.
type Failed = (u64, Vec<Step>, String);

/// Plays sessions from `seeds` until there were so many operations; answers how many operations
/// and sessions it made, and the one that failed.
fn run(seeds: impl Iterator<Item = u64>, wanted: usize) -> (usize, usize, Option<Failed>) {
    let (mut operations, mut sessions) = (0, 0);
    for seed in seeds {
        if operations >= wanted {
            break;
        }
        let (script, outcome) = play(seed);
        operations += script.len();
        sessions += 1;
        if let Err(error) = outcome {
            return (operations, sessions, Some((seed, script, error)));
        }
    }
    (operations, sessions, None)
}

#[test]
fn control_does_what_the_model_says() {
    let start = Instant::now();
    if let Some(seed) = number("ANTEROOM_SEED") {
        let (script, outcome) = play(seed);
        println!("seed {seed}: {} steps", script.len());
        return if let Err(error) = outcome {
            fail(seed, &script, &error)
        };
    }
    let wanted = number("ANTEROOM_OPERATIONS").map_or(OPERATIONS, |wanted| wanted as usize);
    let fresh = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64) << 20;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(4);
    let runs: Vec<_> = std::thread::scope(|scope| {
        let start = |thread: usize| {
            let committed = COMMITTED.into_iter().filter(move |_| thread == 0);
            let seeds = committed.chain((fresh + thread as u64..).step_by(threads));
            scope.spawn(move || run(seeds, wanted.div_ceil(threads)))
        };
        let handles: Vec<_> = (0..threads).map(start).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    if let Some((seed, script, error)) = runs.iter().find_map(|(_, _, failed)| failed.as_ref()) {
        fail(*seed, script, error);
    }
    let (operations, sessions): (usize, usize) =
        runs.iter().fold((0, 0), |sum, (operations, sessions, _)| (sum.0 + operations, sum.1 + sessions));
    tally::Tally::of("faults", "F21").count(operations as u64, "model operations");
    let seconds = start.elapsed().max(Duration::from_millis(1)).as_secs_f64();
    // Not through println, which is shown of failed tests only.
    let mut out = std::io::stderr();
    writeln!(
        out,
        "model: {operations} operations in {sessions} sessions, {seconds:.1} s on {threads} threads; \
         {} committed seeds, and from {fresh} on",
        COMMITTED.len()
    )
    .unwrap();
}
