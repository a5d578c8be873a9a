//! Moves over real sockets, as fast as the server answers, while everybody talks: over loopback, and over
//! a network that loses, delays, reorders and doubles datagrams and changes people's ports (A32, F21).
//!
//! 10,000 moves; 100,000 with `ANTEROOM_LONG=1` in the environment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_types,
    reason = "a test may fail loudly, and the machine is for one test at a time"
)]

#[path = "support/tally.rs"]
mod tally;

use std::process::Command;

use parking_lot::Mutex;
use serde_json::Value;
use tally::Tally;

/// One crowd at a time has the machine.
static MACHINE: Mutex<()> = Mutex::new(());

/// Runs of a slow machine until there were enough moves; one of ours makes as many in one or two.
const MOST_RUNS: u64 = 8;

/// How many runs there are to be, and how many moves each of the two tests has to see.
fn wanted() -> (u64, u64) {
    let is_long = std::env::var_os("ANTEROOM_LONG").is_some();
    if is_long { (MOST_RUNS * 10, 50_000) } else { (MOST_RUNS, 5_000) }
}

fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("no count `{key}` in {report}"))
}

fn play(scenario: &str, arguments: &[&str]) -> Value {
    let file = format!("{}/tests/socket_moves/{scenario}.toml", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_anteroom"))
        .args(["load", "--spawn", "--json", "--scenario", &file])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(printed.lines().last().expect(&said)).unwrap()
}

/// Plays until there were enough moves. Of every run: nobody heard what is not theirs, nothing was sealed
/// twice, and what was lost is what the network took.
fn move_about(name: &str, scenario: &str, arguments: &[&str]) -> Vec<Value> {
    let _machine = MACHINE.lock();
    let mut tally = Tally::of("socket moves", name);
    let (most_runs, wanted) = wanted();
    let (mut moves, mut reports) = (0, Vec::new());
    while moves < wanted {
        assert!((reports.len() as u64) < most_runs, "only {moves} moves: {reports:?}");
        let report = play(scenario, arguments);
        for key in ["wrong_group", "decrypt_failures", "duplicated", "cut_short"] {
            assert_eq!(count(&report, key), 0, "{key}: {report}");
        }
        let (received, lost) = (count(&report, "received"), count(&report, "lost_by_server"));
        assert!(received > 0 && lost * 100 <= received, "lost {lost} of {received}: {report}");
        moves += count(&report, "moves") + count(&report, "brought_home");
        tally.count(moves, "moves");
        reports.push(report);
    }
    reports
}

#[test]
fn a32_moves_over_loopback_on_one_worker() {
    let reports = move_about("churn 1 worker", "fine", &[]);
    assert!(reports.iter().all(|report| count(report, "relay_dropped") == 0));
}

#[test]
fn a32_moves_over_a_bad_network_on_two_workers() {
    let arguments = ["--workers", "2", "--seats-per-worker", "6"];
    for report in move_about("impaired 2 workers", "impaired", &arguments) {
        for key in ["relay_dropped", "relay_copied", "relay_rebinds"] {
            assert!(count(&report, key) > 0, "{key}: {report}");
        }
    }
}
