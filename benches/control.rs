//! What one request costs the control plane, with all that it tells everybody, while media answers at
//! once. See benches/README.md.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a bench may fail loudly and reads the clock"
)]

#[path = "support/meeting.rs"]
mod meeting;
#[path = "support/size.rs"]
mod size;

use std::time::{Duration, Instant};

use anteroom::message::Role;
use criterion::{Criterion, criterion_group, criterion_main};

use meeting::Meeting;
use size::sizes;

const SIZES: &[usize] = &[10, 100, 1_000];

type Step = fn(&mut Meeting);

/// Does all steps and answers how long the second took.
fn time((before, measured, after): (Step, Step, Step), meeting: &mut Meeting) -> Duration {
    before(meeting);
    let start = Instant::now();
    measured(meeting);
    let spent = start.elapsed();
    after(meeting);
    spent
}

fn bench(criterion: &mut Criterion, name: &str, steps: (Step, Step, Step)) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    for people in sizes(SIZES).iter().copied() {
        let mut meeting = None;
        group.bench_function(format!("{people} people"), |bencher| {
            let meeting = meeting.get_or_insert_with(|| Meeting::new(people));
            bencher.iter_custom(|times| (0..times).map(|_| time(steps, meeting)).sum());
        });
    }
    group.finish();
}

fn operations(criterion: &mut Criterion) {
    let nothing: Step = |_| {};
    bench(criterion, "joinRoom", (nothing, |meeting| meeting.join(Role::Participant), Meeting::leave));
    bench(criterion, "createAndInviteBreakoutRoom", (nothing, Meeting::deal, Meeting::destroy));
    bench(criterion, "clearAllBreakOutSession", (Meeting::deal, Meeting::clear, Meeting::destroy));
    bench(criterion, "destroyAllBreakOutSession", (Meeting::deal, Meeting::destroy, nothing));
}

criterion_group!(benches, operations);
criterion_main!(benches);
