//! What sealing and opening one packet costs, in place, under both profiles, at the sizes of speech
//! and of video. See benches/README.md.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may fail loudly")]

#[path = "support/packet.rs"]
mod packet;

use std::hint::black_box;

use anteroom::message::SrtpProfile;
use anteroom::transport::srtp::{Inbound, OVERHEAD_RTP, Outbound};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const KEY: [u8; 16] = [7; 16];
const SALTS: [(SrtpProfile, &[u8]); 2] =
    [(SrtpProfile::AeadAes128Gcm, &[9; 12]), (SrtpProfile::AesCm128HmacSha1_80, &[9; 14])];

fn packet(len: usize, index: u64) -> Vec<u8> {
    packet::plain(len, OVERHEAD_RTP, index)
}

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for (profile, salt) in SALTS {
        for len in [120, 1150] {
            group.throughput(Throughput::Elements(1));
            group.bench_function(format!("{} {len} B", profile.name()), |bencher| {
                let mut outbound = Outbound::new(profile, &KEY, salt).unwrap();
                let mut buffer = packet(len, 0);
                bencher.iter(|| outbound.seal_rtp(black_box(&mut buffer), len, 0).unwrap());
            });
        }
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    for (profile, salt) in SALTS {
        for len in [120, 1150] {
            group.throughput(Throughput::Elements(1));
            group.bench_function(format!("{} {len} B", profile.name()), |bencher| {
                let mut outbound = Outbound::new(profile, &KEY, salt).unwrap();
                let mut inbound = Inbound::new(profile, &KEY, salt).unwrap();
                let mut index = 0;
                let sealed = || {
                    let mut buffer = packet(len, index);
                    let sealed = outbound.seal_rtp(&mut buffer, len, index).unwrap();
                    buffer.truncate(sealed);
                    index += 1;
                    buffer
                };
                bencher.iter_batched_ref(
                    sealed,
                    |buffer| inbound.open_rtp(black_box(buffer)).unwrap(),
                    BatchSize::SmallInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, seal, open);
criterion_main!(benches);
