//! What reading one RTP packet costs: its header, its extensions, and what is in a frame's first
//! packet. See benches/README.md.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may fail loudly")]

#[path = "support/packet.rs"]
mod packet;

use std::hint::black_box;

use anteroom::wire::rtp::RtpView;
use anteroom::wire::vp8;
use criterion::{Criterion, criterion_group, criterion_main};

use packet::{AUDIO_LEVEL, VP8_KEYFRAME, dressed};

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, len) in [("120 B", 120), ("1150 B", 1_150)] {
        let packet = dressed(len);
        group.bench_function(format!("header of {name}"), |bencher| {
            bencher.iter(|| RtpView::parse(black_box(&packet)).unwrap().sequence());
        });
    }
    let packet = dressed(120);
    group.bench_function("header and audio level", |bencher| {
        bencher.iter(|| RtpView::parse(black_box(&packet)).unwrap().extension(AUDIO_LEVEL).map(<[u8]>::len));
    });
    group.bench_function("whether VP8 is a keyframe", |bencher| {
        bencher.iter(|| vp8::is_keyframe(black_box(&VP8_KEYFRAME)));
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
