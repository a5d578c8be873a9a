//! Moves over real sockets, as fast as the server answers, while everybody talks: over loopback, and over
//! a network that loses, delays, reorders and doubles datagrams and changes people's ports (A32, F21). Strangers
//! send to the server's media ports as long as the moves last.
//!
//! 10,000 moves; 100,000 with `ANTEROOM_LONG=1` in the environment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and attackers have clocks, threads and sockets of their own"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

#[path = "support/attacker.rs"]
mod attacker;
#[path = "support/crafted.rs"]
mod crafted;
#[path = "support/http.rs"]
mod http;
#[path = "support/tally.rs"]
mod tally;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anteroom::base::{Random, Ssrc};
use anteroom::node::Running;
use attacker::{Done, Stranger, pace};
use http::{PATIENCE, free_ports, get};
use serde_json::Value;
use tally::Tally;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// One crowd at a time has the machine.
static MACHINE: Mutex<()> = Mutex::const_new(());

/// Datagrams of strangers a second: as many as leave the crowd a place on a machine of two processors.
const RATE: u64 = 2_000;

/// Strangers send at least so many while one scenario is played, which takes 14 s.
const LEAST_SENT: u64 = 14_000;

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

/// What a stranger may send: checks of names that nobody has or without a password, hellos, media and feedback
/// without keys, noise.
fn something(step: u64, random: &mut Random) -> Vec<u8> {
    let ssrc = Ssrc(random.next_u32());
    match step % 5 {
        0 => {
            let username = format!("{:016x}:{:016x}", random.next_u64(), random.next_u64());
            crafted::stun(random, &username)
        }
        1 => crafted::client_hello(random),
        2 => crafted::srtp(random, ssrc),
        3 => crafted::srtcp(random, ssrc),
        _ => crafted::noise(random, 1, 1_200),
    }
}

/// Sends to each media worker in turn until it is stopped.
fn spray(mut stranger: Stranger, media: Vec<SocketAddr>, stop: Arc<AtomicBool>) -> Done {
    let mut random = Random::from_number(32);
    let is_over = |_| stop.load(Ordering::Relaxed);
    pace(RATE, is_over, |step| {
        let to = media[step as usize / 5 % media.len()];
        stranger.send(to, &something(step, &mut random))
    })
}

/// How many datagrams the server has refused as those of strangers are.
async fn refused(server: &Running) -> u64 {
    let page = get(server.metrics_address(), "/metrics").await.body;
    let of = |reason: &str| {
        let name = format!("anteroom_packets_dropped_total{{reason=\"{reason}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
    };
    ["unknown_source", "unknown_ufrag", "malformed", "not_authentic"].into_iter().map(of).sum::<u64>()
}

/// Has the scenario played at a server; its report.
async fn play(server: &Running, scenario: &str) -> Value {
    let file = format!("{}/tests/socket_moves/{scenario}.toml", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_anteroom"))
        .args(["load", "--json", "--scenario", &file])
        .args(["--server", &server.http_addresses()[0].to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(printed.lines().last().expect(&said)).unwrap()
}

/// Has the scenario played with strangers beside it, who get no reply and whose datagrams are refused: the report,
/// and how many they have sent.
async fn play_beside_strangers(scenario: &str, workers: u16, seats_per_worker: usize) -> (Value, u64) {
    let mut config = free_ports();
    config.listen.media = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    (config.node.workers, config.node.seats_per_worker) = (workers, seats_per_worker);
    let (server, _) = http::start(&config).await;
    let media = server.engine().media_addresses().to_vec();
    let (stranger, stop) = (Stranger::on(9, 8), Arc::new(AtomicBool::new(false)));
    let (sender, stopped) = (stranger.share(), Arc::clone(&stop));
    let attack = std::thread::spawn(move || spray(sender, media, stopped));
    let report = play(&server, scenario).await;
    stop.store(true, Ordering::Relaxed);
    let sent = attack.join().unwrap().sent;
    assert!(sent >= LEAST_SENT, "strangers have sent {sent}");
    // Workers publish their counters every second.
    let counted = async {
        while refused(&server).await < sent * 9 / 10 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let late = timeout(PATIENCE, counted).await.is_err();
    assert!(!late, "{} of {sent} refused", refused(&server).await);
    assert_eq!(stranger.earned(), Vec::<Vec<u8>>::new());
    server.stop().await;
    (report, sent)
}

/// Plays until there were enough moves. Of every run: nobody heard what is not theirs, nothing was sealed
/// twice, and what was lost is what the network took.
async fn move_about(name: &str, scenario: &str, workers: u16, seats_per_worker: usize) -> Vec<Value> {
    let _machine = MACHINE.lock().await;
    let mut tally = Tally::of("socket moves", name);
    let mut attacks = Tally::of("attacks", "A32");
    let (most_runs, wanted) = wanted();
    let (mut moves, mut all_sent, mut reports) = (0, 0, Vec::new());
    while moves < wanted {
        assert!((reports.len() as u64) < most_runs, "only {moves} moves: {reports:?}");
        let (report, sent) = play_beside_strangers(scenario, workers, seats_per_worker).await;
        for key in ["wrong_group", "decrypt_failures", "duplicated", "cut_short"] {
            assert_eq!(count(&report, key), 0, "{key}: {report}");
        }
        let (received, lost) = (count(&report, "received"), count(&report, "lost_by_server"));
        assert!(received > 0 && lost * 100 <= received, "lost {lost} of {received}: {report}");
        moves += count(&report, "moves") + count(&report, "brought_home");
        all_sent += sent;
        tally.count(moves, "moves");
        attacks.count(all_sent, "datagrams beside");
        reports.push(report);
    }
    reports
}

#[tokio::test]
async fn a32_moves_over_loopback_on_one_worker() {
    let reports = move_about("churn 1 worker", "fine", 1, 250).await;
    assert!(reports.iter().all(|report| count(report, "relay_dropped") == 0));
}

#[tokio::test]
async fn a32_moves_over_a_bad_network_on_two_workers() {
    for report in move_about("impaired 2 workers", "impaired", 2, 6).await {
        for key in ["relay_dropped", "relay_copied", "relay_rebinds"] {
            assert!(count(&report, key) > 0, "{key}: {report}");
        }
    }
}
