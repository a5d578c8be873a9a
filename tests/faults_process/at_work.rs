//! F24: a server that is at work for long keeps its size. `ANTEROOM_SOAK_SECONDS` says how long (20).
//! No other test of this binary takes as long: they run in the order of their names, and this one begins first.

use std::time::Duration;

use tokio::time::sleep;

use crate::live_call::LiveCall;
use crate::machine::Server;
use crate::tally::Tally;

const USUAL_SECONDS: u64 = 20;

/// From here on the slope says something: before, what is a page or two is a megabyte an hour.
const LONG_SECONDS: u64 = 1_800;

/// Of a short run: what caches and pools still take once everybody has come.
const MOST_GROWN_KIB: f64 = 16_384.0;

fn seconds() -> u64 {
    let asked = std::env::var("ANTEROOM_SOAK_SECONDS").ok();
    asked.map_or(USUAL_SECONDS, |text| text.parse().expect("ANTEROOM_SOAK_SECONDS is a number"))
}

/// KiB a second, by least squares over what was sampled once a second.
fn slope(samples: &[u64]) -> f64 {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<u64>() as f64 / count;
    let middle = (count - 1.0) / 2.0;
    let (mut over, mut under) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let from_middle = at as f64 - middle;
        over += from_middle * (*sample as f64 - mean);
        under += from_middle * from_middle;
    }
    over / under
}

#[tokio::test]
async fn f24_a_server_at_work_keeps_its_size_and_gives_everything_back() {
    let mut tally = Tally::of("faults", "F24");
    let server = Server::start("").await;
    let (before, seconds) = (server.holdings(), seconds());
    let arguments = ["--profile", "churn", "--participants", "24", "--rooms", "2", "--moves-per-second", "8"];
    let mut call = LiveCall::start_with(server.http, Duration::from_secs(seconds), &arguments);
    let mut samples = Vec::new();
    while call.is_on() {
        if server.metric("anteroom_participants").await > 0.0 {
            samples.push(server.resident_kib());
        }
        sleep(Duration::from_secs(1)).await;
    }
    let report = call.end().await;
    assert_eq!((report.count("wrong_group"), report.count("joins_failed")), (0, 0), "{report:?}");
    assert!(report.count("moves") > seconds, "{report:?}");
    report.assert_undisturbed();
    let warm = &samples[samples.len() / 3..];
    let grown = slope(warm) * warm.len() as f64;
    assert!(grown < MOST_GROWN_KIB, "{grown} KiB more: {samples:?}");
    let per_hour = slope(warm) * 3_600.0;
    assert!(seconds < LONG_SECONDS || per_hour < 1_024.0, "{per_hour} KiB an hour: {samples:?}");
    server.is_as_before(before).await;
    assert_eq!(server.metric("anteroom_wrong_epoch_total").await, 0.0);
    tally.count(seconds, "seconds");
}
