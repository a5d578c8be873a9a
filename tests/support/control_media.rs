//! The media workers of the control stories: what they are told, and what they report.

use anteroom::base::{BatchId, Mid, Ssrc, WorkerId};
use anteroom::message::{
    Answer, ControlInput, MediaCommand, MediaReport, Moved, Placement, SdpRefusal, SlotBinding, SlotLine,
    SrtpProfile,
};

use super::{BAD_OFFER, Known, Step, World};

impl World {
    /// A worker does the oldest step that waits for it; answers whether there was one.
    pub(crate) fn step(&mut self, worker: WorkerId) -> bool {
        let Some(at) = self.steps.iter().position(|(of, _)| *of == worker) else { return false };
        let (_, step) = self.steps.remove(at);
        self.do_step(worker, step);
        true
    }

    fn do_step(&mut self, worker: WorkerId, step: Step) {
        match step {
            Step::Revoke(batch, participants) => {
                for (participant, epoch) in participants {
                    let known = self.known.get(&participant).map(|known| known.placement.epoch);
                    assert!(known.is_none_or(|known| known <= epoch), "epochs only grow");
                }
                self.report_from(worker, MediaReport::Revoked { batch });
            }
            Step::Move(batch, placements) => self.apply_on(worker, batch, &placements),
        }
    }

    /// A worker crashes; an empty one takes its place.
    pub(crate) fn crash_of(&mut self, worker: WorkerId) {
        self.forget(worker);
        self.input(ControlInput::WorkerLost { worker });
    }

    pub(super) fn forget(&mut self, worker: WorkerId) {
        let homes = &self.homes;
        self.known.retain(|participant, _| homes[participant] != worker);
        self.mirrors.retain(|(of, _), _| *of != worker);
        self.steps.retain(|(of, _)| *of != worker);
    }

    pub(super) fn command(&mut self, worker: WorkerId, command: MediaCommand) {
        match command {
            MediaCommand::SetGroup(settings) => {
                self.groups.insert(settings.group, settings);
            }
            MediaCommand::EndGroup(group) => {
                let left = self.known.values().any(|known| known.placement.group == group);
                assert!(!left, "a group ends with somebody in it");
                self.groups.remove(&group);
            }
            MediaCommand::Connect(connect) => {
                let before = self.homes.insert(connect.placement.participant, worker);
                assert!(before.is_none_or(|before| before == worker), "a seat stays on its worker");
                self.answer_offer(&connect.offer, connect.placement);
            }
            MediaCommand::Mirror { placement, home } => {
                assert!(home != worker && self.homes[&placement.participant] == home);
                self.mirrors.insert((worker, placement.participant), placement);
            }
            MediaCommand::Revoke { batch, participants } => {
                let step = Step::Revoke(batch, participants);
                if self.manners.moves {
                    self.do_step(worker, step);
                } else {
                    self.steps.push((worker, step));
                }
            }
            MediaCommand::Move { batch, placements } if self.is_wide() => {
                let step = Step::Move(batch, placements);
                if self.manners.moves {
                    self.do_step(worker, step);
                } else {
                    self.steps.push((worker, step));
                }
            }
            MediaCommand::RestartIce { participant, number, offer } => {
                self.restarts.push((participant, number));
                if self.manners.answers {
                    let refused = SdpRefusal { reason: "no ufrag".to_owned() };
                    let result = if offer == BAD_OFFER { Err(refused) } else { Ok("answer".to_owned()) };
                    self.report(MediaReport::IceRestarted { participant, number, result });
                }
            }
            MediaCommand::Move { batch, placements } => {
                if self.manners.moves {
                    self.apply(batch, &placements);
                } else {
                    self.waiting.push_back((batch, placements));
                }
            }
            MediaCommand::Landed { participant, epoch } => self.landed.push((participant, epoch)),
            MediaCommand::SetPublish { participant, epoch, publish } => {
                if let Some(known) = self.known.get_mut(&participant)
                    && known.placement.epoch == epoch
                {
                    known.placement.publish = publish;
                }
            }
            MediaCommand::Disconnect(participant) if self.homes.get(&participant) == Some(&worker) => {
                self.known.remove(&participant);
            }
            MediaCommand::Disconnect(participant) => {
                self.mirrors.remove(&(worker, participant));
            }
        }
    }

    /// The worker answers the oldest offer that waits.
    pub(crate) fn answer_now(&mut self) {
        let (offer, placement) = self.unanswered.pop_front().unwrap();
        self.manners.answers = true;
        self.answer_offer(&offer, placement);
    }

    fn answer_offer(&mut self, offer: &str, placement: Placement) {
        let (participant, epoch) = (placement.participant, placement.epoch);
        if !self.manners.answers {
            self.unanswered.push_back((offer.to_owned(), placement));
            return;
        }
        if offer == BAD_OFFER {
            let refusal = SdpRefusal { reason: "the offer has no fingerprint".to_owned() };
            self.report(MediaReport::Answered { participant, epoch, result: Err(refusal) });
            return;
        }
        self.place(placement);
        if let Some(known) = self.known.get_mut(&participant) {
            known.connection = epoch;
        }
        let slots = vec![
            SlotLine { mid: Mid::from("1"), video: false, ssrc: Ssrc(1) },
            SlotLine { mid: Mid::from("2"), video: true, ssrc: Ssrc(2) },
        ];
        let answer = Answer { sdp: "answer".to_owned(), slots };
        self.report(MediaReport::Answered { participant, epoch, result: Ok(answer) });
        if self.manners.connects {
            let srtp = SrtpProfile::AeadAes128Gcm;
            self.report(MediaReport::TransportUp { participant, epoch, srtp });
        }
    }

    fn place(&mut self, placement: Placement) {
        assert!(self.groups.contains_key(&placement.group), "the worker knows the group");
        let fresh = Known { placement, connection: placement.epoch };
        let known = self.known.entry(placement.participant).or_insert(fresh);
        assert!(placement.epoch >= known.placement.epoch, "epochs only grow");
        known.placement = placement;
    }

    fn is_wide(&self) -> bool {
        self.homes.values().any(|home| home.0 > 0)
    }

    pub(super) fn apply(&mut self, batch: BatchId, placements: &[Placement]) {
        self.apply_on(WorkerId(0), batch, placements);
    }

    /// Places the own participants and the mirrored ones anew, and reports the own.
    fn apply_on(&mut self, worker: WorkerId, batch: BatchId, placements: &[Placement]) {
        let (mut moved, mut unknown) = (Vec::new(), Vec::new());
        for placement in placements {
            if let Some(mirror) = self.mirrors.get_mut(&(worker, placement.participant)) {
                *mirror = *placement;
                continue;
            }
            let is_own = self.homes.get(&placement.participant) == Some(&worker);
            if !is_own || !self.known.contains_key(&placement.participant) {
                unknown.push(placement.participant);
                continue;
            }
            self.place(*placement);
            let slots = vec![SlotBinding {
                mid: Mid::from("1"),
                video: false,
                ssrc: Ssrc(1),
                publisher: None,
                from_seq: 100,
                reason: None,
            }];
            moved.push(Moved { participant: placement.participant, epoch: placement.epoch, slots });
        }
        self.report_from(worker, MediaReport::Moved { batch, moved, unknown });
    }
}
