//! What a hostile participant, or one beside it, has heard.

use std::collections::{BTreeMap, BTreeSet};

use anteroom::base::{ClientId, Kind, Ssrc};
use anteroom::client::Mark;
use anteroom::wire::demux::{DatagramKind, classify};
use anteroom::wire::rtcp::{RtcpPacket, packets};
use anteroom::wire::rtp::RtpView;

/// The packets of one publisher's kind, by the counters in their marks.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) counters: BTreeSet<u64>,
    /// Packets that came twice.
    pub(crate) twice: u64,
    /// The rooms that their marks name.
    pub(crate) rooms: BTreeSet<u64>,
    /// The slots that they came in.
    pub(crate) slots: BTreeSet<Ssrc>,
}

impl Heard {
    pub(crate) fn count(&self) -> u64 {
        self.counters.len() as u64
    }

    /// Packets between the first and the last that did not come.
    pub(crate) fn lost(&self) -> u64 {
        match (self.counters.first(), self.counters.last()) {
            (Some(first), Some(last)) => last - first + 1 - self.count(),
            _ => 0,
        }
    }

    /// At most one packet in a thousand was lost, and none came twice.
    pub(crate) fn assert_whole(&self, least: u64) {
        self.assert_whole_but(least, 0);
    }

    /// .. apart from so many that may be missing.
    pub(crate) fn assert_whole_but(&self, least: u64, granted: u64) {
        let count = self.count();
        let lost = self.lost().saturating_sub(granted);
        assert!(count + granted >= least, "{count} packets came, {least} should have, but {granted}");
        assert!(lost * 1000 <= count, "lost {lost} of {count} besides {granted}");
        assert_eq!(self.twice, 0, "of {count}");
    }
}

#[derive(Debug, Default)]
pub(crate) struct Ear {
    /// What was heard by publisher and kind.
    pub(crate) heard: BTreeMap<(ClientId, Kind), Heard>,
    /// Packets without a mark, by their slot.
    pub(crate) unmarked: BTreeMap<Ssrc, u64>,
    /// The last number that came in each slot.
    pub(crate) newest: BTreeMap<Ssrc, u16>,
    /// Retransmissions: by their source, original numbers and how often they came, and rooms.
    pub(crate) repairs: BTreeMap<(Ssrc, u16), u64>,
    pub(crate) repaired_rooms: BTreeSet<u64>,
    /// Bytes of media, and of retransmissions.
    pub(crate) media_bytes: u64,
    pub(crate) repair_bytes: u64,
    /// Datagrams by kind.
    pub(crate) datagrams: BTreeMap<&'static str, u64>,
    /// Keyframes that it was asked for.
    pub(crate) keyframe_requests: u64,
    /// Where retransmissions come from.
    pub(crate) repair_sources: BTreeSet<Ssrc>,
}

impl Ear {
    pub(crate) fn of(&self, publisher: ClientId, kind: Kind) -> &Heard {
        self.heard.get(&(publisher, kind)).unwrap_or_else(|| panic!("nothing of {publisher:?}, {kind:?}"))
    }

    pub(crate) fn repair_count(&self) -> u64 {
        self.repairs.values().sum()
    }

    pub(crate) fn count_of(&self, kind: &str) -> u64 {
        self.datagrams.get(kind).copied().unwrap_or(0)
    }

    /// Notes a datagram as it came.
    pub(crate) fn datagram(&mut self, sealed: &[u8]) {
        *self.datagrams.entry(name(sealed)).or_default() += 1;
    }

    /// Takes a packet that was opened.
    pub(crate) fn rtp(&mut self, plain: &[u8]) {
        let Ok(view) = RtpView::parse(plain) else { return };
        let mark = Mark::find(view.payload()).map(|(_, mark)| mark);
        let bytes = plain.len() as u64;
        if self.repair_sources.contains(&view.ssrc()) {
            self.repair_bytes += bytes;
            if let Some(original) = view.payload().first_chunk::<2>() {
                *self.repairs.entry((view.ssrc(), u16::from_be_bytes(*original))).or_default() += 1;
            }
            self.repaired_rooms.extend(mark.map(|mark| mark.room));
            return;
        }
        self.media_bytes += bytes;
        self.newest.insert(view.ssrc(), view.sequence());
        let Some(mark) = mark else {
            *self.unmarked.entry(view.ssrc()).or_default() += 1;
            return;
        };
        let heard = self.heard.entry((mark.publisher, mark.kind)).or_default();
        heard.twice += u64::from(!heard.counters.insert(mark.counter));
        heard.rooms.insert(mark.room);
        heard.slots.insert(view.ssrc());
    }

    /// Takes a compound packet that was opened.
    pub(crate) fn rtcp(&mut self, plain: &[u8]) {
        for packet in packets(plain).map_while(Result::ok) {
            match packet {
                RtcpPacket::Pli(_) => self.keyframe_requests += 1,
                RtcpPacket::Fir(fir) => self.keyframe_requests += fir.entries().count() as u64,
                _ => {}
            }
        }
    }
}

pub(crate) fn name(datagram: &[u8]) -> &'static str {
    match classify(datagram) {
        Some(DatagramKind::Stun) => "stun",
        Some(DatagramKind::Dtls) => "dtls",
        Some(DatagramKind::Rtp) => "rtp",
        Some(DatagramKind::Rtcp) => "rtcp",
        None => "none",
    }
}
