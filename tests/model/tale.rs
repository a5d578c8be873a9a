//! The session's log as it grows: the replica that is folded from it, who should have heard what, and
//! what they were sent.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use anteroom::base::{ClientId, Time};
use anteroom::control::{Audience, LoggedEvent, SeatView, SessionView};
use anteroom::message::{Event, ParentFlags, ReturnReason};

use super::audience::{self, Inviters, People};
use super::replica::Replica;

/// An event frame that somebody was sent: seq, prev and name.
pub type Sent = (ClientId, u64, u64, &'static str);

/// How long the log keeps an event.
const KEPT: Duration = Duration::from_secs(600);
/// How many events a replay answers with at most.
const REPLAYED: usize = 2_000;

#[derive(Default)]
pub struct Tale {
    pub seq: u64,
    replica: Replica,
    inviters: Inviters,
    /// Every event, for the replica from scratch.
    all: Vec<LoggedEvent>,
    /// The events that were addressed to each seat, and the time of each event.
    addressed: BTreeMap<ClientId, Vec<u64>>,
    kept: VecDeque<(u64, Time)>,
    /// Who comes back in this input.
    together: People,
}

impl Tale {
    /// Takes in the events of one input; `sent` are the frames of the same input, `linked` says who
    /// could be sent frames all along.
    pub fn extend(&mut self, entries: &[LoggedEvent], sent: &[Sent], linked: &People) -> Result<(), String> {
        let mut frames: BTreeMap<(u64, ClientId), (u64, &str)> = BTreeMap::new();
        for (client, seq, prev, name) in sent {
            if frames.insert((*seq, *client), (*prev, *name)).is_some() {
                return Err(format!("{client} was sent event {seq} twice"));
            }
        }
        let back = |entry: &LoggedEvent| match &entry.event {
            Event::DisconnectedBreakoutRoom(back) => Some(back.client),
            _ => None,
        };
        self.together = entries.iter().filter_map(back).collect();
        for entry in entries {
            if entry.seq != self.seq + 1 {
                return Err(format!("event {} after {}", entry.seq, self.seq));
            }
            self.seq = entry.seq;
            self.check_shown(&entry.event, entries)?;
            let told = self.audience(entry)?;
            for client in told {
                let mine = self.addressed.entry(client).or_default();
                let prev = mine.last().copied().unwrap_or(0);
                mine.push(entry.seq);
                match frames.remove(&(entry.seq, client)) {
                    Some((p, name)) if p == prev && name == entry.event.name() => {}
                    Some(frame) => {
                        return Err(format!("{client} was sent {frame:?}, not {prev} and {entry:?}"));
                    }
                    None if linked.contains(&client) => {
                        return Err(format!("{client} was not sent {entry:?}"));
                    }
                    None => {}
                }
            }
            if let Event::BreakoutRoomInvited { person, invitation } = &entry.event {
                self.inviters.insert((invitation.room, person.id), invitation.requestor.id);
            }
            self.replica.fold(entry.seq, &entry.event);
            self.kept.push_back((entry.seq, entry.at));
            while self.kept.front().is_some_and(|(_, at)| entry.at.since(*at) > KEPT) {
                self.kept.pop_front();
            }
            self.all.push(entry.clone());
        }
        match frames.first_key_value() {
            Some(frame) => Err(format!("a frame of no event: {frame:?}")),
            None => Ok(()),
        }
    }

    /// Who comes back is shown the parent room as it is; after a destroy nothing is paused or muted,
    /// but for somebody whose seat ends while the destroy is still under way.
    fn check_shown(&self, event: &Event, entries: &[LoggedEvent]) -> Result<(), String> {
        let (Event::DisconnectedBreakoutRoom(back), Some(view)) = (event, &self.replica.view) else {
            return Ok(());
        };
        let ends = |entry: &LoggedEvent| matches!(&entry.event, Event::UserDisconnected { person, .. } if person.id == back.client);
        let is_destroyed = back.reason == ReturnReason::Destroyed && !entries.iter().any(ends);
        let away = |(id, seat): (&ClientId, &SeatView)| (seat.away() && *id != back.client).then_some(*id);
        let away: People = view.seats.iter().filter_map(away).collect();
        let named: People = back.away.iter().copied().collect();
        if !named.is_subset(&away) || !away.difference(&named).all(|client| self.together.contains(client)) {
            return Err(format!("{away:?} are away, and {event:?} says otherwise"));
        }
        let fine = back.state == view.flags && (!is_destroyed || back.state == ParentFlags::default());
        if fine { Ok(()) } else { Err(format!("{:?} is not shown by {event:?}", view.flags)) }
    }

    /// Who was told, which has to be whom the contract names.
    fn audience(&self, entry: &LoggedEvent) -> Result<People, String> {
        let Some(view) = &self.replica.view else { return Ok(People::new()) };
        let everyone = || view.seats.keys().copied().collect();
        let told: People = match &entry.audience {
            Audience::Nobody => People::new(),
            Audience::Everyone => everyone(),
            Audience::Only(clients) => {
                clients.iter().copied().filter(|c| view.seats.contains_key(c)).collect()
            }
        };
        let mut rule = audience::rule(view, &self.inviters, &entry.event);
        if matches!(entry.event, Event::UserResumed { .. }) {
            // Who come back in one step see it from whom their own events name as away.
            rule.must.retain(|client| !self.together.contains(client));
        }
        let missing: Vec<_> = rule.must.difference(&told).collect();
        let too_many: Vec<_> = told.difference(&rule.may).collect();
        if missing.is_empty() && too_many.is_empty() {
            return Ok(told);
        }
        Err(format!("{:?} should be told to {missing:?}, not to {too_many:?}", entry.event))
    }

    /// Whether the replica is the state.
    pub fn check(&self, view: Option<&SessionView>) -> Result<(), String> {
        same(self.replica.view.as_ref(), view)
    }

    /// The same from scratch.
    pub fn check_from_scratch(&self, view: Option<&SessionView>) -> Result<(), String> {
        let mut replica = Replica::default();
        for entry in &self.all {
            replica.fold(entry.seq, &entry.event);
        }
        same(replica.view.as_ref(), view)
    }

    /// What a replay should answer: each event's seq and prev; nothing if the log does not reach back,
    /// or if they are too many.
    pub fn replay(&self, client: ClientId, from: u64) -> Option<Vec<(u64, u64)>> {
        let first = self.kept.front().map_or(self.seq + 1, |(seq, _)| *seq);
        if from < first && first > 1 {
            return None;
        }
        let mine = self.addressed.get(&client).map_or(&[][..], |seqs| seqs);
        let prevs = std::iter::once(0).chain(mine.iter().copied());
        let events: Vec<_> = mine.iter().copied().zip(prevs).filter(|(seq, _)| *seq >= from).collect();
        (events.len() <= REPLAYED).then_some(events)
    }

    /// The number of the next event.
    pub fn next(&self) -> u64 {
        self.seq + 1
    }
}

fn same(replica: Option<&SessionView>, view: Option<&SessionView>) -> Result<(), String> {
    let Some((replica, view)) = replica.zip(view) else {
        return if replica.is_some() == view.is_some() {
            Ok(())
        } else {
            Err("one of log and state has ended".to_owned())
        };
    };
    // What the media plane was told is no event.
    let seats = replica.seats == view.seats && replica.invitations == view.invitations;
    let rooms = replica.rooms == view.rooms && replica.destroyed == view.destroyed;
    let parent =
        (replica.mode, replica.flags, &replica.presenter) == (view.mode, view.flags, &view.presenter);
    let session = (&replica.name, replica.by_admin, replica.seq) == (&view.name, view.by_admin, view.seq);
    if seats && rooms && parent && session && replica.settings == view.settings {
        return Ok(());
    }
    let expected = SessionView { media: BTreeMap::new(), ..view.clone() };
    let (replica, expected) = (format!("{replica:#?}"), format!("{expected:#?}"));
    let differs: Vec<String> = replica
        .lines()
        .zip(expected.lines())
        .filter(|(a, b)| a != b)
        .take(5)
        .map(|(a, b)| format!("{} instead of {}", a.trim(), b.trim()))
        .collect();
    Err(format!("the events do not tell the state: {}", differs.join("; ")))
}
