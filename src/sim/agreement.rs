//! What has to agree once a storm is over, and what may be left of it.

use super::violation::Invariant;
use super::world::{ROOM, Simulation};
use crate::control::Totals;

/// Packets that a person may have got without having been told whose they are: those of rooms that it left before
/// it heard that it was in them. To a client they look like another room's; the judge knows what workers applied.
const MOST_UNTOLD: u64 = 8;
/// A worker that was stuck applies several placements of somebody in one moment, who is told of the last one.
const MOST_UNTOLD_IN_TROUBLE: u64 = 512;

impl Simulation {
    /// Everybody is back: control, the media plane and the people have to say the same.
    pub(super) fn check_agreement(&mut self) {
        let Some(view) = self.server.control.inspect(ROOM) else {
            return self.judge.violations.note(self.now, Invariant::I19, || "the room is gone".to_owned());
        };
        for person in self.people.iter().filter(|person| person.is_here()) {
            let Some((client, id)) = person.client.zip(person.id) else { continue };
            let told = view.media.get(&client).and_then(|media| media.group);
            let applied = self.judge.placements.place_of(id);
            if told != applied || person.room != ROOM {
                let (at, room) = (person.index, person.room.clone());
                self.judge.violations.note(self.now, Invariant::I19, || {
                    format!("person {at} believes to be in {room}; control says {told:?}, media {applied:?}")
                });
            }
        }
        self.check_totals();
    }

    /// What the server counts of itself has to be what there is.
    fn check_totals(&mut self) {
        let here = self.people.iter().filter(|person| person.is_here()).count();
        self.register.look(self.now, &self.server.control, &mut self.judge.violations);
        let held = self.register.held();
        let expected = Totals { rooms: 1, breakouts: 0, participants: here + held, held };
        let totals = self.server.control.totals();
        if totals != expected {
            let text = || format!("control counts {totals:?}, where there are {expected:?}");
            self.judge.violations.note(self.now, Invariant::I19, text);
        }
        for (at, node) in self.server.nodes.iter().enumerate() {
            let counters = node.worker.statistics();
            let counted = (counters.participants, counters.groups);
            let expected = self.judge.placements.gauges(at);
            if counted != expected {
                self.judge.violations.note(self.now, Invariant::I19, || {
                    format!(
                        "worker {at} counts {counted:?} participants and groups, where there are {expected:?}"
                    )
                });
            }
        }
        let owners = u64::try_from(self.server.nodes.len()).unwrap_or(0) + 1;
        self.judge.violations.checked(Invariant::I19, owners);
    }

    /// What the people's own judges found, who know nothing but marks and what they were told.
    pub(super) fn check_verdicts(&mut self) {
        for at in 0..self.people.len() {
            let Some(participant) = self.people.get_mut(at).and_then(|person| person.participant.take())
            else {
                continue;
            };
            let report = participant.finish();
            let wrong = report.verdict.wrong_group + report.verdict.wrong_publisher;
            self.tally.untold += wrong;
            self.tally.missed += report.verdict.lost;
            self.tally.undecrypted += report.decrypt_failures;
            let most = if self.options.trouble { MOST_UNTOLD_IN_TROUBLE } else { MOST_UNTOLD };
            if wrong > most {
                self.judge.violations.note(self.now, Invariant::I19, || {
                    format!(
                        "person {at} found {wrong} packets that are not its slots': {:?}",
                        report.examples
                    )
                });
            }
        }
    }

    /// Everybody has left: nothing may be left of them.
    pub(super) fn check_nothing_is_left(&mut self) {
        let owners = u64::try_from(self.server.nodes.len()).unwrap_or(0) + 1;
        self.judge.violations.checked(Invariant::I7, owners);
        let totals = self.server.control.totals();
        if totals != Totals::default() {
            self.judge.violations.note(self.now, Invariant::I7, || format!("control still has {totals:?}"));
        }
        for (at, node) in self.server.nodes.iter().enumerate() {
            let counters = node.worker.statistics();
            let left = counters.participants + counters.groups + counters.streams;
            if left > 0 || self.judge.placements.gauges(at).1 > 0 {
                let (people, groups) = (counters.participants, counters.groups);
                self.judge.violations.note(self.now, Invariant::I7, || {
                    format!("worker {at} still has {people} participants and {groups} groups")
                });
            }
        }
    }
}
