//! An interceptor nearest to the wire: it loses packets on purpose and notes what the peer
//! connection keeps to itself, retransmissions and RTCP.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rtc::interceptor::{Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp;
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtcp::receiver_report::ReceiverReport;
use rtc::rtcp::sender_report::SenderReport;
use rtc::rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use tokio::sync::watch;

use crate::memory::{Memory, Wire};

/// Before every interceptor of the crate.
pub(crate) const NEAREST_TO_THE_WIRE: usize = 500;

pub(crate) struct Tap {
    memory: watch::Sender<Memory>,
    /// The streams that repeat others, and whose packets they repeat.
    retransmissions: BTreeMap<u32, u32>,
    incoming: VecDeque<TaggedPacket>,
    outgoing: VecDeque<TaggedPacket>,
}

impl Tap {
    pub(crate) fn new(memory: watch::Sender<Memory>) -> Self {
        Self {
            memory,
            retransmissions: BTreeMap::new(),
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
        }
    }

    /// Whether the packet goes on.
    fn passes(&self, packet: &Packet) -> bool {
        match packet {
            Packet::Rtp(packet) => {
                let (ssrc, seq) = (packet.header.ssrc, packet.header.sequence_number);
                if let Some(repeated) = self.retransmissions.get(&ssrc) {
                    if let Some((seq, _)) = packet.payload.split_first_chunk::<2>() {
                        let repeated = (*repeated, u16::from_be_bytes(*seq));
                        self.memory.send_modify(|memory| memory.wire.note_repeat(repeated));
                    }
                    return true;
                }
                !self.memory.send_if_modified(|memory| lose(&mut memory.wire, ssrc, seq))
            }
            Packet::Rtcp(packets) => {
                self.memory.send_modify(|memory| note(&mut memory.wire, packets));
                true
            }
            _ => true,
        }
    }
}

fn lose(wire: &mut Wire, ssrc: u32, seq: u16) -> bool {
    let Some(left) = wire.to_lose.get_mut(&ssrc).filter(|left| **left > 0) else { return false };
    // Every third packet, so that what is lost is a hole and not a pause.
    if seq.is_multiple_of(3) {
        *left -= 1;
        wire.lost.insert((ssrc, seq));
        return true;
    }
    false
}

fn note(wire: &mut Wire, packets: &[Box<dyn rtcp::Packet>]) {
    for packet in packets {
        let packet = packet.as_any();
        if let Some(request) = packet.downcast_ref::<PictureLossIndication>() {
            *wire.keyframe_requests.entry(request.media_ssrc).or_default() += 1;
        } else if let Some(request) = packet.downcast_ref::<FullIntraRequest>() {
            for entry in &request.fir {
                *wire.keyframe_requests.entry(entry.ssrc).or_default() += 1;
            }
        } else if packet.is::<TransportLayerCc>() {
            wire.feedback += 1;
        } else if let Some(report) = packet.downcast_ref::<SenderReport>() {
            wire.sender_reports.insert(report.ssrc);
        } else if let Some(report) = packet.downcast_ref::<ReceiverReport>() {
            wire.receiver_reports.extend(report.reports.iter().map(|block| block.ssrc));
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for Tap {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        if self.passes(&packet.message.packet) {
            self.incoming.push_back(packet);
        }
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.incoming.pop_front()
    }

    fn handle_write(&mut self, packet: TaggedPacket) -> Result<(), Error> {
        self.outgoing.push_back(packet);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outgoing.pop_front()
    }

    fn handle_event(&mut self, (): ()) -> Result<(), Error> {
        Ok(())
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) -> Result<(), Error> {
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        None
    }

    fn close(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl Interceptor for Tap {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}

    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        self.retransmissions.extend(info.ssrc_rtx.map(|repeats| (repeats, info.ssrc)));
    }

    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}
