//! What it costs to bring what publishers sent at once to everybody who hears or sees it: opened,
//! stored, queued, rewritten and sealed, all but the system calls. See benches/README.md.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench may fail loudly and reads the clock"
)]

#[path = "support/hall.rs"]
mod hall;
#[path = "support/size.rs"]
mod size;

use std::time::{Duration, Instant};

use anteroom::base::Kind;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use hall::{FRAME_PACKETS, Hall};
use size::sizes;

/// Delivers one batch after the other; each packet has to leave for every listener.
fn deliver(hall: &mut Hall, batches: u64, listeners: usize) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..batches {
        let mut batch = hall.next_batch();
        let start = Instant::now();
        let left = hall.deliver(&mut batch);
        spent += start.elapsed();
        assert_eq!(left, batch.len() * listeners);
    }
    spent
}

/// One figure is one batch; an element is one packet that leaves.
fn bench(criterion: &mut Criterion, name: &str, publishers: usize, kind: Kind, sizes: &[usize]) {
    let mut group = criterion.benchmark_group(name);
    for listeners in sizes.iter().copied() {
        let packets = if kind.is_video() { FRAME_PACKETS } else { publishers };
        group.throughput(Throughput::Elements((packets * listeners) as u64));
        // Made when it is wanted, for a filter may leave it out.
        let mut hall = None;
        group.bench_function(format!("to {listeners}"), |bencher| {
            let hall = hall.get_or_insert_with(|| {
                let mut hall = Hall::new(1 + listeners);
                hall.publish(publishers, kind);
                hall
            });
            bencher.iter_custom(|batches| deliver(hall, batches, listeners));
        });
    }
    group.finish();
}

fn packet(criterion: &mut Criterion) {
    bench(criterion, "packet", 1, Kind::Audio, sizes(&[1, 10, 100, 1_000, 3_000]));
}

fn talkers(criterion: &mut Criterion) {
    bench(criterion, "three talkers", 3, Kind::Audio, sizes(&[2, 100]));
}

fn frame(criterion: &mut Criterion) {
    bench(criterion, "frame of 11 packets", 1, Kind::Video, sizes(&[1, 100]));
}

criterion_group!(benches, packet, talkers, frame);
criterion_main!(benches);
