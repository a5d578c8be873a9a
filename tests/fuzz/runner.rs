//! Runs a target: over its corpus, then over bent inputs, and says all that is needed to run what failed again.

use std::fs;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use allocation_counter::measure;

use crate::bodies::Target;
use crate::mutator::Mutator;
use crate::tally::Tally;

/// Runs over all targets where ANTEROOM_FUZZ_RUNS says nothing.
const FEW: u64 = 200_000;
/// Runs that a target makes at least.
const LEAST: u64 = 20;
/// The seed that always runs.
const SEED: u64 = 1;
/// A target that makes no run in this time hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// What an input may cost in memory for each of its bytes.
const MEMORY_PER_BYTE: usize = 64;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Another seed for each run of the tests, told past the capture of what tests print.
fn fresh_seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let seed = RandomState::new().hash_one(());
        let _ = writeln!(stderr(), "fuzz: half of the runs are those of ANTEROOM_FUZZ_SEED={seed}");
        seed
    })
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Replays a target's corpus and bends it: half of the runs under the fixed seed, half under a new one.
pub(crate) fn run(target: Target) {
    let mut tally = Tally::of("fuzz runs", target.name);
    let files = corpus(target.name);
    assert!(!files.is_empty(), "fuzz/corpus/{} is empty", target.name);
    for (path, bytes) in &files {
        check(&target, bytes, &path.display().to_string());
    }
    let runs = part(target.share, LEAST);
    let seeds = match number("ANTEROOM_FUZZ_SEED") {
        Some(seed) => vec![(seed, runs)],
        None => vec![(SEED, runs.div_ceil(2)), (fresh_seed(), runs / 2)],
    };
    let inputs: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes).collect();
    bend(target, inputs, &seeds);
    tally.count(seeds.iter().map(|(_, runs)| runs).sum(), "runs");
}

/// Bends a target's corpus so many times under the fixed seed; answers how often it did.
pub(crate) fn attack(target: Target, runs: u64) -> u64 {
    // Not the same inputs again as the target's own test has.
    bend(target, inputs(target.name), &[(SEED + 1, runs)]);
    runs
}

/// A target's corpus.
pub(crate) fn inputs(name: &str) -> Vec<Vec<u8>> {
    corpus(name).into_iter().map(|(_, bytes)| bytes).collect()
}

/// So many of all the runs that ANTEROOM_FUZZ_RUNS asks for, in 100,000ths, and no fewer than `least`.
pub(crate) fn part(share: u64, least: u64) -> u64 {
    (number("ANTEROOM_FUZZ_RUNS").unwrap_or(FEW) * share / 100_000).max(least)
}

/// The bending has a thread of its own, so that it is seen when it hangs.
fn bend(target: Target, inputs: Vec<Vec<u8>>, seeds: &[(u64, u64)]) {
    for (seed, runs) in seeds.iter().copied() {
        let done = Arc::new(AtomicU64::new(0));
        let (finished, is_finished) = mpsc::sync_channel(1);
        let (inputs, count) = (inputs.clone(), Arc::clone(&done));
        let bending = thread::spawn(move || {
            let mut name = DefaultHasher::new();
            target.name.hash(&mut name);
            let (mut mutator, mut input) = (Mutator::new(seed ^ name.finish()), Vec::new());
            for _ in 0..runs {
                mutator.bend(&inputs, target.longest, &mut input);
                check(&target, &input, &format!("ANTEROOM_FUZZ_SEED={seed}"));
                count.fetch_add(1, Ordering::Relaxed);
            }
            let _ = finished.send(());
        });
        let mut before = u64::MAX;
        // An error but the timeout means that the thread is over, whichever way.
        while let Err(mpsc::RecvTimeoutError::Timeout) = is_finished.recv_timeout(PATIENCE) {
            let now = done.load(Ordering::Relaxed);
            assert_ne!(now, before, "{} hangs in run {now} of ANTEROOM_FUZZ_SEED={seed}", target.name);
            before = now;
        }
        assert!(bending.join().is_ok(), "{} failed under ANTEROOM_FUZZ_SEED={seed}: see above", target.name);
    }
}

/// One input. Whatever fails is written where it can be kept.
fn check(target: &Target, input: &[u8], source: &str) {
    let mut outcome = Ok(());
    let memory = measure(|| outcome = catch_unwind(AssertUnwindSafe(|| (target.body)(input))));
    let most = target.memory * 1_024 + MEMORY_PER_BYTE * input.len();
    let peak = usize::try_from(memory.bytes_max).unwrap();
    let fault = match outcome {
        Err(_) => "panicked".to_owned(),
        Ok(()) if peak > most => format!("took {peak} bytes of memory, {most} are the most"),
        Ok(()) => return,
    };
    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let file = folder.join(format!("{}-{:016x}", target.name, hasher.finish()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, input).unwrap();
    panic!(
        "{} {fault} on an input of {source}:\n{hex}\nKeep it for ever: cp {} fuzz/corpus/{}/",
        target.name,
        file.display(),
        target.name
    );
}
