//! A media worker without media: applies commands in order and keeps who is where.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anteroom::base::{Epoch, GroupId, Kind, KindSet, Mid, ParticipantId, Ssrc};
use anteroom::message::{
    Answer, GroupSettings, LossReason, MediaCommand, MediaReport, Moved, Placement, SlotBinding, SlotLine,
    SrtpProfile, Talker,
};

use super::step::{Dtls, Offer};

/// One participant as this worker knows it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The placement that was applied last.
    pub placement: Placement,
    /// The placement that came with the connection.
    pub connection: Epoch,
    /// Whether DTLS is done.
    pub up: bool,
    /// Whether the connection was lost.
    pub lost: bool,
}

/// The worker.
#[derive(Debug, Default)]
pub struct FakeWorker {
    /// Its groups.
    pub groups: BTreeMap<GroupId, GroupSettings>,
    /// Its participants: each has one placement, so each is in at most one group.
    pub members: BTreeMap<ParticipantId, Member>,
    /// The highest epoch that was ever seen of a participant, crashes included.
    epochs: BTreeMap<ParticipantId, Epoch>,
    inbox: VecDeque<MediaCommand>,
    outbox: VecDeque<MediaReport>,
}

impl FakeWorker {
    /// Takes a command; it is applied later.
    pub fn push(&mut self, command: MediaCommand) {
        self.inbox.push_back(command);
    }

    /// Whether there is nothing to apply and nothing to report.
    pub fn is_idle(&self) -> bool {
        self.inbox.is_empty() && self.outbox.is_empty()
    }

    /// Forgets everything, as a new process would; epochs still have to grow.
    pub fn crash(&mut self) {
        let epochs = std::mem::take(&mut self.epochs);
        *self = Self { epochs, ..Self::default() };
    }

    /// The kinds of `participant` that leave this worker now.
    pub fn flows(&self, participant: ParticipantId) -> Option<KindSet> {
        let placement = self.members.get(&participant)?.placement;
        let blocked = self.groups.get(&placement.group)?.blocked;
        Some(placement.publish.minus(blocked))
    }

    /// Applies the next command. An error is a command that no worker should be given.
    pub fn apply(&mut self) -> Result<bool, String> {
        let Some(command) = self.inbox.pop_front() else { return Ok(false) };
        match command {
            MediaCommand::Landed { participant, epoch } => {
                if let Some(member) = self.members.get(&participant)
                    && member.placement.epoch < epoch
                {
                    return Err(format!("{participant} landed in {epoch} before {member:?} was moved"));
                }
            }
            MediaCommand::SetGroup(settings) => {
                if !(1..=16).contains(&settings.max_active_talkers) {
                    return Err(format!("talkers out of range: {settings:?}"));
                }
                self.groups.insert(settings.group, settings);
            }
            MediaCommand::EndGroup(group) => {
                // Whoever is still in it is in no group now.
                self.groups.remove(&group);
            }
            MediaCommand::Connect(connect) => self.connect(&connect.offer, connect.placement)?,
            MediaCommand::RestartIce { participant, number, offer } => {
                let result = if self.members.contains_key(&participant) && offer != "refused" {
                    Ok("answer".to_owned())
                } else {
                    Err(anteroom::message::SdpRefusal { reason: "no".to_owned() })
                };
                self.outbox.push_back(MediaReport::IceRestarted { participant, number, result });
            }
            MediaCommand::Move { batch, placements } => {
                let (mut moved, mut unknown) = (Vec::new(), Vec::new());
                let mut seen = BTreeSet::new();
                for placement in placements {
                    if !seen.insert(placement.participant) {
                        return Err(format!("{} twice in one batch", placement.participant));
                    }
                    self.check_placement(placement)?;
                    let Some(member) = self.members.get_mut(&placement.participant) else {
                        unknown.push(placement.participant);
                        continue;
                    };
                    member.placement = placement;
                    moved.push(Moved {
                        participant: placement.participant,
                        epoch: placement.epoch,
                        slots: slots(None),
                    });
                }
                self.outbox.push_back(MediaReport::Moved { batch, moved, unknown });
            }
            MediaCommand::Mirror { .. } | MediaCommand::Revoke { .. } => {
                return Err("a node with one worker has nobody to mirror".to_owned());
            }
            MediaCommand::SetPublish { participant, epoch, publish } => {
                if let Some(member) = self.members.get_mut(&participant)
                    && member.placement.epoch == epoch
                {
                    member.placement.publish = publish;
                }
            }
            MediaCommand::Disconnect(participant) => {
                self.members.remove(&participant);
            }
        }
        Ok(true)
    }

    fn connect(&mut self, offer: &str, placement: Placement) -> Result<(), String> {
        self.check_placement(placement)?;
        let (participant, epoch) = (placement.participant, placement.epoch);
        let Some(offer) = read_offer(offer) else { return Err(format!("a strange offer: {offer}")) };
        let Offer::Good(dtls) = offer else {
            let refusal = anteroom::message::SdpRefusal { reason: "not an offer".to_owned() };
            self.outbox.push_back(MediaReport::Answered { participant, epoch, result: Err(refusal) });
            return Ok(());
        };
        self.members.insert(participant, Member { placement, connection: epoch, up: false, lost: false });
        let answer = Answer {
            sdp: "answer".to_owned(),
            slots: vec![SlotLine { mid: Mid::from("3"), video: false, ssrc: Ssrc(3) }],
        };
        self.outbox.push_back(MediaReport::Answered { participant, epoch, result: Ok(answer) });
        if dtls == Dtls::AtOnce {
            self.finish_dtls(participant);
        }
        Ok(())
    }

    fn check_placement(&mut self, placement: Placement) -> Result<(), String> {
        let (participant, epoch) = (placement.participant, placement.epoch);
        if !self.groups.contains_key(&placement.group) {
            return Err(format!("{placement:?} names a group that this worker was not told of"));
        }
        match self.epochs.insert(participant, epoch) {
            Some(before) if before >= epoch => Err(format!("epoch {epoch} of {participant} after {before}")),
            _ => Ok(()),
        }
    }

    /// DTLS of this participant's connection is done.
    pub fn finish_dtls(&mut self, participant: ParticipantId) {
        if let Some(member) = self.members.get_mut(&participant)
            && !member.up
            && !member.lost
        {
            member.up = true;
            self.outbox.push_back(MediaReport::TransportUp {
                participant,
                epoch: member.connection,
                srtp: SrtpProfile::AeadAes128Gcm,
            });
        }
    }

    /// This participant's connection is lost.
    pub fn lose(&mut self, participant: ParticipantId) {
        if let Some(member) = self.members.get_mut(&participant)
            && !member.lost
        {
            member.lost = true;
            self.outbox.push_back(MediaReport::TransportLost {
                participant,
                epoch: member.connection,
                reason: if member.up { LossReason::Consent } else { LossReason::Handshake },
            });
        }
    }

    /// Says unasked who talks, and that the slots of everybody have changed.
    pub fn chatter(&mut self) {
        for (participant, member) in &self.members {
            let group = member.placement.group;
            let other = self.members.iter().find(|(id, m)| *id != participant && m.placement.group == group);
            self.outbox.push_back(MediaReport::Slots {
                participant: *participant,
                epoch: member.placement.epoch,
                group,
                slots: slots(other.map(|(id, _)| *id)),
            });
            let talkers = vec![Talker { participant: *participant, level: 20 }];
            self.outbox.push_back(MediaReport::Talkers { group, talkers });
        }
    }

    /// The next report; with `overtake`, one from behind that is about other people than those
    /// before it.
    pub fn report(&mut self, overtake: bool) -> Option<MediaReport> {
        let mut before = BTreeSet::new();
        let mut chosen = 0;
        for (at, report) in self.outbox.iter().enumerate().filter(|_| overtake) {
            let people = concerns(report);
            if people.is_disjoint(&before) {
                chosen = at;
            }
            before.extend(people);
        }
        self.outbox.remove(chosen)
    }
}

/// An offer as the fake worker reads it.
pub fn write_offer(offer: Offer) -> &'static str {
    match offer {
        Offer::Good(Dtls::AtOnce) => "good",
        Offer::Good(Dtls::Later) => "good, late",
        Offer::Refused => "refused",
    }
}

fn read_offer(text: &str) -> Option<Offer> {
    [Offer::Good(Dtls::AtOnce), Offer::Good(Dtls::Later), Offer::Refused]
        .into_iter()
        .find(|offer| write_offer(*offer) == text)
}

fn slots(publisher: Option<ParticipantId>) -> Vec<SlotBinding> {
    vec![SlotBinding {
        mid: Mid::from("3"),
        video: false,
        ssrc: Ssrc(3),
        publisher: publisher.map(|id| (id, Kind::Audio)),
        from_seq: 70_000,
        reason: None,
    }]
}

fn concerns(report: &MediaReport) -> BTreeSet<ParticipantId> {
    match report {
        MediaReport::Answered { participant, .. }
        | MediaReport::IceRestarted { participant, .. }
        | MediaReport::TransportUp { participant, .. }
        | MediaReport::TransportLost { participant, .. }
        | MediaReport::Slots { participant, .. } => BTreeSet::from([*participant]),
        MediaReport::Moved { moved, unknown, .. } => {
            moved.iter().map(|m| m.participant).chain(unknown.iter().copied()).collect()
        }
        MediaReport::Revoked { .. } => BTreeSet::new(),
        MediaReport::Talkers { talkers, .. } => talkers.iter().map(|t| t.participant).collect(),
    }
}
