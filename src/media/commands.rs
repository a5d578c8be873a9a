//! What control asks for besides moves.

use super::congestion::Congestion;
use super::feedback::{ClockDistance, RoundTrip};
use super::group::Group;
use super::handshakes::Waiting;
use super::intake::{Intake, Line};
use super::leg::Leg;
use super::outbox::Outbox;
use super::pace::Pace;
use super::participant::Participant;
use super::session::{RepairAllowance, SendBudget, Session};
use super::silence::Silences;
use super::slab::Key;
use super::slot::Slot;
use super::stream::Stream;
use super::worker::Worker;
use crate::base::{Epoch, KindSet, ParticipantId, Ssrc, Time};
use crate::message::{GroupSettings, Placement};
use crate::transport::Negotiated;
use crate::wire::rtcp::Arrivals;

impl Worker {
    /// Makes a group or changes it.
    pub(super) fn set_group(&mut self, now: Time, settings: GroupSettings) {
        let id = settings.group;
        let group = self.groups.entry(id).or_insert_with(|| Group::new(settings));
        group.settings = settings;
        for member in group.members.clone() {
            self.regulate(member);
        }
        self.refresh(now, id);
    }

    /// Changes what a participant may publish in its current placement.
    pub(super) fn set_publish(&mut self, now: Time, id: ParticipantId, epoch: Epoch, publish: KindSet) {
        let Some(key) = self.by_id.get(&id).copied() else { return };
        let Some(participant) = self.participants.get_mut(key) else { return };
        if participant.epoch != epoch {
            return;
        }
        participant.publish = publish;
        let group = participant.group;
        self.regulate(key);
        if let Some(group) = group {
            self.refresh(now, group);
        }
    }

    /// Puts a connection in the place of the participant's old one, and the participant into its
    /// group, as one step.
    pub(super) fn attach(&mut self, now: Time, placement: &Placement, session: Session) -> Key<Participant> {
        let id = placement.participant;
        let key = match self.by_id.get(&id) {
            Some(key) => *key,
            None => {
                let key = self.participants.insert(Participant::new(placement));
                self.by_id.insert(id, key);
                key
            }
        };
        let left = self.revoke(key);
        self.drop_session(now, key);
        if let Some(participant) = self.participants.get_mut(key) {
            participant.session = Some(session);
        }
        self.publish_lines(key);
        self.grant(now, key, placement, false);
        if let Some(left) = left.filter(|left| *left != placement.group) {
            self.refresh(now, left);
        }
        self.refresh(now, placement.group);
        self.statistics.connects += 1;
        key
    }

    /// Makes a stream of each m-line that the participant sends on.
    fn publish_lines(&mut self, key: Key<Participant>) {
        let Some(participant) = self.participants.get_mut(key) else { return };
        let id = participant.id;
        let Some(session) = participant.session.as_mut() else { return };
        for send in &session.negotiated.sends {
            let mut stream = Stream::new(key, id, send.kind, send.codecs.clone());
            stream.count_sources_from(self.random.next_u32());
            let stream = self.streams.insert(stream);
            session.intake.lines.push(Line::new(send, stream));
            participant.streams.push(stream);
        }
    }

    /// A session around a connection. Its slots' SSRCs are new to this worker.
    pub(super) fn new_session(
        &mut self,
        leg: Leg,
        epoch: Epoch,
        negotiated: Negotiated,
        cname: String,
    ) -> Session {
        let slots = negotiated.slots.iter().map(|line| Slot::new(line.clone(), &mut self.random)).collect();
        let feedback_ssrc = self.new_ssrc();
        for slot in &negotiated.slots {
            self.own_ssrcs.insert(slot.ssrc);
            self.own_ssrcs.extend(slot.rtx_ssrc);
        }
        Session {
            leg,
            epoch,
            negotiated,
            ufrags: Vec::new(),
            addresses: Vec::new(),
            is_up: false,
            handshakes: Waiting::default(),
            heard_at: Time(0),
            heard_before: Time(0),
            is_unheard: false,
            silences: Silences::default(),
            budget: SendBudget::new(self.settings.media.publisher_kbps),
            intake: Intake::default(),
            slots,
            outbox: Outbox::default(),
            pace: Pace::default(),
            is_paused: false,
            is_ready: false,
            is_feedback_due: false,
            transport_cc: 0,
            arrivals: Arrivals::default(),
            congestion: Congestion::default(),
            round_trip: RoundTrip::default(),
            clock: ClockDistance::default(),
            allowance: RepairAllowance::default(),
            feedback_ssrc,
            cname,
            reported_at: None,
            session_id: 0,
            answer_version: 1,
        }
    }

    /// An SSRC that this worker does not use yet.
    pub(super) fn new_ssrc(&mut self) -> Ssrc {
        loop {
            let ssrc = Ssrc(self.random.next_u32());
            if ssrc.0 != 0 && self.own_ssrcs.insert(ssrc) {
                return ssrc;
            }
        }
    }

    /// Ends a participant's connection and forgets all that lived with it. Its streams and slots are
    /// bound to nobody any more.
    pub(super) fn drop_session(&mut self, now: Time, key: Key<Participant>) {
        let Some(participant) = self.participants.get_mut(key) else { return };
        let Some(mut session) = participant.session.take() else { return };
        for stream in std::mem::take(&mut participant.streams) {
            self.streams.remove(stream);
        }
        for slot in &session.slots {
            self.own_ssrcs.remove(&slot.line.ssrc);
            if let Some(ssrc) = slot.line.rtx_ssrc {
                self.own_ssrcs.remove(&ssrc);
            }
        }
        self.own_ssrcs.remove(&session.feedback_ssrc);
        for ufrag in &session.ufrags {
            self.demux.remove_ufrag(ufrag, key);
        }
        for address in &session.addresses {
            self.demux.remove_address(*address, key);
        }
        self.deadlines.clear(key);
        self.close_leg(now, &mut session.leg);
    }

    /// Ends a participant's connection and forgets the participant.
    pub(super) fn disconnect(&mut self, now: Time, id: ParticipantId) {
        let Some(key) = self.by_id.remove(&id) else { return };
        let group = self.revoke(key);
        self.drop_session(now, key);
        self.drop_mirror(key);
        self.participants.remove(key);
        if let Some(group) = group {
            self.refresh(now, group);
        }
    }
}
