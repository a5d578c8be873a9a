//! Who hears whom through which worker, by what each listener's slots are said to carry: as many copies as there
//! are listeners have to be made of what comes in, unless it is counted as dropped.

use std::collections::BTreeMap;

use super::placements::Placements;
use super::violation::{Invariant, Violations};
use crate::base::{Epoch, Kind, ParticipantId, Time};
use crate::media::{DropReason, WorkerStatistics};
use crate::message::{MediaReport, SlotBinding};

/// Somebody's sound or picture.
pub(super) type Published = (ParticipantId, Kind);

/// What a worker has counted of the packets that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    admitted: u64,
    /// Dropped because nobody hears them.
    unheard: u64,
    /// Dropped for any other reason.
    refused: u64,
    copies: u64,
}

impl Counted {
    pub(super) fn of(counters: &WorkerStatistics) -> Self {
        let of_packets = counters.drops.iter().filter(|(reason, _)| !reason.is_of_a_copy());
        let dropped: u64 = of_packets.map(|(_, count)| count).sum();
        let unheard = counters.drops.get(DropReason::Unbound);
        let (admitted, copies) = (counters.media_admitted, counters.copies);
        Self { admitted, unheard, refused: dropped - unheard, copies }
    }

    fn since(self, before: Self) -> Self {
        Self {
            admitted: self.admitted - before.admitted,
            unheard: self.unheard - before.unheard,
            refused: self.refused - before.refused,
            copies: self.copies - before.copies,
        }
    }
}

/// The slots of one listener, as its worker has last told of them.
#[derive(Debug)]
struct Slots {
    epoch: Epoch,
    bound: Vec<Published>,
}

/// The listeners of one worker.
#[derive(Debug, Default)]
struct Audience {
    slots: BTreeMap<ParticipantId, Slots>,
    /// Something has come in that may change slots, and no report was looked at since.
    is_unread: bool,
}

/// All listeners.
#[derive(Debug)]
pub(super) struct Listening {
    workers: Vec<Audience>,
    /// Packets that came in and were held against their listeners.
    pub(super) judged: u64,
}

impl Listening {
    /// Nobody listens.
    pub(super) fn new(workers: usize) -> Self {
        Self { workers: (0..workers).map(|_| Audience::default()).collect(), judged: 0 }
    }

    /// A worker was replaced.
    pub(super) fn replaced(&mut self, worker: usize) {
        if let Some(audience) = self.workers.get_mut(worker) {
            *audience = Audience::default();
        }
    }

    /// Something else than media has come to a worker, which may change whom it has in which slot.
    pub(super) fn may_change(&mut self, worker: usize) {
        if let Some(audience) = self.workers.get_mut(worker) {
            audience.is_unread = true;
        }
    }

    /// All reports of a worker were looked at.
    pub(super) fn is_read(&mut self, worker: usize) {
        if let Some(audience) = self.workers.get_mut(worker) {
            audience.is_unread = false;
        }
    }

    /// A worker tells of slots.
    pub(super) fn reported(&mut self, worker: usize, report: &MediaReport) {
        let Some(audience) = self.workers.get_mut(worker) else { return };
        match report {
            MediaReport::Slots { participant, epoch, slots, .. } => {
                audience.learn(*participant, *epoch, slots)
            }
            MediaReport::Moved { moved, .. } => {
                moved.iter().for_each(|moved| audience.learn(moved.participant, moved.epoch, &moved.slots));
            }
            MediaReport::TransportLost { participant, .. } => _ = audience.slots.remove(participant),
            _ => {}
        }
    }

    /// A worker has taken packets, each of them somebody's; of one that is repeated, or whose source is not known,
    /// `taken` says nothing.
    pub(super) fn took(
        &mut self,
        now: Time,
        (worker, placements): (usize, &Placements),
        (before, after): (Counted, Counted),
        taken: &[Option<Published>],
        violations: &mut Violations,
    ) {
        let counted = after.since(before);
        let (came, went) = (taken.len() as u64, counted.admitted + counted.unheard + counted.refused);
        if came != went {
            let text = || format!("worker {worker} is given {came} packets and counts {went}");
            violations.note(now, Invariant::I18, text);
        }
        let Some(audience) = self.workers.get(worker).filter(|audience| !audience.is_unread) else { return };
        let known: Option<Vec<Published>> = taken.iter().copied().collect();
        let Some(known) = known.filter(|_| counted.refused == 0) else { return };
        let listeners = known.iter().map(|of| audience.listeners((worker, placements), *of)).sum::<usize>();
        self.judged += came;
        if counted.copies != listeners as u64 {
            violations.note(now, Invariant::I18, || {
                format!(
                    "worker {worker} makes {} copies of {known:?} for {listeners} listeners",
                    counted.copies
                )
            });
        }
    }
}

impl Audience {
    fn learn(&mut self, listener: ParticipantId, epoch: Epoch, slots: &[SlotBinding]) {
        let bound = slots.iter().filter_map(|slot| slot.publisher).collect();
        self.slots.insert(listener, Slots { epoch, bound });
    }

    /// How many hear or see somebody: those in whose slots it is, and who are in its group by all that was applied.
    fn listeners(&self, (worker, placements): (usize, &Placements), published: Published) -> usize {
        let Some(group) = placements.group_on(worker, published.0) else { return 0 };
        let hears = |(id, slots): &(&ParticipantId, &Slots)| {
            slots.bound.contains(&published) && placements.listens(worker, **id) == Some((slots.epoch, group))
        };
        self.slots.iter().filter(hears).count()
    }
}
