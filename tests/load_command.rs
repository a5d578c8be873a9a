//! `anteroom load` as a process: how it ends, and what it refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test may fail loudly"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn load(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
    command.arg("load").args(arguments);
    command
}

/// Waits until something is there, at most 20 s.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The server that a load run has started: its child.
fn server_of(parent: u32) -> Option<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1).and_then(|ppid| ppid.parse().ok()) == Some(parent)
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(is_child)
}

/// A run that goes on for long, with its server.
fn long_run() -> (Child, u32) {
    let options = ["--spawn", "--participants", "2", "--seconds", "600", "--json"];
    let run = load(&options).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let server = wait_for("a server", || server_of(run.id()));
    // Until it has read its settings, its folder is there.
    let folder = std::env::temp_dir().join(format!("anteroom-load-{}", run.id()));
    wait_for("the end of the start", || (!folder.exists()).then_some(()));
    (run, server)
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_run_that_is_killed_leaves_no_server_behind() {
    let (mut run, server) = long_run();
    assert!(Path::new(&format!("/proc/{server}")).exists());
    signal(run.id(), "-KILL");
    run.wait().unwrap();
    wait_for("the end of the server", || (!Path::new(&format!("/proc/{server}")).exists()).then_some(()));
}

#[test]
fn a_run_that_is_interrupted_takes_its_server_with_it() {
    let (mut run, server) = long_run();
    signal(run.id(), "-INT");
    let mut error = String::new();
    run.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(1));
    assert!(error.ends_with("stopped before anything was measured\n"), "{error}");
    assert!(!Path::new(&format!("/proc/{server}")).exists());
}

#[test]
fn a_measurement_that_is_interrupted_is_told() {
    let (mut run, server) = long_run();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("measuring for")), "a measurement");
    // Somebody hears something in it.
    std::thread::sleep(Duration::from_secs(1));
    signal(run.id(), "-TERM");
    let output = run.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ok"]), (Some(0), &Value::Bool(true)), "{report}");
    let seconds = report["seconds"].as_f64().unwrap();
    assert!((0.9..60.0).contains(&seconds) && report["received"].as_u64().unwrap() > 0, "{report}");
    let note = format!("it was stopped after {seconds:.1} of 600 s");
    assert!(report["notes"].as_array().unwrap().contains(&note.into()), "{report}");
    assert!(!Path::new(&format!("/proc/{server}")).exists());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_starts() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[people]\nparticipants = 5\nrooms = 6\n").unwrap();
    let path = file.path().to_str().unwrap();
    for (arguments, said) in [
        (vec!["--spawn", "--participants", "0"], "--participants: has to be from 1 to 20000"),
        (vec!["--spawn", "--loss", "0.1"], "--loss goes with --profile impaired only"),
        (vec!["--spawn", "--scenario", path], "line 3: `rooms` in [people]: there are only 5 participants"),
    ] {
        let began = Instant::now();
        let output = load(&arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        assert!(error.contains(said) && error.lines().count() == 1, "{error}");
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn a_page_shows_what_a_run_was_like() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let options = ["--spawn", "--profile", "join-storm", "--joins-per-second", "10", "--rooms", "2"];
    let run = load(&options).args(["--seconds", "2", "--html", path]).output().unwrap();
    let printed = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success() && printed.contains("joins / failed"), "{printed}");
    let page = fs::read_to_string(path).unwrap();
    assert!(page.contains("Joins, per second") && page.contains("joins / failed"), "{page}");
}
