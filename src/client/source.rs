//! What a synthetic participant publishes: Opus-sized audio packets or VP8-shaped video frames,
//! each with a mark.

use std::ops::Range;
use std::time::Duration;

use super::mark::Mark;
use crate::base::{ClientId, Epoch, Kind, Random, Ssrc, Time};
use crate::wire::WireError;
use crate::wire::rtp::RtpHeader;

/// How a kind is sent: its packets' rate, number and size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Time between two frames.
    pub interval: Duration,
    /// Packets of one frame.
    pub packets_per_frame: u32,
    /// Bytes of one packet's RTP payload.
    pub payload_len: usize,
    /// Packets of a frame that leave together, as a pacer lets them; at least 1.
    pub burst: u32,
    /// Time between two bursts of a frame.
    pub spacing: Duration,
}

impl Pattern {
    /// 50 packets a second, as Opus with 20 ms frames sends.
    pub const AUDIO: Self = Self {
        interval: Duration::from_millis(20),
        packets_per_frame: 1,
        payload_len: 80,
        burst: 1,
        spacing: Duration::ZERO,
    };
    /// 20 frames a second of 3 packets: a modest screen.
    pub const SCREEN: Self = Self {
        interval: Duration::from_millis(50),
        packets_per_frame: 3,
        payload_len: 1000,
        burst: 3,
        spacing: Duration::ZERO,
    };
}

/// How the packets of a source are labelled, as offer and answer agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The source's SSRC.
    pub ssrc: Ssrc,
    /// The payload type of its codec.
    pub payload_type: u8,
    /// The extension id of the audio level, for audio.
    pub audio_level: Option<u8>,
    /// The extension id of the transport-wide sequence number.
    pub transport_cc: Option<u8>,
}

/// Where the publisher believes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The publisher.
    pub client: ClientId,
    /// The tag of its room.
    pub room: u64,
    /// The epoch of its placement.
    pub epoch: Epoch,
}

/// Where a stream's numbers begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStart {
    /// Its first sequence number.
    pub sequence: u16,
    /// Its first timestamp.
    pub timestamp: u32,
    /// The id of its first picture, of 15 bits.
    pub picture_id: u16,
}

impl StreamStart {
    /// Anywhere below 2^15, as the first sequence number of a stream has to be (RFC 3711 section 3.3.1).
    pub(super) fn draw(random: &mut Random) -> Self {
        let sequence = u16::try_from(random.below(1 << 15)).unwrap_or(0);
        Self { sequence, timestamp: 0, picture_id: 0 }
    }
}

/// One published stream.
#[derive(Clone, Debug)]
pub struct Source {
    kind: Kind,
    pattern: Pattern,
    /// Those of the pattern at the present rate.
    interval: Duration,
    spacing: Duration,
    labels: Labels,
    next_index: u64,
    timestamp: u32,
    due: Option<Time>,
    frame_due: Time,
    packet_of_frame: u32,
    keyframe: bool,
    keyframe_wanted: bool,
    picture_id: u16,
    counter: u64,
    level: u8,
}

/// The VP8 payload descriptor with a 15-bit picture id and TL0PICIDX (RFC 7741 section 4.2).
const VP8_EXTENDED: u8 = 0x80;
const VP8_START: u8 = 0x10;
const VP8_PICTURE_ID_AND_TL0: u8 = 0xc0;
/// Frame tag, start code and a size of 640x360 (RFC 6386 section 9.1).
const VP8_KEY_HEADER: [u8; 10] = [0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];
const VP8_DELTA_HEADER: [u8; 3] = [0x11, 0x02, 0x00];

/// What a payload is filled with.
const FILLING: u8 = 0x5a;
const FILLED: [u8; 64] = [FILLING; 64];
/// Bytes of the VP8 payload descriptor that hold numbers, which a server rewrites.
const VP8_NUMBERS: Range<usize> = 2..5;

/// Whether a payload is of the right length and what a source writes around a mark at `at`.
pub(super) fn is_as_published(payload: &[u8], at: usize, mark: &Mark, len: usize) -> bool {
    let (Some(before), Some(behind)) = (payload.get(..at), payload.get(at + Mark::LEN..)) else {
        return false;
    };
    let is_right = |(place, byte): (usize, &u8)| match place {
        0 => byte & !VP8_START == VP8_EXTENDED,
        1 => *byte == VP8_PICTURE_ID_AND_TL0,
        _ => VP8_NUMBERS.contains(&place),
    };
    let (descriptor, header) = before.split_at(before.len().min(VP8_NUMBERS.end));
    let is_header = header.is_empty() || header == VP8_KEY_HEADER || header == VP8_DELTA_HEADER;
    let is_descriptor = descriptor.len() == VP8_NUMBERS.end && descriptor.iter().enumerate().all(is_right);
    let begins = if mark.kind.is_video() { is_descriptor && is_header } else { before.is_empty() };
    begins && payload.len() == len && behind.chunks(FILLED.len()).all(|part| FILLED.starts_with(part))
}

/// A source that is later than this, or than a frame, has been held up.
const MAX_LATENESS: Duration = Duration::from_millis(20);

/// A voice as loud as this is clearly speaking (-dBov).
const LOUD: u8 = 20;

impl Source {
    /// A silent source.
    #[must_use]
    pub fn new(kind: Kind, pattern: Pattern, labels: Labels, start: StreamStart) -> Self {
        Self {
            kind,
            pattern,
            interval: pattern.interval,
            spacing: pattern.spacing,
            labels,
            next_index: u64::from(start.sequence),
            timestamp: start.timestamp,
            due: None,
            frame_due: Time(0),
            packet_of_frame: 0,
            keyframe: true,
            keyframe_wanted: false,
            picture_id: start.picture_id & 0x7fff,
            counter: 0,
            level: LOUD,
        }
    }

    /// What it publishes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many packets it has sent: what the next one is counted as.
    #[must_use]
    pub fn counter(&self) -> u64 {
        self.counter
    }

    /// Its SSRC.
    #[must_use]
    pub fn ssrc(&self) -> Ssrc {
        self.labels.ssrc
    }

    /// Starts sending at `at`, or stops.
    pub fn set_on(&mut self, at: Option<Time>) {
        match (self.due, at) {
            (None, Some(at)) => {
                self.due = Some(at);
                self.frame_due = at;
                self.packet_of_frame = 0;
                self.keyframe = true;
            }
            (Some(_), None) => self.due = None,
            _ => {}
        }
    }

    /// Sets the audio level, in -dBov.
    pub fn set_level(&mut self, level: u8) {
        self.level = level.min(127);
    }

    /// Sends `factor` times as many frames a second as the pattern says.
    pub fn set_rate(&mut self, factor: f64) {
        let factor = factor.clamp(0.001, 1_000.0);
        self.interval = self.pattern.interval.div_f64(factor);
        self.spacing = self.pattern.spacing.div_f64(factor);
    }

    /// Makes the next frame a keyframe.
    pub fn want_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// When the next packet is due.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        self.due
    }

    /// Writes the packet that is due; answers its length and its SRTP index. `transport_sequence`
    /// is the number of this packet among all that the participant sends.
    ///
    /// # Errors
    /// Where `out` is too small for the packet.
    pub fn poll(
        &mut self,
        now: Time,
        place: Place,
        transport_sequence: u16,
        out: &mut [u8],
    ) -> Result<Option<(usize, u64)>, WireError> {
        let Some(due) = self.due.filter(|due| *due <= now) else { return Ok(None) };
        let last = self.packet_of_frame + 1 >= self.pattern.packets_per_frame;
        let header = RtpHeader {
            payload_type: self.labels.payload_type,
            marker: if self.kind.is_video() { last } else { self.counter == 0 },
            sequence: u16::try_from(self.next_index & 0xffff).unwrap_or(0),
            timestamp: self.timestamp,
            ssrc: self.labels.ssrc,
        };
        let header_len = self.write_header(header, transport_sequence, out)?;
        let payload = out
            .get_mut(header_len..header_len + self.pattern.payload_len)
            .ok_or(WireError::NoSpace("payload"))?;
        // Stamped with the time when it should leave, so that a sender which is late shows.
        self.fill_payload(due, place, payload);
        let packet = (header_len + self.pattern.payload_len, self.next_index);
        self.advance(now, last);
        Ok(Some(packet))
    }

    fn write_header(
        &self,
        header: RtpHeader,
        transport_sequence: u16,
        out: &mut [u8],
    ) -> Result<usize, WireError> {
        let level = [0x80 | self.level];
        let counter = transport_sequence.to_be_bytes();
        let mut extensions: [(u8, &[u8]); 2] = [(0, &[]); 2];
        let mut used = 0;
        for (id, bytes) in
            [(self.labels.audio_level, level.as_slice()), (self.labels.transport_cc, counter.as_slice())]
        {
            if let (Some(id), Some(place)) = (id, extensions.get_mut(used)) {
                *place = (id, bytes);
                used += 1;
            }
        }
        header.write(extensions.get(..used).unwrap_or_default(), out)
    }

    fn fill_payload(&self, sent_at: Time, place: Place, payload: &mut [u8]) {
        let mark = Mark {
            publisher: place.client,
            kind: self.kind,
            room: place.room,
            epoch: place.epoch,
            counter: self.counter,
            sent_at,
        };
        let first = self.packet_of_frame == 0;
        let [high, low] = self.picture_id.to_be_bytes();
        let start = if first { VP8_START } else { 0 };
        let descriptor = [VP8_EXTENDED | start, VP8_PICTURE_ID_AND_TL0, 0x80 | high, low, low];
        let frame_header: &[u8] = match (first, self.keyframe) {
            (true, true) => &VP8_KEY_HEADER,
            (true, false) => &VP8_DELTA_HEADER,
            (false, _) => &[],
        };
        let (descriptor, frame_header): (&[u8], &[u8]) =
            if self.kind.is_video() { (&descriptor, frame_header) } else { (&[], &[]) };
        let mark = mark.to_bytes();
        let bytes = descriptor.iter().chain(frame_header).chain(&mark).chain(std::iter::repeat(&FILLING));
        for (to, from) in payload.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    fn advance(&mut self, now: Time, last_of_frame: bool) {
        self.next_index += 1;
        self.counter += 1;
        if !last_of_frame {
            self.packet_of_frame += 1;
            if self.packet_of_frame.is_multiple_of(self.pattern.burst.max(1)) {
                self.due = self.due.map(|due| due + self.spacing);
            }
            return;
        }
        self.packet_of_frame = 0;
        self.keyframe = std::mem::take(&mut self.keyframe_wanted);
        self.picture_id = self.picture_id.wrapping_add(1) & 0x7fff;
        let rate: u64 = if self.kind.is_video() { 90_000 } else { 48_000 };
        let micros = u64::try_from(self.interval.as_micros()).unwrap_or(0);
        let ticks = u32::try_from(micros * rate / 1_000_000).unwrap_or(0);
        self.timestamp = self.timestamp.wrapping_add(ticks);
        // A source that was held up goes on from now: it never sends a burst to catch up.
        let next = self.frame_due + self.interval;
        self.frame_due = if now.since(next) > self.interval.max(MAX_LATENESS) { now } else { next };
        self.due = self.due.map(|_| self.frame_due);
    }
}
