//! Every profile of `anteroom load`, played small: nobody hears what is not theirs, nothing is lost, and
//! the report has what it promises.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]

use std::process::Command;

use serde_json::Value;

/// Keys that other programs rely on.
const KEYS: [&str; 18] = [
    "profile",
    "server",
    "participants",
    "sent",
    "received",
    "lost",
    "wrong_group",
    "latency_us",
    "join_ms",
    "move_to_first_packet_ms",
    "server_cpu_ns_per_packet",
    "floor_ns_per_packet",
    "tight_floor_ns_per_packet",
    "ratio_to_floor",
    "rss_kib_per_participant",
    "generator_cpu",
    "srtp",
    "ok",
];

/// Plays a run of two seconds and checks what holds for all of them.
fn play(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_anteroom"))
        .args(["load", "--spawn", "--seconds", "2", "--json"])
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(printed.lines().last().expect(&said)).unwrap();
    for key in KEYS {
        assert!(report.get(key).is_some(), "no `{key}` in {report}");
    }
    for key in ["p50", "p99", "p999", "max"] {
        assert!(report["latency_us"][key].is_u64(), "{report}");
    }
    for times in ["join_ms", "move_to_first_packet_ms"] {
        assert!(report[times]["p50"].is_f64() && report[times]["p99"].is_f64(), "{report}");
    }
    assert_eq!((count(&report, "wrong_group"), count(&report, "lost_by_server")), (0, 0), "{report}");
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(0), "{report}");
    assert_eq!((&report["ok"], output.status.code()), (&Value::Bool(true), Some(0)), "{report}");
    report
}

fn count(report: &Value, key: &str) -> u64 {
    report[key].as_u64().unwrap_or_else(|| panic!("no count `{key}` in {report}"))
}

#[test]
fn audio_reaches_everybody() {
    let report = play(&["--profile", "audio", "--participants", "8", "--talkers", "2"]);
    assert_eq!((count(&report, "publishers"), count(&report, "lost")), (2, 0));
    // 2 talkers, 50 packets a second, 8 listeners, 2 seconds.
    let received = count(&report, "received");
    assert!((1_400..1_800).contains(&received), "{report}");
}

#[test]
fn a_screen_reaches_everybody() {
    let report = play(&["--profile", "screen", "--participants", "8", "--frame-burst", "whole"]);
    assert!(count(&report, "received") > 2_500, "{report}");
}

#[test]
fn speakers_and_presenters_take_turns() {
    let report = play(&["--profile", "meeting", "--participants", "8", "--rooms", "2"]);
    assert_eq!((count(&report, "publishers"), count(&report, "lost")), (16, 0));
    assert!(count(&report, "turns") >= 1, "{report}");
}

#[test]
fn everybody_is_brought_home_at_once() {
    let rooms = ["--rooms", "2", "--participants", "20", "--breakouts", "4", "--breakout-seats", "3"];
    let report = play(&[&["--profile", "breakouts"][..], &rooms].concat());
    assert_eq!((count(&report, "destroys"), count(&report, "brought_home")), (2, 20), "{report}");
    assert_eq!(count(&report, "moves"), 40);
    assert!(report["destroy_ms"]["p50"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn all_operations_of_a_churn_happen() {
    let report = play(&["--profile", "churn", "--participants", "16", "--moves-per-second", "40"]);
    for key in ["moves", "joins", "clears", "destroys", "brought_home"] {
        assert!(count(&report, key) >= 2, "{key} in {report}");
    }
    assert_eq!(count(&report, "joins_failed"), 0);
}

#[test]
fn joins_of_a_storm_are_timed_to_the_first_packet() {
    let report = play(&["--profile", "join-storm", "--joins-per-second", "20", "--rooms", "4"]);
    assert_eq!((count(&report, "joins"), count(&report, "joins_failed")), (39, 0), "{report}");
    assert!(report["join_ms"]["p50"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn what_the_relay_takes_is_not_the_servers_loss() {
    let report =
        play(&["--profile", "impaired", "--participants", "8", "--loss", "0.05", "--jitter-ms", "15"]);
    let (lost, to_relay) = (count(&report, "lost"), count(&report, "lost_to_relay"));
    // Of 2,400 and more packets each may be lost on its way in, for all, and on its way out.
    assert!(lost > 50 && lost == to_relay, "{report}");
    assert!(count(&report, "relay_dropped") > 50, "{report}");
}

#[test]
fn who_is_idle_hears_a_packet_a_second() {
    let report = play(&["--profile", "idle", "--participants", "10", "--rooms", "2"]);
    assert!((10..=30).contains(&count(&report, "received")), "{report}");
    let silent = play(&["--profile", "idle", "--participants", "4", "--talkers", "0"]);
    assert_eq!(count(&silent, "received"), 0);
}

#[test]
fn a_scenario_of_ones_own_is_played() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/town_hall.toml");
    let report = play(&["--scenario", file, "--participants", "12"]);
    assert_eq!(report["profile"], "town-hall");
    assert!(count(&report, "moves") > 2 && count(&report, "joins") >= 2, "{report}");
}
