//! What a client publishes: a voice of Opus-sized packets, and a screen of VP8-shaped frames. Every
//! payload says who sent it, where, and which one it is, and is otherwise a pattern that a listener
//! can write anew and compare.

use std::sync::Arc;
use std::time::Duration;

use anteroom::base::{ClientId, Epoch, Kind, Time};
use anteroom::client::{Mark, room_tag};
use bytes::Bytes;
use rtc::rtp;
use rtc::rtp::header::{Extension, Header};
use tokio::sync::watch;
use webrtc::media_stream::track_local::TrackLocal;

use crate::memory::Memory;

/// How a stream is labelled, as offer and answer agreed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Labels {
    pub(crate) ssrc: u32,
    pub(crate) payload_type: u8,
    /// The header extension id of the audio level, for a voice.
    pub(crate) audio_level: Option<u8>,
}

/// Opus frames of 20 ms.
const VOICE_EVERY: Duration = Duration::from_millis(20);
/// Frames of the screen, and packets of each.
const FRAME_EVERY: Duration = Duration::from_millis(50);
const PACKETS_A_FRAME: u64 = 3;
/// The pattern after the mark.
const VOICE_BYTES: usize = 24;
const SCREEN_BYTES: usize = 900;

/// Speaks until the switch is off or the track is gone.
pub(crate) async fn speak(track: Arc<dyn TrackLocal>, labels: Labels, memory: watch::Sender<Memory>) {
    let mut ticks = tokio::time::interval(VOICE_EVERY);
    for counter in 0.. {
        ticks.tick().await;
        let payload = content(mark(&memory, Kind::Audio, counter), VOICE_BYTES);
        let mut header = header(labels, counter, counter * 960);
        header.marker = counter == 0;
        if let Some(id) = labels.audio_level {
            const VOICE_AT_20_DBOV: u8 = 0x80 | 20;
            header.set_extension(id, Bytes::from_static(&[VOICE_AT_20_DBOV])).unwrap();
        }
        if track.write_rtp(rtp::Packet { header, payload }).await.is_err() {
            return;
        }
    }
}

/// Shows a screen: a keyframe first and whenever one is asked for.
pub(crate) async fn show(track: Arc<dyn TrackLocal>, labels: Labels, memory: watch::Sender<Memory>) {
    let mut ticks = tokio::time::interval(FRAME_EVERY);
    let mut answered = None;
    for frame in 0.. {
        ticks.tick().await;
        let asked = memory.borrow().wire.keyframe_requests.get(&labels.ssrc).copied();
        let is_key = frame == 0 || asked != answered;
        answered = asked;
        for part in 0..PACKETS_A_FRAME {
            let counter = frame * PACKETS_A_FRAME + part;
            let mut header = header(labels, counter, frame * 4_500);
            header.marker = part + 1 == PACKETS_A_FRAME;
            let mut payload = vp8_descriptor(frame, part == 0);
            if part == 0 {
                payload.extend(vp8_frame_header(is_key));
            }
            payload.extend(content(mark(&memory, Kind::Share, counter), SCREEN_BYTES));
            if track.write_rtp(rtp::Packet { header, payload: payload.into() }).await.is_err() {
                return;
            }
        }
    }
}

fn mark(memory: &watch::Sender<Memory>, kind: Kind, counter: u64) -> Mark {
    let memory = memory.borrow();
    Mark {
        publisher: memory.client.unwrap_or(ClientId(0)),
        kind,
        room: room_tag(&memory.room),
        epoch: Epoch(memory.epoch.0),
        counter,
        sent_at: now(),
    }
}

fn header(labels: Labels, counter: u64, timestamp: u64) -> Header {
    Header {
        version: 2,
        payload_type: labels.payload_type,
        sequence_number: (counter & 0xffff) as u16,
        timestamp: (timestamp & 0xffff_ffff) as u32,
        ssrc: labels.ssrc,
        extensions: Vec::<Extension>::new(),
        ..Default::default()
    }
}

/// The mark and a pattern that follows from it.
fn content(mark: Mark, pattern: usize) -> Bytes {
    let start = mark.counter.to_le_bytes()[0];
    mark.to_bytes().into_iter().chain((0..pattern).map(|at| start.wrapping_add(at as u8))).collect()
}

/// With a 15-bit picture id and TL0PICIDX (RFC 7741 section 4.2).
fn vp8_descriptor(frame: u64, starts: bool) -> Vec<u8> {
    let [high, low] = ((frame & 0x7fff) as u16).to_be_bytes();
    let start = if starts { 0x10 } else { 0 };
    vec![0x80 | start, 0xc0, 0x80 | high, low, low]
}

/// Frame tag, and of a keyframe the start code and a size of 640x360 (RFC 6386 section 9.1).
fn vp8_frame_header(is_key: bool) -> &'static [u8] {
    if is_key { &[0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01] } else { &[0x11, 0x02, 0x00] }
}

/// What a listener finds in a payload.
pub(crate) struct Found {
    pub(crate) mark: Option<Mark>,
    pub(crate) keyframe: bool,
    pub(crate) intact: bool,
}

/// Reads a payload that somebody published: one of ours, or one of a synthetic participant, which
/// has the same mark but another pattern.
pub(crate) fn read(payload: &[u8], is_video: bool) -> Found {
    let descriptor = if is_video { vp8_descriptor_len(payload) } else { 0 };
    let body = payload.get(descriptor..).unwrap_or_default();
    let starts = is_video && payload.first().is_some_and(|first| first & 0x17 == 0x10);
    let is_key = starts && body.first().is_some_and(|tag| tag & 1 == 0);
    let frame_header = if starts { vp8_frame_header(is_key) } else { &[] };
    let Some(rest) = body.strip_prefix(frame_header) else {
        return Found { mark: None, keyframe: is_key, intact: false };
    };
    let mark = Mark::parse(rest);
    let intact = mark.is_some_and(|mark| {
        let pattern = rest.len() - Mark::LEN;
        content(mark, pattern) == rest || rest[Mark::LEN..].iter().all(|byte| *byte == SYNTHETIC_PATTERN)
    });
    Found { mark, keyframe: is_key, intact }
}

/// What fills a synthetic participant's packets.
const SYNTHETIC_PATTERN: u8 = 0x5a;

/// RFC 7741 section 4.2.
fn vp8_descriptor_len(payload: &[u8]) -> usize {
    let (Some(first), Some(extended)) = (payload.first(), payload.get(1)) else { return 0 };
    if first & 0x80 == 0 {
        return 1;
    }
    let mut len = 2;
    if extended & 0x80 != 0 {
        len += if payload.get(2).is_some_and(|id| id & 0x80 != 0) { 2 } else { 1 };
    }
    if extended & 0x40 != 0 {
        len += 1;
    }
    if extended & 0x30 != 0 {
        len += 1;
    }
    len
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "the edge of a test has a clock")]
pub(crate) fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time(u64::try_from(since.as_micros()).unwrap())
}
