//! What control put out for one input, against what the model expects.

use std::collections::BTreeMap;

use anteroom::base::{BatchId, ClientId, Epoch, GroupId, LinkId, ParticipantId};
use anteroom::control::LoggedEvent;
use anteroom::message::{ControlOutput, Event, Frame, MediaCommand, Method, Placement};
use serde_json::{Value, json};

use super::compare;
use super::session::Place;
use super::tale::Sent;
use super::world::{Check, Due, ROOM, World};

/// One ack as it went out.
#[derive(Clone, Debug)]
pub struct Ack {
    pub link: LinkId,
    pub id: String,
    name: &'static str,
    seq: Option<u64>,
    pub data: Value,
}

/// What a replay answered: events, or a snapshot of `seq`; `before` the input the log ended there.
#[derive(Debug)]
struct Replayed {
    client: ClientId,
    from: u64,
    events: Option<Vec<(u64, u64)>>,
    seq: Option<u64>,
    before: u64,
}

/// What control put out for one input.
#[derive(Default)]
pub struct Outputs {
    pub acks: Vec<Ack>,
    pub fenced: bool,
    /// The worker was lost, or everything destroyed, in this input.
    pub lost: bool,
    destroyed: bool,
    /// The requests that ran in this input.
    pub ran: Vec<String>,
    pub connects: Vec<(ParticipantId, Epoch)>,
    pub restarts: Vec<u64>,
    pub log: Vec<Event>,
    told: Vec<(ParticipantId, Epoch)>,
    batches: Vec<(BatchId, Vec<ParticipantId>)>,
    replays: Vec<Replayed>,
    /// With the placement that some of them tell of.
    events: Vec<(LinkId, u64, u64, &'static str, Option<Epoch>)>,
    closed: Vec<LinkId>,
}

impl World {
    /// Takes in what control did, lets the model do the same, and compares.
    pub fn settle(&mut self, model: impl FnOnce(&mut Self) -> Check) -> Check {
        self.session.now = self.now;
        let attached = self.attached.clone();
        self.out = Outputs::default();
        while let Some(output) = self.control.poll_output() {
            self.take_output(output);
        }
        let entries: Vec<LoggedEvent> = self.control.events(ROOM, self.tale.next()).cloned().collect();
        self.out.log = entries.iter().map(|entry| entry.event.clone()).collect();
        model(self)?;
        self.settle_acks();
        self.drop_gone();
        self.pass_on_offers()?;
        self.run_requests()?;
        self.session.tick(self.now);
        self.settle_acks();
        self.drop_gone();
        if let Some((participant, _)) = self.out.connects.first() {
            return Err(format!("an offer of {participant} is passed on for no reason"));
        }
        self.keep_commands();
        self.check_acks()?;
        self.close_links()?;
        self.view = self.control.inspect(ROOM);
        self.check_events(&attached, &entries)?;
        self.check_replays()?;
        self.mind_emptiness();
        self.check_state()
    }

    fn take_output(&mut self, output: ControlOutput) {
        match output {
            ControlOutput::Frame { link, frame: Frame::Ack { id, ack, seq, data } } => {
                self.out.acks.push(Ack { link, id, name: ack, seq, data });
            }
            ControlOutput::Frame { link, frame: Frame::Event { seq, prev, event, data } } => {
                self.out.events.push((link, seq, prev, event, data["epoch"].as_u64().map(Epoch)));
            }
            ControlOutput::CloseLink { link, .. } => self.out.closed.push(link),
            ControlOutput::Media { command, .. } => {
                self.note_command(&command);
                self.worker.push(command);
            }
            ControlOutput::Fence { .. } => {
                self.out.fenced = true;
                self.worker.crash();
            }
            ControlOutput::Admin { .. } => {}
        }
    }

    fn note_command(&mut self, command: &MediaCommand) {
        match command {
            MediaCommand::Connect(connect) => {
                let Placement { participant, epoch, .. } = connect.placement;
                self.out.told.push((participant, epoch));
                self.out.connects.push((participant, epoch));
            }
            MediaCommand::RestartIce { number, .. } => self.out.restarts.push(*number),
            MediaCommand::Move { batch, placements } => {
                self.out.told.extend(placements.iter().map(|to| (to.participant, to.epoch)));
                let people = placements.iter().map(|placement| placement.participant).collect();
                self.out.batches.push((*batch, people));
            }
            _ => {}
        }
    }

    /// What the worker was told in this input counts from the next one on.
    fn keep_commands(&mut self) {
        self.told.extend(std::mem::take(&mut self.out.told));
        for (batch, people) in std::mem::take(&mut self.out.batches) {
            self.latest.extend(people.iter().map(|participant| (*participant, batch)));
            self.batches.insert(batch, (self.now, people));
        }
    }

    /// Who has no seat any more waits for nothing, and control closes the link.
    fn drop_gone(&mut self) {
        let seats = &self.session.seats;
        let gone = |client: &ClientId| !seats.contains_key(client);
        let arrivals: Vec<_> =
            self.arrivals.extract_if(.., |a| a.back.is_some_and(|(c, _)| gone(&c))).collect();
        let restarts: Vec<_> = self.restarts.extract_if(.., |client, _| gone(client)).collect();
        let links: Vec<_> = self.attached.extract_if(.., |_, client| gone(client)).collect();
        // Over the link that asked, or over the one that spoke for the seat to its end.
        let heard = |world: &Self, link: LinkId, client: Option<ClientId>| {
            let last = links.iter().find(|(_, speaks_for)| Some(*speaks_for) == client);
            if world.links.contains_key(&link) { link } else { last.map_or(link, |(link, _)| *link) }
        };
        for arrival in arrivals {
            let link = heard(self, arrival.link, arrival.back.map(|(client, _)| client));
            self.owe(link, None, &arrival.id, 1729);
        }
        for (client, (id, ..)) in restarts {
            let link = heard(self, self.known[&(client, id.clone())].link, Some(client));
            self.owe(link, None, &id, 1729);
        }
        self.leaving.extend(links.into_iter().map(|(link, _)| link));
    }

    // Acks.

    /// Every ack that is due was sent, once, and no other.
    fn check_acks(&mut self) -> Check {
        let mut acks = std::mem::take(&mut self.out.acks);
        let refused = matches!(&self.due[..], [due] if due.code != 0 && Some(&due.id) == self.asked.as_ref());
        if refused && !self.out.log.is_empty() {
            return Err(format!("{:?} is refused, but changed something: {:?}", self.due, self.out.log));
        }
        for due in std::mem::take(&mut self.due) {
            let at = acks.iter().position(|ack| ack.id == due.id && Some(ack.link) == due.link);
            match (at, due.link) {
                (Some(at), _) => self.check_ack(&due, acks.remove(at))?,
                (None, Some(_)) => return Err(format!("no ack: {due:?} is due; acks: {acks:?}")),
                (None, None) => {}
            }
        }
        // What is left is for links that their clients have closed.
        match acks.iter().find(|ack| self.links.contains_key(&ack.link)) {
            Some(ack) => Err(format!("an ack that is not due: {ack:?}")),
            None => Ok(()),
        }
    }

    fn check_ack(&mut self, due: &Due, ack: Ack) -> Check {
        let Ack { link, id, name, seq, data } = ack;
        let code = u64::from(due.code);
        if data["result"] != code {
            return Err(format!("{id} is answered {}, but the model says {code}: {data}", data["result"]));
        }
        if code != 0 && (seq.is_some() || !data["error"].is_string() || !data["msg"].is_string()) {
            return Err(format!("a strange refusal of {id}: seq {seq:?}, {data}"));
        }
        let names =
            Method::ALL.iter().map(|method| if code == 0 { method.ack() } else { method.failure_ack() });
        if !names.chain([Method::UNKNOWN_ACK]).any(|known| known == name) {
            return Err(format!("{id} is answered under the name {name}"));
        }
        if name == Method::JoinRoom.ack() && code == 0 {
            let client: ClientId = data["clientId"].as_str().unwrap().parse().unwrap();
            let secret = data["resume"].as_str().unwrap().to_owned();
            self.secrets.insert(client, secret.clone());
            self.heard_of.extend(data["epoch"].as_u64().map(|epoch| (client, Epoch(epoch))));
            let person = &mut self.people[self.links[&link]];
            person.client = Some(client);
            person.secret_before = person.secret.replace(secret);
        }
        let Some(client) = due.client else { return Ok(()) };
        if name == Method::Replay.ack() && code == 0 {
            self.check_replay(client, &id, &data)?;
        }
        let known = self.known.get(&(client, id.clone())).filter(|known| known.ack.is_none());
        let (first, is_degraded) = (known.is_some(), known.is_some_and(|known| known.is_degraded));
        let last = self.out.ran.iter().all(|ran| *ran == id);
        self.out.destroyed |= last && first && code == 0 && name == Method::DestroyAllBreakOutSession.ack();
        let back = first && code == 0 && name == Method::Disconnect.ack();
        if (back || name == Method::JoinBreakOutRoom.ack()) && seq.is_none() {
            return Err(format!("{id} moved its caller, but its ack names no change: {data}"));
        }
        if back && (data.get("degraded") == Some(&json!([client]))) != is_degraded {
            return Err(format!("degraded is for those whom a worker did not move: {data}"));
        }
        if let Some(known) = self.known.get_mut(&(client, id.clone())) {
            let frame = Frame::Ack { id, ack: name, seq, data };
            match &known.ack {
                Some(first) if *first != frame => return Err(format!("{frame:?} repeats {first:?}")),
                _ => known.ack = Some(frame),
            }
        }
        Ok(())
    }

    /// A replay answers exactly the events that were addressed to the caller.
    fn check_replay(&mut self, client: ClientId, id: &str, data: &Value) -> Check {
        if self.known[&(client, id.to_owned())].ack.is_some() {
            return Ok(());
        }
        let request =
            self.people.iter().filter_map(|person| person.last.as_ref()).find(|request| request.id == id);
        let Some(from) = request.and_then(|request| request.params["from_seq"].as_u64()) else {
            return Ok(());
        };
        let events = data.get("events").and_then(Value::as_array).map(|events| {
            events
                .iter()
                .map(|e| (e["seq"].as_u64().unwrap(), e["prev"].as_u64().unwrap()))
                .collect::<Vec<_>>()
        });
        let seq = data["snapshot"]["seq"].as_u64();
        self.out.replays.push(Replayed { client, from, events, seq, before: self.tale.seq });
        Ok(())
    }

    /// The caller's events of this very input may be in a replay or come after it.
    fn check_replays(&mut self) -> Check {
        for replayed in std::mem::take(&mut self.out.replays) {
            let Replayed { client, from, events, seq, before } = &replayed;
            let expected = self.tale.replay(*client, *from);
            // Of a session that has ended in this input nobody can see the last events any more.
            let last = if self.view.is_some() { self.tale.seq } else { u64::MAX };
            let fine = match (events, &expected) {
                // There may have been no such number yet when it was answered.
                (None, _) if *from > before + 1 => seq.is_some_and(|seq| (*before..=last).contains(&seq)),
                (Some(_), _) if *from > last.saturating_add(1) => false,
                (Some(events), Some(expected)) => {
                    let seen = |(seq, _): &&(u64, u64)| self.view.is_some() || *seq <= self.tale.seq;
                    let events: Vec<_> = events.iter().take_while(seen).copied().collect();
                    expected.starts_with(&events)
                        && expected.get(events.len()).is_none_or(|(seq, _)| seq > before)
                }
                // Fewer may be too long.
                (None, expected) if expected.as_ref().is_none_or(|events| events.len() > 500) => {
                    seq.is_some_and(|seq| (*before..=self.tale.seq).contains(&seq))
                }
                _ => false,
            };
            if !fine {
                return Err(format!("{replayed:?}, but {expected:?} was addressed to the caller"));
            }
        }
        Ok(())
    }

    /// Links of those who have left are closed, and no others.
    fn close_links(&mut self) -> Check {
        for link in std::mem::take(&mut self.out.closed) {
            if !self.leaving.remove(&link) {
                return Err(format!("{link} is closed for no reason"));
            }
            self.forget_link(link);
        }
        self.leaving.retain(|link| self.links.contains_key(link));
        // Not before its requests are answered.
        let pending = self.session.ops.values().map(|op| self.known[&(op.caller, op.id.clone())].link);
        let pending: Vec<LinkId> = pending.chain(self.deferred.iter().map(|(link, _, _)| *link)).collect();
        let waits = |link: &LinkId| pending.contains(link);
        match self.leaving.iter().find(|link| !waits(link)) {
            Some(link) => Err(format!("{link} of somebody who has left stays open")),
            None => Ok(()),
        }
    }

    // Events and state.

    fn check_events(&mut self, before: &BTreeMap<LinkId, ClientId>, entries: &[LoggedEvent]) -> Check {
        let mut sent: Vec<Sent> = Vec::new();
        for (link, seq, prev, name, epoch) in std::mem::take(&mut self.out.events) {
            let client = self.attached.get(&link).or(before.get(&link));
            let client = client.ok_or_else(|| format!("{name} goes to link {link}, which has no seat"))?;
            self.heard_of.extend(epoch.map(|epoch| (*client, epoch)));
            sent.push((*client, seq, prev, name));
        }
        if self.view.is_none() {
            // Its log has ended with the session.
            self.tale = super::tale::Tale::default();
            return Ok(());
        }
        let linked = before.iter().filter(|(link, client)| self.attached.get(link) == Some(*client));
        self.tale.extend(entries, &sent, &linked.map(|(_, client)| *client).collect())
    }

    fn mind_emptiness(&mut self) {
        let fresh = self.arrivals.iter().any(|arrival| arrival.back.is_none());
        let empty = self.started && self.session.seats.is_empty() && !fresh;
        self.empty_since = if empty { self.empty_since.or(Some(self.now)) } else { None };
    }

    fn check_state(&self) -> Check {
        self.tale.check(self.view.as_ref())?;
        let Some(view) = &self.view else {
            return if self.started { Err("the session has ended too early".to_owned()) } else { Ok(()) };
        };
        if !self.started {
            return Err("the session should have ended".to_owned());
        }
        compare::invariants(view)?;
        if self.out.destroyed {
            compare::nothing_left(view)?;
        }
        compare::compare(&self.session, view)?;
        for (client, media) in &view.media {
            let seat = &self.session.seats[client];
            let (signalling, media) = (media.signalling, media.media);
            if (signalling, media) != (seat.signalling, seat.media) {
                return Err(format!("{client} has signalling {signalling} and media {media}, not {seat:?}"));
            }
        }
        Ok(())
    }

    /// When the worker has done and told everything: nothing waits, and it has everybody where they
    /// are, with what may flow.
    pub fn check_media(&self) -> Check {
        if !self.worker.is_idle() {
            return Ok(());
        }
        let waiting = self.arrivals.len() + self.restarts.len() + self.batches.len() + self.deferred.len();
        if waiting > 0 {
            return Err(format!(
                "the worker has reported everything, but something waits: {:?} {:?} {:?} {:?}",
                self.arrivals, self.restarts, self.batches, self.deferred
            ));
        }
        let Some(view) = &self.view else {
            let fine = self.worker.members.is_empty() && self.worker.groups.is_empty();
            return if fine { Ok(()) } else { Err("the worker keeps what has ended".to_owned()) };
        };
        if self.worker.groups.len() != 1 + view.rooms.len() {
            return Err(format!("{} groups for {} rooms", self.worker.groups.len(), view.rooms.len()));
        }
        let mut places: BTreeMap<GroupId, Place> = BTreeMap::new();
        for (client, shown) in &view.seats {
            let seat = &self.session.seats[client];
            if seat.is_on_the_way() {
                return Err(format!("the worker has reported everything, but {client} is on the way"));
            }
            let member = self.worker.members.get(&shown.participant);
            let Some(member) = member.filter(|_| seat.known && seat.media) else { continue };
            let place = *places.entry(member.placement.group).or_insert(seat.place);
            if place != seat.place || view.media[client].group != Some(member.placement.group) {
                return Err(format!("{client} is in {:?}, but the worker has it in {member:?}", seat.place));
            }
            let (flows, expected) =
                (self.worker.flows(shown.participant), compare::flows(&self.session, *client));
            if flows != Some(expected) || view.media[client].publish != member.placement.publish {
                return Err(format!("{flows:?} of {client} flows, but the model says {expected:?}"));
            }
        }
        let mut shared: Vec<Place> = places.values().copied().collect();
        shared.sort_unstable();
        shared.dedup();
        if shared.len() != places.len() {
            return Err(format!("two groups for one place: {places:?}"));
        }
        let known = |participant| view.seats.values().any(|seat| seat.participant == participant);
        match self.worker.members.keys().find(|participant| !known(**participant)) {
            Some(participant) => Err(format!("the worker keeps participant {participant}, who has left")),
            None => Ok(()),
        }
    }
}
