//! One media worker: its own socket's datagrams in, datagrams out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::demux::Demux;
use super::group::Group;
use super::handover::Handover;
use super::handshakes::Handshakes;
use super::overload::Overload;
use super::participant::Participant;
use super::settings::MediaSettings;
use super::slab::{Key, Slab};
use super::slot::Slot;
use super::statistics::{DropReason, WorkerStatistics};
use super::stream::Stream;
use super::talkers::Candidate;
use super::timers::TICK_SLACK;
use super::wheel::Wheel;
use crate::base::{GroupId, ParticipantId, Random, Ssrc, Time, WorkerId};
use crate::message::{MediaCommand, MediaReport};
use crate::transport::dtls::DtlsIdentity;
use crate::transport::{Path, TimeAnchor};
use crate::wire::demux::{DatagramKind, classify};

/// What one worker is told when it is made.
#[derive(Clone, Debug, Default)]
pub struct WorkerSettings {
    /// The addresses that clients reach this worker's socket at: the candidates of its answers.
    pub advertised: Vec<SocketAddr>,
    /// What the operator set.
    pub media: MediaSettings,
}

/// Why a worker could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// No certificate could be made.
    #[error("the worker's DTLS certificate could not be made: {0}")]
    Identity(String),
}

/// One datagram to send, or a run of datagrams of one size to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub path: Path,
    /// How many bytes of the buffer.
    pub len: usize,
    /// For a run: the size of each datagram; only the last may be shorter.
    pub segment_size: Option<usize>,
}

/// One media worker. How many participants and groups it has is control's to bound.
///
/// ```text
/// handle_command, handle_datagram and handle_handover .. end_batch
///     -> poll_handover until None, poll_transmit until None, poll_report until None
/// poll_timeout -> handle_timeout
/// ```
pub struct Worker {
    pub(super) settings: WorkerSettings,
    pub(super) random: Random,
    pub(super) anchor: TimeAnchor,
    pub(super) identity: DtlsIdentity,
    pub(super) participants: Slab<Participant>,
    pub(super) by_id: BTreeMap<ParticipantId, Key<Participant>>,
    pub(super) streams: Slab<Stream>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) demux: Demux,
    /// SSRCs that we send under, so that none is given twice.
    pub(super) own_ssrcs: BTreeSet<Ssrc>,
    /// Of each command and connection at most a few, of each group who talks now; slots are told of behind
    /// these. The edge fetches them after each turn.
    pub(super) reports: VecDeque<MediaReport>,
    pub(super) statistics: WorkerStatistics,
    /// Listeners with copies, in the order of their first one.
    pub(super) ready: VecDeque<Key<Participant>>,
    /// Listeners whose pictures pause, in the order in which they may go on.
    pub(super) paused: VecDeque<(Time, Key<Participant>)>,
    /// Until then copies are held, so that more leave together; nothing while none wait.
    pub(super) flush_at: Option<Time>,
    /// To whom RTCP is due.
    pub(super) feedback: VecDeque<Key<Participant>>,
    /// DTLS datagrams that wait for their turn.
    pub(super) handshakes: Handshakes,
    /// Datagrams of connections themselves: ICE and DTLS, of ended ones too.
    pub(super) loose: VecDeque<(Path, Vec<u8>)>,
    /// Whose slots control has to be told of: each once, however often they change meanwhile.
    pub(super) to_tell: VecDeque<Key<Participant>>,
    /// When connections want to be woken.
    pub(super) deadlines: Wheel,
    pub(super) next_tick: Option<Time>,
    /// What is to be handed to other workers when the batch ends; one entry for each.
    pub(super) handovers: BTreeMap<WorkerId, Handover>,
    /// How many of the participants are other workers'.
    pub(super) mirrors: usize,
    pub(super) media_at: Option<Time>,
    pub(super) overload: Overload,
    /// When nothing waited in the sockets: what is taken in now has come since.
    pub(super) emptied_at: Time,
    /// Scratch space, kept so that it is not allocated each time.
    pub(super) candidates: Vec<Candidate>,
    pub(super) plan: Vec<(usize, Option<Key<Stream>>)>,
    pub(super) asked: Vec<u16>,
    /// Groups to be looked at when the batch ends.
    pub(super) to_refresh: Vec<GroupId>,
}

impl Worker {
    /// A worker without participants.
    ///
    /// # Errors
    ///
    /// When its DTLS certificate cannot be made.
    pub fn new(settings: WorkerSettings, random: Random, anchor: TimeAnchor) -> Result<Self, WorkerError> {
        let identity = DtlsIdentity::generate().map_err(|error| WorkerError::Identity(error.to_string()))?;
        Ok(Self {
            settings,
            random,
            anchor,
            identity,
            participants: Slab::default(),
            by_id: BTreeMap::new(),
            streams: Slab::default(),
            groups: BTreeMap::new(),
            demux: Demux::default(),
            own_ssrcs: BTreeSet::new(),
            reports: VecDeque::new(),
            statistics: WorkerStatistics::default(),
            ready: VecDeque::new(),
            paused: VecDeque::new(),
            flush_at: None,
            feedback: VecDeque::new(),
            handshakes: Handshakes::default(),
            loose: VecDeque::new(),
            to_tell: VecDeque::new(),
            deadlines: Wheel::default(),
            next_tick: None,
            handovers: BTreeMap::new(),
            mirrors: 0,
            media_at: None,
            overload: Overload::default(),
            emptied_at: anchor.at,
            candidates: Vec::new(),
            plan: Vec::new(),
            asked: Vec::new(),
            to_refresh: Vec::new(),
        })
    }

    /// Applies one command. What it changes is true when this returns.
    pub fn handle_command(&mut self, now: Time, command: MediaCommand) {
        match command {
            MediaCommand::SetGroup(settings) => self.set_group(now, settings),
            MediaCommand::EndGroup(group) => self.end_group(group),
            MediaCommand::Connect(connect) => self.connect(now, &connect),
            MediaCommand::RestartIce { participant, number, offer } => {
                self.restart_ice(now, participant, number, &offer);
            }
            MediaCommand::Mirror { placement, home } => self.mirror(now, &placement, home),
            MediaCommand::Revoke { batch, participants } => self.revoke_batch(now, batch, &participants),
            MediaCommand::Move { batch, placements } => self.move_batch(now, batch, placements),
            MediaCommand::SetPublish { participant, epoch, publish } => {
                self.set_publish(now, participant, epoch, publish);
            }
            MediaCommand::Landed { participant, epoch } => self.landed(now, participant, epoch),
            MediaCommand::Disconnect(participant) => self.disconnect(now, participant),
        }
        self.count_gauges();
    }

    /// Takes one datagram from the socket; it is opened in place.
    pub fn handle_datagram(&mut self, now: Time, path: Path, datagram: &mut [u8]) {
        let path = path.canonical();
        self.statistics.datagrams_in += 1;
        self.statistics.bytes_in += u64::try_from(datagram.len()).unwrap_or(0);
        let handled = match classify(datagram) {
            Some(DatagramKind::Rtp) => self.handle_rtp(now, path, datagram),
            Some(DatagramKind::Rtcp) => self.handle_rtcp(now, path, datagram),
            Some(DatagramKind::Stun) => self.handle_stun(now, path, datagram),
            Some(DatagramKind::Dtls) => self.note_dtls(now, path, datagram),
            None => Err(DropReason::Malformed),
        };
        if let Err(reason) = handled {
            self.statistics.drops.count(reason);
        }
    }

    /// Takes one datagram that has waited while the worker did nothing for a while. Media would be heard
    /// late and in a burst, and feedback speaks of what is past: only what keeps a connection alive counts.
    pub fn handle_stale_datagram(&mut self, now: Time, path: Path, datagram: &mut [u8]) {
        match classify(datagram) {
            Some(DatagramKind::Rtp | DatagramKind::Rtcp) => {
                self.statistics.datagrams_in += 1;
                self.statistics.bytes_in += u64::try_from(datagram.len()).unwrap_or(0);
                self.statistics.drops.count(DropReason::Stale);
            }
            _ => self.handle_datagram(now, path, datagram),
        }
    }

    /// Drops what another worker has handed over in such a while.
    pub fn drop_stale_handover(&mut self, handover: &Handover) {
        let packets = u64::try_from(handover.packets()).unwrap_or(u64::MAX);
        self.statistics.drops.count_many(DropReason::Stale, packets);
    }

    /// Says whether the sockets held more than was handed in since the last batch.
    pub fn note_backlog(&mut self, now: Time, is_behind: bool) {
        self.overload.note(now, is_behind);
    }

    /// The next packets to be handed to another worker; call after each batch and timeout until `None`.
    pub fn poll_handover(&mut self) -> Option<(WorkerId, Handover)> {
        let (worker, handover) = self.handovers.iter_mut().find(|(_, handover)| !handover.is_empty())?;
        Some((*worker, std::mem::take(handover)))
    }

    /// Says that the sockets' datagrams and the other workers' packets were handed in.
    pub fn end_batch(&mut self, now: Time) {
        let mut groups = std::mem::take(&mut self.to_refresh);
        for group in groups.drain(..) {
            self.refresh(now, group);
        }
        self.to_refresh = groups;
        if !self.overload.is_behind() {
            self.emptied_at = now;
        }
        self.tick_if_due(now);
    }

    /// Writes the next datagram or run into `buffer` (65,536 bytes); call until `None`.
    pub fn poll_transmit(&mut self, now: Time, buffer: &mut [u8]) -> Option<Transmit> {
        let transmit = self.next_loose(buffer);
        let transmit = transmit.or_else(|| self.next_feedback(now, buffer));
        let transmit = transmit.or_else(|| self.next_run(now, buffer))?;
        self.statistics.bytes_out += u64::try_from(transmit.len).unwrap_or(0);
        Some(transmit)
    }

    /// The next report for control.
    pub fn poll_report(&mut self) -> Option<MediaReport> {
        self.reports.pop_front().or_else(|| self.next_changed_slots())
    }

    /// When [`Self::handle_timeout`] is due; `None` while nothing is.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        let pause = self.paused.front().map(|(ends, _)| *ends);
        let tick = self.next_tick.map(|tick| tick + TICK_SLACK);
        [tick, self.deadlines.next(), pause, self.flush_at, self.handshakes.since()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.flush_at = self.flush_at.filter(|at| now < *at);
        self.take_dtls(now);
        self.end_pauses(now);
        while let Some(key) = self.deadlines.pop_due(now) {
            self.handle_connection_timeout(now, key);
        }
        self.tick_if_due(now);
    }

    /// The counters.
    #[must_use]
    pub const fn statistics(&self) -> &WorkerStatistics {
        &self.statistics
    }

    /// What a participant publishes.
    pub(super) fn streams_of(&self, key: Key<Participant>) -> Vec<Key<Stream>> {
        self.participants.get(key).map(|participant| participant.streams.clone()).unwrap_or_default()
    }

    pub(super) fn slot_mut(&mut self, key: Key<Participant>, at: usize) -> Option<&mut Slot> {
        self.participants.get_mut(key)?.session.as_mut()?.slots.get_mut(at)
    }

    pub(super) fn count_gauges(&mut self) {
        let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        self.statistics.participants = count(self.by_id.len().saturating_sub(self.mirrors));
        self.statistics.groups = count(self.groups.len());
        self.statistics.streams = count(self.streams.len());
    }
}
