//! A person of the meeting: a connection of its own making, and packets that say where it is.

use std::collections::BTreeMap;

use anteroom::base::{Epoch, Kind, Mid, ParticipantId, Ssrc};
use anteroom::transport::sdp::{AnsweredSend, Numbering, OfferBuilder, OfferedSend, ServerAnswer};
use anteroom::transport::srtp::{Inbound, OVERHEAD_RTP, Outbound};
use anteroom::transport::{Codec, Path};
use anteroom::wire::rtp::{RtpHeader, RtpView, pad};
use anteroom::wire::stun::{Class, METHOD_BINDING, StunWriter};

use crate::bodies::dtls::identities;

const MARK: [u8; 8] = [0x7e; 8];
/// What stands before the mark in a picture, so that rewriting its descriptor leaves the mark alone.
const LEAST_FRONT: usize = 8;

/// What one sends of each kind: the m-line and the kind.
pub(super) const SENDS: [(&str, Kind); 3] =
    [("mic", Kind::Audio), ("cam", Kind::Video), ("screen", Kind::Share)];

/// What the bytes say of a packet.
pub(super) struct Packet {
    pub(super) kind: usize,
    pub(super) codec: u8,
    pub(super) ahead: i64,
    pub(super) ticks: u32,
    pub(super) marker: bool,
    /// Whether it goes out as a retransmission.
    pub(super) repeats: bool,
    pub(super) unmarked: bool,
    /// How much padding it claims to have, whatever it has.
    pub(super) claim: Option<u8>,
    /// A source that was not declared.
    pub(super) foreign: Option<u8>,
    pub(super) padding: u8,
    pub(super) extension: (u8, Vec<u8>),
    pub(super) front: Vec<u8>,
}

/// Where a packet's publisher was when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) publisher: u64,
    pub(super) group: u64,
}

impl Mark {
    pub(super) fn find(payload: &[u8]) -> Option<Self> {
        let mark = payload.last_chunk::<24>()?;
        let number = |at: usize| u64::from_be_bytes(mark[at..at + 8].try_into().unwrap());
        mark.starts_with(&MARK).then(|| Self { publisher: number(8), group: number(16) })
    }
}

pub(super) struct Person {
    pub(super) id: u64,
    pub(super) group: Option<u64>,
    pub(super) epoch: Epoch,
    pub(super) is_here: bool,
    pub(super) path: Path,
    pub(super) outbound: Option<Outbound>,
    pub(super) inbound: Option<Inbound>,
    ice: (String, String),
    sends: Vec<AnsweredSend>,
    /// The last index and timestamp of each source.
    sent: BTreeMap<Ssrc, (u64, u32)>,
}

pub(super) fn offer_of(id: u64) -> OfferBuilder {
    let ssrc = |at: usize, of: u32| Ssrc(u32::try_from(id * 100 + 10 * at as u64).unwrap() + of);
    let send = |(at, (mid, kind)): (usize, (&str, Kind))| OfferedSend {
        mid: Mid::from(mid),
        kind,
        ssrc: ssrc(at, 1),
        rtx: kind.is_video().then(|| ssrc(at, 2)),
    };
    OfferBuilder {
        session_id: 1,
        version: 1,
        ufrag: format!("user{id}"),
        pwd: "clientPasswordOfEnoughLength".to_owned(),
        fingerprint: identities().0.fingerprint().clone(),
        sends: SENDS.into_iter().enumerate().map(send).collect(),
        audio_slots: 4,
        video_slots: 2,
        codecs: vec![Codec::Opus, Codec::Vp8, Codec::Vp9 { profile: 0 }],
        numbering: Numbering::default(),
        cname: "somebody".to_owned(),
        explicit: None,
    }
}

impl Person {
    pub(super) fn new(id: u64, epoch: Epoch, group: u64, answer: &ServerAnswer) -> Self {
        Self {
            id,
            group: Some(group),
            epoch,
            is_here: true,
            path: Path::new(([10, 0, 0, u8::try_from(id - 1).unwrap()], 5_000).into(), None),
            outbound: None,
            inbound: None,
            ice: (answer.ufrag.clone(), answer.pwd.clone()),
            sends: answer.sends.clone(),
            sent: BTreeMap::new(),
        }
    }

    pub(super) const fn participant(&self) -> ParticipantId {
        ParticipantId(self.id)
    }

    /// A check as the server wants it.
    pub(super) fn check(&self, nominates: bool, transaction: [u8; 12]) -> Vec<u8> {
        let mut out = vec![0; 256];
        let username = format!("{}:user{}", self.ice.0, self.id);
        let writer = StunWriter::new(Class::Request, METHOD_BINDING, transaction, &mut out).unwrap();
        let mut writer = writer.username(&username).unwrap().priority(1).unwrap().ice_controlling(7).unwrap();
        if nominates {
            writer = writer.use_candidate().unwrap();
        }
        let len = writer.integrity(self.ice.1.as_bytes()).unwrap().fingerprint().unwrap().finish();
        out.truncate(len);
        out
    }

    /// A sealed packet; `None` where the bytes ask for what no header can say.
    pub(super) fn seal(&mut self, packet: &Packet) -> Option<Vec<u8>> {
        let (mid, kind) = SENDS[packet.kind];
        let send = self.sends.iter().find(|send| send.mid.as_str() == mid)?;
        let codec = send.codecs.get(usize::from(packet.codec) % send.codecs.len())?;
        let repeats = packet.repeats && codec.rtx_payload_type.is_some();
        let payload_type = match packet.codec {
            250.. => packet.codec & 0x7f,
            _ if repeats => codec.rtx_payload_type?,
            _ => codec.payload_type,
        };
        let declared =
            Ssrc(u32::try_from(self.id * 100).ok()? + 10 * packet.kind as u32 + 1 + u32::from(repeats));
        let ssrc = packet.foreign.map_or(declared, |foreign| Ssrc(9_000 + u32::from(foreign)));
        let (index, timestamp) = self.sent.entry(ssrc).or_insert((1_000, 5_000));
        *index = index.saturating_add_signed(packet.ahead).max(1);
        *timestamp = timestamp.wrapping_add(packet.ticks);
        let header = RtpHeader {
            payload_type,
            marker: packet.marker,
            sequence: (*index & 0xffff) as u16,
            timestamp: *timestamp,
            ssrc,
        };
        let (index, mut buffer) = (*index, vec![0; 2_000]);
        let (id, data) = &packet.extension;
        let extensions = [(*id, &data[..])];
        let extensions = if *id == 0 { &[][..] } else { &extensions[..] };
        let mut len = header.write(extensions, &mut buffer).ok()?;
        let header_len = len;
        for bytes in [packet.front.clone(), self.mark(packet, kind)] {
            buffer[len..len + bytes.len()].copy_from_slice(&bytes);
            len += bytes.len();
        }
        let padded = len + usize::from(packet.padding);
        pad(&mut buffer, len, padded).unwrap();
        if let Some(claim) = packet.claim {
            buffer[0] |= 0x20;
            buffer[padded - 1] = if padded == header_len { buffer[padded - 1] } else { claim };
        } else {
            assert!(RtpView::parse(&buffer[..padded]).is_ok());
        }
        buffer.truncate(padded + OVERHEAD_RTP);
        let sealed = self.outbound.as_mut()?.seal_rtp(&mut buffer, padded, index).ok()?;
        buffer.truncate(sealed);
        Some(buffer)
    }

    fn mark(&self, packet: &Packet, kind: Kind) -> Vec<u8> {
        if packet.unmarked {
            return Vec::new();
        }
        let missing = if kind.is_video() { LEAST_FRONT.saturating_sub(packet.front.len()) } else { 0 };
        let mut mark = vec![0; missing];
        mark.extend(MARK);
        mark.extend(self.id.to_be_bytes());
        mark.extend(self.group.unwrap_or(0).to_be_bytes());
        mark
    }
}
