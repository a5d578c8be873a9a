//! What one client has seen so far: acks, events, slots, packets. A story waits on it and judges it.

use std::collections::{BTreeMap, BTreeSet};

use anteroom::base::{ClientId, Epoch, Kind, Time};
use anteroom::client::{Mark, room_tag};
use serde_json::Value;
use webrtc::peer_connection::RTCPeerConnectionState;

/// What a `slots` event says of one slot.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) from_seq: u64,
    pub(crate) room: String,
    pub(crate) publisher: Option<(ClientId, Kind)>,
}

/// A packet that the peer connection handed out.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) ssrc: u32,
    pub(crate) seq: u64,
    pub(crate) marker: bool,
    pub(crate) timestamp: u32,
    pub(crate) came_at: Time,
    pub(crate) mark: Option<Mark>,
    /// Of a video packet: whether it starts a keyframe.
    pub(crate) keyframe: bool,
    /// Whether every byte after the codec descriptor is what the publisher wrote.
    pub(crate) intact: bool,
}

/// A room that the client was told to be in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) room: u64,
    pub(crate) learned_at: Time,
}

/// What passed the wire, below the peer connection's own repair.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire {
    /// How many of the next packets of a stream are to be lost.
    pub(crate) to_lose: BTreeMap<u32, u32>,
    /// SSRC and sequence number of what was lost.
    pub(crate) lost: BTreeSet<(u32, u16)>,
    /// How often a packet, by its own SSRC and sequence number, was repeated on the stream that is
    /// there for that (RFC 4588 section 4).
    pub(crate) repeated: BTreeMap<(u32, u16), usize>,
    /// Keyframe requests by the SSRC they are about.
    pub(crate) keyframe_requests: BTreeMap<u32, u32>,
    /// Transport-wide feedback packets.
    pub(crate) feedback: u32,
    /// Streams that a sender report has come for.
    pub(crate) sender_reports: BTreeSet<u32>,
    /// Our streams that a receiver report has come for.
    pub(crate) receiver_reports: BTreeSet<u32>,
}

impl Wire {
    pub(crate) fn note_repeat(&mut self, packet: (u32, u16)) {
        *self.repeated.entry(packet).or_default() += 1;
    }

    /// How often a packet came, lost ones not counted.
    pub(crate) fn arrivals(&self, packet: (u32, u16)) -> usize {
        let repeats = self.repeated.get(&packet).copied().unwrap_or(0);
        repeats + usize::from(!self.lost.contains(&packet))
    }
}

/// Everything that one client has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) client: Option<ClientId>,
    pub(crate) room: String,
    pub(crate) epoch: Epoch,
    pub(crate) placements: Vec<Placement>,
    pub(crate) claims: BTreeMap<u32, Vec<Claim>>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) acks: BTreeMap<String, Value>,
    pub(crate) events: Vec<(String, Value)>,
    pub(crate) state: RTCPeerConnectionState,
    /// Whether the WebSocket has ended.
    pub(crate) is_over: bool,
    pub(crate) wire: Wire,
    highest: BTreeMap<u32, u64>,
    heard: BTreeMap<(ClientId, Kind, u64), u64>,
}

impl Memory {
    /// How many packets of `kind` have come that `publisher` sent when it knew itself in `room`.
    pub(crate) fn heard(&self, publisher: ClientId, kind: Kind, room: &str) -> u64 {
        self.heard.get(&(publisher, kind, room_tag(room))).copied().unwrap_or(0)
    }

    /// What the slots carry now.
    pub(crate) fn bound(&self) -> BTreeSet<(ClientId, Kind)> {
        self.claims.values().filter_map(|claims| claims.last()?.publisher).collect()
    }

    /// The slot that carries this now.
    pub(crate) fn slot_of(&self, publisher: ClientId, kind: Kind) -> Option<(u32, u64)> {
        let last = self.claims.iter().filter_map(|(ssrc, claims)| Some((*ssrc, claims.last()?)));
        last.into_iter()
            .find(|(_, claim)| claim.publisher == Some((publisher, kind)))
            .map(|(ssrc, claim)| (ssrc, claim.from_seq))
    }

    /// The events of a name, in order.
    pub(crate) fn events_named(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |(event, _)| event == name).map(|(_, data)| data)
    }

    pub(crate) fn note_event(&mut self, name: &str, data: Value, now: Time) {
        if name == "slots" {
            self.note_slots(data["room_id"].as_str().unwrap(), &data, now);
        }
        self.events.push((name.to_owned(), data));
    }

    pub(crate) fn note_ack(&mut self, frame: Value, now: Time) {
        let data = &frame["data"];
        // Only `joinRoom` tells of slots.
        if data["slots"].is_array() {
            self.note_slots(data["room"]["room_id"].as_str().unwrap(), data, now);
        }
        self.acks.insert(frame["id"].as_str().unwrap().to_owned(), frame);
    }

    fn note_slots(&mut self, room: &str, data: &Value, now: Time) {
        self.epoch = Epoch(data["epoch"].as_u64().unwrap());
        if self.room != room {
            self.room = room.to_owned();
            self.placements.push(Placement { room: room_tag(room), learned_at: now });
        }
        for slot in data["slots"].as_array().unwrap() {
            let kind = serde_json::from_value(slot["kind"].clone()).unwrap();
            let client: Option<ClientId> = serde_json::from_value(slot["clientId"].clone()).unwrap();
            let ssrc = u32::try_from(slot["ssrc"].as_u64().unwrap()).unwrap();
            let claim = Claim {
                from_seq: slot["from_seq"].as_u64().unwrap(),
                room: room.to_owned(),
                publisher: client.map(|client| (client, kind)),
            };
            self.claims.entry(ssrc).or_default().push(claim);
        }
    }

    /// Takes a packet whose `seq` is only the 16 bits of its header.
    pub(crate) fn note_packet(&mut self, mut packet: Packet) {
        packet.seq = self.extend(packet.ssrc, packet.seq);
        if let Some(mark) = packet.mark {
            *self.heard.entry((mark.publisher, mark.kind, mark.room)).or_default() += 1;
        }
        self.packets.push(packet);
    }

    /// The extended sequence number (RFC 3550 appendix A.1). Streams start in the first cycle.
    fn extend(&mut self, ssrc: u32, seq: u64) -> u64 {
        let highest = self.highest.entry(ssrc).or_insert(seq);
        let cycle = *highest & !0xffff;
        let candidates = [cycle.checked_sub(0x1_0000), Some(cycle), Some(cycle + 0x1_0000)];
        let near = candidates.into_iter().flatten().map(|cycle| cycle + seq);
        let extended = near.min_by_key(|candidate| candidate.abs_diff(*highest)).unwrap();
        *highest = extended.max(*highest);
        extended
    }

    /// The claim that covers a packet: the last one whose `from_seq` is not after it.
    pub(crate) fn claim_of(&self, packet: &Packet) -> Option<&Claim> {
        self.claims.get(&packet.ssrc)?.iter().rev().find(|claim| claim.from_seq <= packet.seq)
    }

    /// The first packet of what a slot carries from `from_seq` on, in sequence order.
    pub(crate) fn first_packet(&self, ssrc: u32, from_seq: u64) -> Option<&Packet> {
        let covered = self.packets.iter().filter(|packet| packet.ssrc == ssrc && packet.seq >= from_seq);
        covered.min_by_key(|packet| packet.seq)
    }
}
