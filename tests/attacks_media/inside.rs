//! Storms of a legal participant that seals malformed packets under its own keys. Each begins gently, for what
//! is beyond a participant's budget is never opened: only what stays within it tries what stores, rewrites and
//! copies.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anteroom::base::{Kind, Random, Ssrc};
use anteroom::client::Pattern;
use anteroom::transport::sdp::AnsweredSend;
use serde_json::json;

use super::attacker::{Done, pace};
use super::beside::{Attack, Beside, Part};
use super::crafted;
use super::hostile::{Hand, Hostile, Manners};
use super::reports::three;
use super::storms::{Step, blow, length};

/// Offers this codec instead of VP8.
fn with_codec(offer: &str, name: &str, format: &str) -> String {
    let mut out = String::new();
    for line in offer.lines() {
        let number = line.strip_prefix("a=rtpmap:").and_then(|rest| rest.strip_suffix(" VP8/90000"));
        match number {
            Some(number) => {
                out += &format!("a=rtpmap:{number} {name}/90000\r\na=fmtp:{number} {format}\r\n");
            }
            None => out += &format!("{line}\r\n"),
        }
    }
    out
}

/// What a hostile participant sends of a kind.
struct Source {
    hand: Hand,
    line: AnsweredSend,
    ssrc: Ssrc,
    next: AtomicU64,
}

impl Source {
    fn of(hostile: &Hostile, kind: Kind) -> Self {
        let (hand, line, ssrc) = (hostile.hand(), hostile.line(kind).clone(), hostile.declared(kind).ssrc);
        Self { hand, line, ssrc, next: AtomicU64::new(0) }
    }

    fn send(&self, extensions: &[(u8, &[u8])], payload: &[u8]) -> u64 {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        u64::from(self.hand.rtp(&crafted::media(&self.line, self.ssrc, index, extensions, payload), index))
    }

    /// Sends a packet whose extension block is as given, good or not.
    fn send_block(&self, profile: u16, block: &[u8]) -> u64 {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let plain = crafted::media(&self.line, self.ssrc, index, &[], &[]);
        let mut packet = plain;
        packet[0] |= 0x10;
        packet.extend(profile.to_be_bytes());
        packet.extend(((block.len() / 4) as u16).to_be_bytes());
        packet.extend_from_slice(&block[..block.len() / 4 * 4]);
        packet.extend([0x5a; 40]);
        u64::from(self.hand.rtp(&packet, index))
    }
}

async fn hostile_with(http: SocketAddr, name: &str, rewrite: fn(String) -> String) -> Hostile {
    let manners = Manners { rewrite, ..Manners::default() };
    let hostile = Hostile::join_as(http, "storms", name, "participant", manners).await;
    hostile.is_up().await;
    hostile
}

/// A payload that begins like one that counts and goes on as noise.
fn after(start: &[u8], random: &mut Random) -> Vec<u8> {
    let mut payload = start.to_vec();
    for byte in &mut payload {
        if random.below(4) == 0 {
            *byte = random.next_u32() as u8;
        }
    }
    payload.extend(crafted::noise(random, 0, 60));
    payload
}

fn compound(random: &mut Random) -> Vec<u8> {
    let mut body = Vec::new();
    for _ in 0..=random.below(5) {
        let part = crafted::noise(random, 4, 60);
        let words = part.len() as u16 / 4;
        body.extend([0x80 | random.below(64) as u8, 200 + random.below(8) as u8]);
        // Mostly the length that it has.
        let told = if random.below(4) == 0 { random.next_u32() as u16 } else { words };
        body.extend(told.to_be_bytes());
        body.extend_from_slice(&part[..usize::from(words) * 4]);
    }
    body
}

/// What is sent of a storm before it blows, and how fast: within what one may send, pictures and sound.
const GENTLE: [(u64, u64); 2] = [(2_000, 1_000), (400, 200)];

/// The part of it that is heard at the least, in percent: what is malformed goes on as it is, except what a
/// listener cannot begin with.
const HEARD: u64 = 80;

/// A storm of one participant's media.
struct Storm {
    name: &'static str,
    kind: Kind,
    rewrite: fn(String) -> String,
    send: fn(&Source, &mut Random) -> u64,
}

fn as_it_is(offer: String) -> String {
    offer
}

fn with_vp9(offer: String) -> String {
    with_codec(&offer, "VP9", "profile-id=0")
}

fn with_h264(offer: String) -> String {
    with_codec(&offer, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
}

/// VP8's payload descriptor with all that it can have, and the start of a keyframe.
const VP8: [u8; 15] = [0x90, 0xc0, 0x80, 1, 1, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];

const STORMS: [Storm; 7] = [
    Storm {
        name: "storm_one_byte_extensions",
        kind: Kind::Audio,
        rewrite: as_it_is,
        send: |source, random| source.send_block(0xbede, &crafted::noise(random, 0, 64)),
    },
    Storm {
        name: "storm_two_byte_extensions",
        kind: Kind::Audio,
        rewrite: as_it_is,
        send: |source, random| {
            source.send_block(0x1000 | random.below(16) as u16, &crafted::noise(random, 0, 300))
        },
    },
    Storm {
        name: "storm_dependency_descriptor",
        kind: Kind::Video,
        rewrite: as_it_is,
        send: |source, random| {
            // Where a decoder can start is told by a good one now and then, or nothing of it would be seen.
            if random.below(8) == 0 {
                return source.send(&[], &VP8);
            }
            let id = source.line.extensions.dependency_descriptor.unwrap_or(13);
            let descriptor = after(&[0xc0, 0x00, 0x01, 0x80], random);
            source.send(&[(id, &descriptor)], &after(&[0x10, 0x10, 0x02, 0x00], random))
        },
    },
    Storm {
        name: "storm_vp8",
        kind: Kind::Video,
        rewrite: as_it_is,
        send: |source, random| source.send(&[], &after(&VP8, random)),
    },
    Storm {
        name: "storm_vp9",
        kind: Kind::Video,
        rewrite: with_vp9,
        send: |source, random| {
            source.send(&[], &after(&[0xba, 0x80, 0x01, 0x00, 0x01, 0x18, 0x02, 0x80], random))
        },
    },
    Storm {
        name: "storm_h264",
        kind: Kind::Video,
        rewrite: with_h264,
        send: |source, random| {
            let starts: [&[u8]; 4] = [&[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f], &[0x7c, 0x85], &[0x65], &[0x67]];
            let start = starts[random.below(4) as usize];
            source.send(&[], &after(start, random))
        },
    },
    Storm {
        name: "storm_opus_and_red",
        kind: Kind::Audio,
        rewrite: as_it_is,
        // RED within Opus, blocks that are longer than the packet, nothing at all.
        send: |source, random| source.send(&[], &after(&[0x80 | 111, 0x03, 0xff, 0xff, 111], random)),
    },
];

/// Does the first steps of a storm at a pace that the server bears.
async fn begin_gently(name: &str, kind: Kind, mut step: Step) -> (Done, Step) {
    let (steps, per_second) = GENTLE[usize::from(kind == Kind::Audio)];
    let gently = move || (pace(per_second, |done| done >= steps, &mut step), step);
    let (done, step) = tokio::task::spawn_blocking(gently).await.unwrap();
    assert!(done.failed * 2 <= done.steps, "{name}: {done:?}");
    (done, step)
}

#[tokio::test]
async fn storm_of_a_participant() {
    let (part, rate) = Part::flood().await;
    let mut beside = Beside::start(part, length()).await;
    let mut people = three(beside.http, "storms", Pattern::SCREEN).await;
    reports(&mut beside, &mut people, rate).await;
    for (seed, storm) in (40..).zip(STORMS) {
        let Storm { name, kind, rewrite, send } = storm;
        // Each has a budget, a stream and a listener who knows its codec of its own.
        let hostile = hostile_with(beside.http, &format!("{name}-hostile"), rewrite).await;
        let witness = hostile_with(beside.http, &format!("{name}-witness"), rewrite).await;
        let (source, mut random) = (Source::of(&hostile, kind), Random::from_number(seed));
        let step: Step = Box::new(move |_| send(&source, &mut random));
        let (done, step) = begin_gently(name, kind, step).await;
        let sum = |ear: &super::ear::Ear| ear.unmarked.values().sum::<u64>();
        witness.until(name, |_, ear| sum(ear) * 100 >= done.sent * HEARD).await;
        let mut both = [hostile, witness];
        blow(&mut beside, &mut people, &mut both, (name, rate, step)).await;
        for mut one in both {
            one.client.succeed("leaveRoom", json!({})).await;
        }
    }
    beside.end(Attack::none()).await;
    beside.stop().await;
}

/// The storm of reports. Nobody hears them, so that the server's count of the malformed tells that it has read
/// them, and that of the forged that it was their sender's keys that sealed them.
async fn reports(beside: &mut Beside, people: &mut [Hostile; 3], rate: u64) {
    let name = "storm_rtcp_compound";
    let hostile = hostile_with(beside.http, "Reporter", as_it_is).await;
    let (reporter, mut random) = (hostile.hand(), Random::from_number(60));
    beside.has_counted().await;
    let (malformed, forged) = (beside.dropped("malformed").await, beside.dropped("not_authentic").await);
    let step: Step = Box::new(move |_| u64::from(reporter.feedback(&compound(&mut random))));
    let (done, step) = begin_gently(name, Kind::Audio, step).await;
    beside.has_counted().await;
    let malformed = beside.dropped("malformed").await - malformed;
    assert!(malformed * 2 >= done.sent, "{name}: {malformed} malformed of {done:?}");
    assert_eq!(beside.dropped("not_authentic").await, forged, "{name}");
    let mut hostile = [hostile];
    blow(beside, people, &mut hostile, (name, rate, step)).await;
    let [mut hostile] = hostile;
    hostile.client.succeed("leaveRoom", json!({})).await;
}
