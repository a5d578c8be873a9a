//! Storms of malformed datagrams, of strangers and of a legal participant, one after the other beside one
//! live call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anteroom::base::{Kind, Random, Ssrc};
use anteroom::client::Pattern;
use anteroom::transport::sdp::AnsweredSend;

use super::attacker::Stranger;
use super::beside::{Attack, Beside, Part, is_long};
use super::crafted;
use super::hostile::{Hand, Hostile, Manners};
use super::reports::three;
use super::tally::Tally;

/// How often storms send.
const PER_SECOND: u64 = 50_000;

/// How long each lasts, in seconds.
fn length() -> u64 {
    if is_long() { 30 } else { 3 }
}

type Step = Box<dyn FnMut(u64) -> u64 + Send>;

/// Runs storms one after the other. Of each its own people, who talk in the room of the hostile ones, lose
/// at most one packet in a thousand, and nobody is disconnected.
async fn weather(
    beside: &mut Beside,
    people: &mut [Hostile; 3],
    hostile: &mut [Hostile],
    storms: Vec<(&str, Step)>,
) {
    for (name, storm) in storms {
        let mut tally = Tally::of("storms", name);
        for one in people.iter_mut().chain(hostile.iter_mut()) {
            one.listen().await;
            one.forget();
        }
        let attack = Attack::start(PER_SECOND, storm);
        tokio::time::sleep(Duration::from_secs(length())).await;
        let sent = attack.stop();
        assert!(sent >= length() * 3_000, "{name}: only {sent}");
        for one in people.iter_mut().chain(hostile.iter_mut()) {
            one.catch_up(beside.media).await;
            assert!(one.is_alive(), "{name}");
        }
        let [publisher, first, second] = people;
        for listener in [&*first, &*second] {
            listener.hears(|ear| {
                // What a publisher of a machine that is at its limit does send is what has to come.
                ear.of(publisher.id, Kind::Audio).assert_whole(50 * length() / 3);
                ear.of(publisher.id, Kind::Video).assert_whole(60 * length() / 3);
            });
        }
        assert!(beside.is_on(), "{name} has outlived the call");
        tally.count(sent, "datagrams");
    }
}

#[tokio::test]
async fn storm_of_strangers() {
    let part = Part::whole().await;
    // Some more than the storms take, for what is looked at after each.
    let mut beside = Beside::start(part, 5 * length() + 3).await;
    let mut people = three(beside.http, "storms", Pattern::SCREEN).await;
    let stranger = Stranger::on(9, 64);
    let ssrc = people[0].declared(Kind::Audio).ssrc;
    let username = format!("{}:{}", people[0].answer.ufrag, people[0].ufrag);
    let mut seed = 20;
    let mut storm = |name: &'static str, make: fn(&mut Random, &str, Ssrc) -> Vec<u8>| {
        seed += 1;
        let (mut sender, mut random) = (stranger.share(), Random::from_number(seed));
        let (media, username) = (beside.media, username.clone());
        let step: Step = Box::new(move |_| sender.send(media, &make(&mut random, &username, ssrc)));
        (name, step)
    };
    let storms = vec![
        storm("storm_stun", |random, username, _| crafted::stun(random, username)),
        storm("storm_dtls_12", |random, _, _| crafted::dtls_12(random)),
        storm("storm_dtls_13", |random, _, _| crafted::dtls_13(random)),
        storm("storm_srtp", |random, _, ssrc| crafted::srtp(random, ssrc)),
        storm("storm_srtcp", |random, _, ssrc| crafted::srtcp(random, ssrc)),
    ];
    weather(&mut beside, &mut people, &mut [], storms).await;
    beside.end(Attack::none()).await;
    beside.stop().await;
    assert_eq!(stranger.earned(), Vec::<Vec<u8>>::new());
}

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
    next: Arc<AtomicU64>,
}

impl Source {
    fn of(hostile: &Hostile, kind: Kind) -> Self {
        let (hand, line, ssrc) = (hostile.hand(), hostile.line(kind).clone(), hostile.declared(kind).ssrc);
        Self { hand, line, ssrc, next: Arc::default() }
    }

    /// Goes on where the other ends: of one source no number seals twice.
    fn again(&self) -> Self {
        let Self { hand, line, ssrc, next } = self;
        Self { hand: hand.clone(), line: line.clone(), ssrc: *ssrc, next: Arc::clone(next) }
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

#[tokio::test]
async fn storm_of_a_participant() {
    let part = Part::whole().await;
    let mut beside = Beside::start(part, 8 * length() + 4).await;
    let mut people = three(beside.http, "storms", Pattern::SCREEN).await;
    let vp8 = hostile_with(beside.http, "Vp8", |offer| offer).await;
    let vp9 = hostile_with(beside.http, "Vp9", |offer| with_codec(&offer, "VP9", "profile-id=0")).await;
    let h264 = hostile_with(beside.http, "H264", |offer| {
        with_codec(&offer, "H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
    })
    .await;
    let (sound, pictures) = (Source::of(&vp8, Kind::Audio), Source::of(&vp8, Kind::Video));
    let (descriptor, mut seed) = (pictures.line.extensions.dependency_descriptor.unwrap_or(13), 40);
    let reporter = vp8.hand();
    let mut storm = |name: &'static str, source: Source, send: fn(&Source, &mut Random, u8) -> u64| {
        seed += 1;
        let mut random = Random::from_number(seed);
        let step: Step = Box::new(move |_| send(&source, &mut random, descriptor));
        (name, step)
    };
    let mut storms = vec![
        storm("storm_one_byte_extensions", sound.again(), |source, random, _| {
            source.send_block(0xbede, &crafted::noise(random, 0, 64))
        }),
        storm("storm_two_byte_extensions", sound.again(), |source, random, _| {
            source.send_block(0x1000 | random.below(16) as u16, &crafted::noise(random, 0, 300))
        }),
        storm("storm_dependency_descriptor", pictures.again(), |source, random, id| {
            let descriptor = after(&[0xc0, 0x00, 0x01, 0x80], random);
            source.send(&[(id, &descriptor)], &after(&[0x10, 0x10, 0x02, 0x00], random))
        }),
        storm("storm_vp8", pictures.again(), |source, random, _| {
            let start = [0x90, 0xc0, 0x80, 1, 1, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
            source.send(&[], &after(&start, random))
        }),
        storm("storm_vp9", Source::of(&vp9, Kind::Video), |source, random, _| {
            source.send(&[], &after(&[0xba, 0x80, 0x01, 0x00, 0x01, 0x18, 0x02, 0x80], random))
        }),
        storm("storm_h264", Source::of(&h264, Kind::Video), |source, random, _| {
            let starts: [&[u8]; 4] = [&[0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f], &[0x7c, 0x85], &[0x65], &[0x67]];
            let start = starts[random.below(4) as usize];
            source.send(&[], &after(start, random))
        }),
        storm("storm_opus_and_red", sound.again(), |source, random, _| {
            // RED within Opus, blocks that are longer than the packet, nothing at all.
            source.send(&[], &after(&[0x80 | 111, 0x03, 0xff, 0xff, 111], random))
        }),
    ];
    let mut random = Random::from_number(60);
    let step: Step = Box::new(move |_| u64::from(reporter.feedback(&compound(&mut random))));
    storms.insert(0, ("storm_rtcp_compound", step));
    weather(&mut beside, &mut people, &mut [vp8, vp9, h264], storms).await;
    beside.end(Attack::none()).await;
    beside.stop().await;
}
