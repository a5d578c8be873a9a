//! Watches a measurement go by, second by second.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::sync::oneshot;

use super::end::End;
use super::generator::{Generator, Order, StepSeen};
use super::html::Sample;
use super::process::cpu_ns;
use crate::base::Time;
use crate::telemetry::Clock;

/// Between two looks at how it goes.
const STEP: Duration = Duration::from_secs(1);

/// What was known at the end of a step.
#[derive(Clone, Copy, Default)]
struct Before {
    at: Time,
    server_ns: u64,
    seen: StepSeen,
}

/// Lets time pass until the end; on a terminal one sees that it does. Answers what each step was like.
pub(super) async fn watch(generator: &Generator, clock: Clock, pid: Option<u32>, end: &End) -> Vec<Sample> {
    let began = clock.now();
    let is_seen = io::stderr().is_terminal();
    let server = || pid.and_then(|pid| cpu_ns(pid).ok()).unwrap_or(0);
    let first = step(generator).await;
    let mut before = Before { at: began, server_ns: server(), seen: first };
    let mut samples = Vec::new();
    loop {
        let goes_on = end.is_after(clock.now() + STEP).await;
        let seen = step(generator).await;
        let now = Before { at: clock.now(), server_ns: server(), seen };
        let sample = sample(began, &before, &now);
        before = now;
        if is_seen {
            let progress = generator.progress();
            let (left, each) = (end.left().as_secs(), sample.received);
            let (p50, p99) = (sample.p50, sample.p99);
            let (up, failed) = (progress.up(), progress.failed());
            let mut line = format!(
                "{left:>5} s left, {each:>8.0} packets/s, latency {p50:.1} / {p99:.1} ms, {up} connected, {failed} failed"
            );
            for (what, per_second) in [("joins", sample.joined), ("dropped", sample.dropped)] {
                if per_second > 0.0 {
                    let _ = write!(line, ", {per_second:.0} {what}/s");
                }
            }
            let _ = write!(io::stderr(), "\r\x1b[Kload: {line}");
        }
        samples.push(sample);
        if !goes_on {
            break;
        }
    }
    if is_seen {
        let _ = writeln!(io::stderr());
    }
    samples
}

async fn step(generator: &Generator) -> StepSeen {
    let (seen, told) = oneshot::channel();
    generator.orders().give(Order::Step { seen }).await;
    told.await.unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "times and counts are far below 2^52")]
fn sample(began: Time, before: &Before, now: &Before) -> Sample {
    let (seen, seen_before) = (&now.seen, &before.seen);
    let took = now.at.since(before.at).as_secs_f64().max(0.001);
    let share = |before: u64, now: u64| now.saturating_sub(before) as f64 / 1e9 / took;
    let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / took;
    Sample {
        at: now.at.since(began).as_secs_f64(),
        received: seen.received as f64 / took,
        p50: seen.p50 as f64 / 1_000.0,
        p99: seen.p99 as f64 / 1_000.0,
        lost: seen.missing.saturating_sub(seen_before.missing) as f64,
        joined: rate(seen_before.heard, seen.heard),
        dropped: rate(seen_before.dropped, seen.dropped),
        server: share(before.server_ns, now.server_ns),
        generator: share(seen_before.cpu_ns, seen.cpu_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_what_changed_in_its_step() {
        let began = Time(1_000_000);
        let seen = StepSeen { missing: 3, cpu_ns: 50, heard: 10, dropped: 1, ..StepSeen::default() };
        let before = Before { at: Time(2_000_000), server_ns: 100, seen };
        let seen = StepSeen {
            received: 400,
            missing: 5,
            p50: 1_500,
            p99: 2_500,
            cpu_ns: 500_000_050,
            heard: 16,
            dropped: 5,
        };
        let now = Before { at: Time(4_000_000), server_ns: 1_000_000_100, seen };
        let sample = sample(began, &before, &now);
        let expected = Sample {
            at: 3.0,
            received: 200.0,
            p50: 1.5,
            p99: 2.5,
            lost: 2.0,
            joined: 3.0,
            dropped: 2.0,
            server: 0.5,
            generator: 0.25,
        };
        assert_eq!(sample, expected);
    }
}
