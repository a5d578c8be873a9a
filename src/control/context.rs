//! What all sessions of a node share: time, ids, signalling links, and the queue of outputs.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::deadline::ANSWER_WAIT;
use super::settings::ControlSettings;
use crate::base::{BatchId, ClientId, GroupId, LinkId, ParticipantId, Random, Time, WorkerId};
use crate::message::{Claims, CloseReason, ControlOutput, Frame, Intake, MediaCommand};

/// One session of this node. Never reused while the node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SessionId(pub(super) u64);

/// A seat of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeatRef {
    pub(super) session: SessionId,
    pub(super) client: ClientId,
}

/// How long reports can still name a participant who has left: longer than any worker may be silent.
const REMEMBER_DEPARTED: Duration = Duration::from_secs(5);

/// Outputs for which room is kept once they are fetched. When a meeting of thousands begins there are
/// tens of thousands at a time, and never again.
const OUTPUTS_KEPT: usize = 1_024;

/// One signalling connection.
pub(super) struct Link {
    pub(super) claims: Claims,
    /// The seat that it speaks for.
    pub(super) seat: Option<SeatRef>,
    /// The session and id of the `joinRoom` that waits for its answer.
    pub(super) joining: Option<(SessionId, String)>,
    /// Requests that have not been answered yet.
    unanswered: usize,
    /// It is closed as soon as all are.
    closing: Option<CloseReason>,
}

impl Link {
    /// Whether it only waits for its last acks.
    pub(super) const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }
}

pub(super) struct Context {
    pub(super) now: Time,
    pub(super) settings: ControlSettings,
    pub(super) random: Random,
    /// Bounded by what a few inputs fan out to: the driver drains it before the next request.
    outputs: VecDeque<ControlOutput>,
    links: BTreeMap<LinkId, Link>,
    /// Whose media a participant's is; bounded by the seats.
    pub(super) participants: BTreeMap<ParticipantId, SeatRef>,
    /// Whose media a participant's was who left lately, oldest first; bounded by the seats that were
    /// left in that time.
    departed: VecDeque<(Time, ParticipantId, SeatRef)>,
    /// Which session a group belongs to; bounded by the rooms.
    pub(super) groups: BTreeMap<GroupId, SessionId>,
    /// Which session waits for a batch; bounded by the seats.
    pub(super) batches: BTreeMap<BatchId, SessionId>,
    /// Whether people who have no seat may take one.
    pub(super) intake: Intake,
    /// Workers that have not reported in time.
    pub(super) silent: Vec<WorkerId>,
    /// When each worker reported last.
    heard: BTreeMap<WorkerId, Time>,
    /// Rooms and seats by worker.
    pub(super) load: Vec<usize>,
    /// Whether anything is saved of what happens here.
    pub(super) saves: bool,
    last_id: u64,
}

impl Context {
    pub(super) fn new(settings: ControlSettings, workers: u16, random: Random) -> Self {
        Self {
            now: Time::default(),
            settings,
            random,
            outputs: VecDeque::new(),
            links: BTreeMap::new(),
            participants: BTreeMap::new(),
            departed: VecDeque::new(),
            groups: BTreeMap::new(),
            batches: BTreeMap::new(),
            intake: Intake::Open,
            silent: Vec::new(),
            heard: BTreeMap::new(),
            load: vec![0; usize::from(workers.max(1))],
            saves: false,
            last_id: 0,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// No id up to this one is given any more.
    pub(super) fn skip_ids(&mut self, last: u64) {
        self.last_id = self.last_id.max(last);
    }

    pub(super) fn next_session(&mut self) -> SessionId {
        SessionId(self.next_id())
    }

    pub(super) fn next_participant(&mut self, seat: SeatRef) -> ParticipantId {
        let participant = ParticipantId(self.next_id());
        self.participants.insert(participant, seat);
        participant
    }

    /// Forgets a participant who has left, but for what its worker reported before it knew.
    pub(super) fn depart(&mut self, participant: ParticipantId) {
        let Some(seat) = self.participants.remove(&participant) else { return };
        while self.departed.front().is_some_and(|(at, ..)| self.now.since(*at) > REMEMBER_DEPARTED) {
            self.departed.pop_front();
        }
        self.departed.push_back((self.now, participant, seat));
    }

    /// Whose a published stream is, or was: packets of somebody who has left were theirs all the same.
    pub(super) fn publisher(&self, participant: ParticipantId) -> Option<SeatRef> {
        let present = self.participants.get(&participant);
        let departed = || self.departed.iter().rev().find(|(_, id, _)| *id == participant);
        present.or_else(|| departed().map(|(_, _, seat)| seat)).copied()
    }

    pub(super) fn next_group(&mut self, session: SessionId) -> GroupId {
        let group = GroupId(self.next_id());
        self.groups.insert(group, session);
        group
    }

    pub(super) fn next_batch(&mut self, session: SessionId) -> BatchId {
        let batch = BatchId(self.next_id());
        self.batches.insert(batch, session);
        batch
    }

    pub(super) fn next_operation(&mut self) -> u64 {
        self.next_id()
    }

    /// The worker with the fewest rooms and seats.
    pub(super) fn idlest_worker(&self) -> WorkerId {
        self.idlest_worker_but(|_| false).unwrap_or_default()
    }

    /// The same among those that are not excluded; nothing if all are.
    pub(super) fn idlest_worker_but(&self, excluded: impl Fn(WorkerId) -> bool) -> Option<WorkerId> {
        let workers = self.load.iter().zip(0..).map(|(load, index)| (WorkerId(index), *load));
        let idlest = workers.filter(|(worker, _)| !excluded(*worker)).min_by_key(|(_, load)| *load);
        idlest.map(|(worker, _)| worker)
    }

    /// A worker has reported something.
    pub(super) fn hear(&mut self, worker: WorkerId) {
        self.heard.insert(worker, self.now);
    }

    /// No worker could have reported in this time.
    pub(super) fn excuse_workers(&mut self, pause: Duration) {
        for heard in self.heard.values_mut() {
            *heard = *heard + pause;
        }
    }

    /// An offer was not answered: its worker is silent if nothing else came from it meanwhile, and only
    /// busy if something did.
    pub(super) fn doubt(&mut self, worker: WorkerId) {
        let heard = self.heard.get(&worker);
        if heard.is_none_or(|heard| self.now.since(*heard) >= ANSWER_WAIT) {
            self.silent.push(worker);
        }
    }

    pub(super) fn load_more(&mut self, worker: WorkerId) {
        if let Some(load) = self.load.get_mut(usize::from(worker.0)) {
            *load += 1;
        }
    }

    pub(super) fn load_less(&mut self, worker: WorkerId) {
        if let Some(load) = self.load.get_mut(usize::from(worker.0)) {
            *load = load.saturating_sub(1);
        }
    }

    pub(super) fn emit(&mut self, output: ControlOutput) {
        self.outputs.push_back(output);
    }

    pub(super) fn poll_output(&mut self) -> Option<ControlOutput> {
        let output = self.outputs.pop_front();
        if output.is_none() && self.outputs.capacity() > OUTPUTS_KEPT {
            self.outputs = VecDeque::new();
        }
        output
    }

    pub(super) fn media(&mut self, worker: WorkerId, command: MediaCommand) {
        self.emit(ControlOutput::Media { worker, command });
    }

    pub(super) fn open_link(&mut self, link: LinkId, claims: Claims) {
        let fresh = Link { claims, seat: None, joining: None, unanswered: 0, closing: None };
        self.links.insert(link, fresh);
    }

    pub(super) fn link(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    pub(super) fn link_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        self.links.get_mut(&link)
    }

    pub(super) fn forget_link(&mut self, link: LinkId) -> Option<Link> {
        self.links.remove(&link)
    }

    /// Counts a request that is owed an ack.
    pub(super) fn owe(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.unanswered += 1;
        }
    }

    /// Counts an ack that was sent, or a repeat that gets none of its own.
    pub(super) fn paid(&mut self, link: LinkId) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.unanswered = known.unanswered.saturating_sub(1);
        if known.unanswered == 0
            && let Some(reason) = known.closing
        {
            self.replace_link(link, reason);
        }
    }

    pub(super) fn send(&mut self, link: LinkId, frame: Frame) {
        self.emit(ControlOutput::Frame { link, frame });
    }

    pub(super) fn ack(&mut self, link: LinkId, ack: Frame) {
        if self.links.contains_key(&link) {
            self.send(link, ack);
            self.paid(link);
        }
    }

    /// Closes a link once every request on it has been answered.
    pub(super) fn close_link(&mut self, link: LinkId, reason: CloseReason) {
        let Some(known) = self.links.get_mut(&link) else { return };
        known.seat = None;
        if known.unanswered == 0 {
            self.replace_link(link, reason);
        } else {
            known.closing = Some(reason);
        }
    }

    /// Closes a link at once; what it still waits for goes to the link that took its place.
    pub(super) fn replace_link(&mut self, link: LinkId, reason: CloseReason) {
        if self.links.remove(&link).is_some() {
            self.emit(ControlOutput::CloseLink { link, reason });
        }
    }
}
