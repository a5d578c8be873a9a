//! A control plane with people in one room, and a media worker that answers at once.

#![allow(dead_code, reason = "no bench uses all of it")]

use std::time::Duration;

use anteroom::base::{LinkId, Mid, Random, Ssrc, Time, WorkerId};
use anteroom::control::{Control, ControlSettings};
use anteroom::message::{
    Answer, Claims, ControlInput, ControlOutput, Frame, MediaCommand, MediaReport, Method, Moved, Placement,
    Request, Role, RoomSettings, SlotBinding, SlotLine, SrtpProfile,
};

const ROOM: &str = "standup";

/// Who runs the meeting.
const MODERATOR: LinkId = LinkId(1);

/// Ten rooms of fifteen, the most there can be; the same people in the same rooms each time.
const DEAL: &str = r#"{"participants": 15, "max_rooms": 10, "audio": true, "video": false, "canvas": true,
    "share": true, "force_join": true, "seed": 1}"#;

/// The most people that [`Meeting::deal`] can move.
const MOST_DEALT: usize = 150;

/// What a client sends is not looked at: the worker here takes any offer.
const OFFER: &str = r#"{"sdp": "offer"}"#;

/// A meeting whose first participant is a moderator.
pub(crate) struct Meeting {
    control: Control,
    now: Time,
    people: usize,
    links: u64,
    requests: u64,
    /// Successful acks, moved people and other frames so far.
    acks: usize,
    moved: usize,
    frames: usize,
}

impl Meeting {
    /// A meeting of many people who are all connected.
    pub(crate) fn new(people: usize) -> Self {
        let room =
            RoomSettings { max_active_talkers: 16, max_participants: 5_000, ..RoomSettings::default() };
        let settings = ControlSettings { room, ..ControlSettings::default() };
        let mut meeting = Self {
            control: Control::new(settings, 1, Random::from_number(1)),
            now: Time::from_unix_seconds(1_800_000_000),
            people: 0,
            links: 0,
            requests: 0,
            acks: 0,
            moved: 0,
            frames: 0,
        };
        for at in 0..people {
            meeting.join(if at == 0 { Role::Moderator } else { Role::Participant });
        }
        meeting
    }

    /// Somebody opens a connection and takes a seat.
    pub(crate) fn join(&mut self, role: Role) {
        self.links += 1;
        let link = LinkId(self.links);
        let expires_at = self.now + Duration::from_secs(86_400);
        let name = "Somebody".to_owned();
        let claims = Claims { room: ROOM.to_owned(), name, role, expires_at, lapsed: false };
        self.input(ControlInput::LinkOpened { link, claims });
        self.ask(link, Method::JoinRoom, OFFER);
        self.people += 1;
    }

    /// Whoever came last goes.
    pub(crate) fn leave(&mut self) {
        let link = LinkId(self.links);
        self.ask(link, Method::LeaveRoom, "{}");
        self.input(ControlInput::LinkClosed { link });
        self.people -= 1;
    }

    /// `createAndInviteBreakoutRoom`: makes rooms and moves people into them.
    pub(crate) fn deal(&mut self) {
        let before = self.moved;
        self.ask(MODERATOR, Method::CreateAndInviteBreakoutRoom, DEAL);
        assert_eq!(self.moved - before, self.dealt());
    }

    /// `clearAllBreakOutSession`: brings them back.
    pub(crate) fn clear(&mut self) {
        let before = self.moved;
        self.ask(MODERATOR, Method::ClearAllBreakOutSession, "{}");
        assert_eq!(self.moved - before, self.dealt());
    }

    /// `destroyAllBreakOutSession`: brings them back, if they are not, and ends the rooms.
    pub(crate) fn destroy(&mut self) {
        self.ask(MODERATOR, Method::DestroyAllBreakOutSession, "{}");
    }

    fn dealt(&self) -> usize {
        MOST_DEALT.min(self.people - 1)
    }

    /// Sends a request, which has to succeed.
    fn ask(&mut self, link: LinkId, method: Method, params: &str) {
        self.requests += 1;
        self.now = self.now + Duration::from_secs(1);
        let request = Request::new(format!("r{}", self.requests), method.name(), params.parse().unwrap());
        let before = self.acks;
        self.input(ControlInput::Request { link, request });
        assert_eq!(self.acks - before, 1, "{} succeeds", method.name());
    }

    fn input(&mut self, input: ControlInput) {
        self.control.handle(self.now, input);
        while let Some(output) = self.control.poll_output() {
            match output {
                ControlOutput::Frame { frame: Frame::Ack { data, .. }, .. } if data["result"] == 0 => {
                    self.acks += 1;
                }
                ControlOutput::Media { command, .. } => self.command(command),
                _ => self.frames += 1,
            }
        }
    }

    fn command(&mut self, command: MediaCommand) {
        match command {
            MediaCommand::Connect(connect) => self.connect(connect.placement),
            MediaCommand::Move { batch, placements } => {
                self.moved += placements.len();
                let moved = placements
                    .iter()
                    .map(|placement| Moved {
                        participant: placement.participant,
                        epoch: placement.epoch,
                        slots: bindings(),
                    })
                    .collect();
                self.report(MediaReport::Moved { batch, moved, unknown: Vec::new() });
            }
            _ => {}
        }
    }

    fn connect(&mut self, placement: Placement) {
        let (participant, epoch) = (placement.participant, placement.epoch);
        let slots =
            bindings().into_iter().map(|slot| SlotLine { mid: slot.mid, video: slot.video, ssrc: slot.ssrc });
        let answer = Answer { sdp: "answer".to_owned(), slots: slots.collect() };
        self.report(MediaReport::Answered { participant, epoch, result: Ok(answer) });
        let srtp = SrtpProfile::AeadAes128Gcm;
        self.report(MediaReport::TransportUp { participant, epoch, srtp });
    }

    fn report(&mut self, report: MediaReport) {
        self.control.handle(self.now, ControlInput::Media { worker: WorkerId(0), report });
    }
}

/// Six slots for sound and three for pictures.
fn bindings() -> Vec<SlotBinding> {
    let slot = |at: u32| SlotBinding {
        mid: Mid::from(at.to_string().as_str()),
        video: at > 6,
        ssrc: Ssrc(at),
        publisher: None,
        from_seq: 100,
        reason: None,
    };
    (1..=9).map(slot).collect()
}
