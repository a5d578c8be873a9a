//! Bad input: the corpora of `fuzz/corpus` again, and then inputs that are bent from them.
//!
//! The targets are those of libFuzzer in `fuzz/`. ANTEROOM_FUZZ_RUNS says how many runs all of them make
//! together, ANTEROOM_FUZZ_SEED runs one seed again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test may fail loudly and has threads; libFuzzer's targets use the bodies from outside"
)]

mod attacks;
mod bodies;
mod mutator;
mod runner;
#[path = "../support/tally.rs"]
mod tally;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bodies::{heard, target, targets};

macro_rules! fuzz {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                runner::run(target(stringify!($name)));
            }
        )*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

fuzz! {
    store meeting dtls_handshake sdp_offer sdp_answer session config dtls_established dtls_hello token saved request
    websocket srtp srtcp rtcp rtp extensions stun ice dependency_descriptor vp8 vp9 h264 av1
}

#[test]
fn people_hear_and_see_each_other_in_the_meetings_of_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/meeting");
    for (name, least) in [("talk", 20), ("show", 10), ("moves", 4)] {
        let heard = heard(&fs::read(folder.join(name)).unwrap());
        assert!(heard >= least, "{name}: {heard} packets reached somebody");
    }
}

/// The names in a folder, without endings.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    entries.map(|e| e.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_target_has_a_test_a_corpus_and_a_file_for_libfuzzer() {
    let known: BTreeSet<String> = targets().iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(known, TESTED.iter().map(ToString::to_string).collect());
    assert_eq!(known, names("fuzz/corpus"));
    assert_eq!(known, names("fuzz/fuzz_targets"));
    assert_eq!(targets().iter().map(|target| target.share).sum::<u64>(), 100_000);
}
