//! What it costs the media plane to move people: one command, applied as one step, until it is true.
//! See benches/README.md.

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

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use hall::{BREAKOUT, Hall, PARENT};
use size::sizes;

const SIZES: &[usize] = &[10, 100, 1_000, 3_000];

/// Applies the command and answers how long that took; each placement has to be reported.
fn apply(hall: &mut Hall, moves: &[(usize, u64)]) -> Duration {
    let command = hall.move_command(moves);
    let start = Instant::now();
    hall.command(command);
    let spent = start.elapsed();
    assert_eq!(hall.land(), moves.len());
    spent
}

fn bench(criterion: &mut Criterion, name: &str, step: fn(&mut Hall, usize) -> Duration) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    for people in sizes(SIZES).iter().copied() {
        group.throughput(Throughput::Elements(people as u64));
        let mut hall = None;
        group.bench_function(format!("{people} people"), |bencher| {
            let hall = hall.get_or_insert_with(|| Hall::new(people));
            bencher.iter_custom(|times| (0..times).map(|_| step(hall, people)).sum());
        });
    }
    group.finish();
}

/// All people of a room into another.
fn to_one_room(hall: &mut Hall, people: usize) -> Duration {
    let there: Vec<_> = (0..people).map(|at| (at, BREAKOUT)).collect();
    let back: Vec<_> = (0..people).map(|at| (at, PARENT)).collect();
    hall.make_group(BREAKOUT);
    let spent = apply(hall, &there);
    apply(hall, &back);
    spent
}

/// All people home at once from rooms of ten; the rooms end.
fn home(hall: &mut Hall, people: usize) -> Duration {
    hall.split(people);
    let back: Vec<_> = (0..people).map(|at| (at, PARENT)).collect();
    let command = hall.move_command(&back);
    let start = Instant::now();
    hall.command(command);
    hall.end_rooms(people);
    let spent = start.elapsed();
    assert_eq!(hall.land(), people);
    spent
}

fn moves(criterion: &mut Criterion) {
    bench(criterion, "move", to_one_room);
    bench(criterion, "destroy", home);
}

criterion_group!(benches, moves);
criterion_main!(benches);
