//! What each input means to the model, connections and timers included.

use std::time::Duration;

use anteroom::base::{ClientId, LinkId, ParticipantId, Time};
use anteroom::message::{MediaReport, Method, Refusal, Request, Role};
use serde_json::Value;

use super::params::whole;
use super::requests::Outcome;
use super::session::{HELD, Place, Session};
use super::world::{Arrival, Check, Due, Known, World};

/// How long the same id is the same request.
const REPEATS: Duration = Duration::from_secs(120);
/// How long a worker may take for a batch, and for an offer.
const BATCH: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(3);
/// How long a room stays without seats.
const EMPTY: Duration = Duration::from_secs(60);

impl World {
    /// An ack is due over the link that asked, or over the one that took its place.
    pub fn owe(&mut self, link: LinkId, client: Option<ClientId>, id: &str, code: u16) {
        let attached = self.attached.iter().find(|(_, speaks_for)| Some(**speaks_for) == client);
        let open = self.links.contains_key(&link).then_some(link);
        let link = open.or(attached.map(|(link, _)| *link));
        if let Some(known) = client.and_then(|client| self.known.get_mut(&(client, id.to_owned()))) {
            known.is_degraded |= known.code.is_none() && self.out.lost;
            known.code = Some(code);
        }
        self.due.push(Due { link, client, id: id.to_owned(), code });
    }

    fn refuse(&mut self, link: LinkId, client: Option<ClientId>, request: &Request, refusal: Refusal) {
        let known: Result<Method, ()> = request.method.parse();
        let refusal = if known.is_ok() { refusal } else { Refusal::BadParameter };
        self.owe(link, client, &request.id, refusal.code());
    }

    /// A request came over a link; `role` is that of a new participant.
    pub fn take(&mut self, link: LinkId, request: Request, role: Option<Role>) -> Check {
        if let Some(client) = self.attached.get(&link).copied() {
            if self.deferred.iter().any(|(_, of, waits)| *of == client && waits.id == request.id) {
                return Ok(());
            }
            self.deferred.push_back((link, client, request));
            return Ok(());
        }
        let arrives = self.arrivals.iter().any(|arrival| arrival.link == link);
        match request.method.as_str() {
            "joinRoom" if arrives => self.refuse(link, None, &request, Refusal::RequestInProgress),
            "joinRoom" => return self.take_seat(link, &request, role),
            _ => self.refuse(link, None, &request, Refusal::NotConnected),
        }
        Ok(())
    }

    fn take_seat(&mut self, link: LinkId, request: &Request, role: Option<Role>) -> Check {
        let Some(role) = role else {
            let secret = request.params["resume"].as_str().unwrap();
            let mut known = self.secrets.iter().chain(&self.given);
            let client = known.find(|(_, known)| *known == secret).map(|(client, _)| *client);
            return match client.filter(|client| self.session.seats.contains_key(client)) {
                Some(client) => self.come_back(link, client, request),
                None => {
                    self.refuse(link, None, request, Refusal::JoinFailed);
                    Ok(())
                }
            };
        };
        self.started = true;
        let fresh = self.arrivals.iter().filter(|arrival| arrival.back.is_none()).count();
        if (self.session.seats.len() + fresh) as u64 >= u64::from(self.settings.max_participants) {
            self.refuse(link, None, request, Refusal::RoomFull);
            return Ok(());
        }
        self.arrive(link, &request.id, role, None, None)
    }

    /// The worker is asked to answer an offer.
    fn arrive(
        &mut self,
        link: LinkId,
        id: &str,
        role: Role,
        back: Option<(ClientId, bool)>,
        given: Option<String>,
    ) -> Check {
        if self.out.connects.is_empty() {
            return Err(format!("no offer is passed on for {id}"));
        }
        let (participant, epoch) = self.out.connects.remove(0);
        let (id, at) = (id.to_owned(), self.now);
        self.arrivals.push(Arrival { id, link, at, role, participant, epoch: Some(epoch), back, given });
        Ok(())
    }

    /// Who comes back in the middle of a move is connected when it is over.
    pub fn pass_on_offers(&mut self) -> Check {
        for arrival in self.arrivals.iter_mut().filter(|arrival| arrival.epoch.is_none()) {
            let Some((client, _)) = arrival.back else { continue };
            let Some(seat) = self.session.seats.get_mut(&client).filter(|seat| !seat.is_on_the_way()) else {
                continue;
            };
            let at = self.out.connects.iter().position(|(of, _)| *of == arrival.participant);
            let at = at.ok_or_else(|| format!("no offer is passed on for {} after a move", arrival.id))?;
            arrival.epoch = Some(self.out.connects.remove(at).1);
            arrival.back = Some((client, std::mem::replace(&mut seat.known, true)));
        }
        Ok(())
    }

    fn come_back(&mut self, link: LinkId, client: ClientId, request: &Request) -> Check {
        let waits = self.arrivals.iter().any(|arrival| arrival.back.is_some_and(|(c, _)| c == client));
        let given = request.params["resume"].as_str().map(str::to_owned);
        let (now, seat) = (self.now, self.session.seat(client));
        // Ten times at once, and then once a second.
        let rested_at = seat.rested_at.max(now) + Duration::from_secs(1);
        let too_often = rested_at.since(now) > Duration::from_secs(10);
        if !waits && !too_often {
            seat.rested_at = rested_at;
        }
        if waits || too_often {
            self.refuse(link, Some(client), request, Refusal::RequestInProgress);
        } else if request.params.contains_key("sdp") {
            if seat.is_on_the_way() {
                let mut theirs = self.clients.iter().filter(|(_, c)| **c == client);
                let participant = *theirs.next().ok_or("a seat without a participant")?.0;
                let (id, role, back) = (request.id.clone(), Role::Participant, Some((client, false)));
                let arrival = Arrival { id, link, at: now, role, participant, epoch: None, back, given };
                self.arrivals.push(arrival);
                return Ok(());
            }
            let knew = std::mem::replace(&mut seat.known, true);
            return self.arrive(link, &request.id, Role::Participant, Some((client, knew)), given);
        } else if seat.media {
            self.attach(link, client, given);
            self.owe(link, Some(client), &request.id, 0);
        } else {
            self.refuse(link, Some(client), request, Refusal::JoinFailed);
        }
        Ok(())
    }

    /// The newest secret is in the ack; the one that was given holds on.
    fn attach(&mut self, link: LinkId, client: ClientId, given: Option<String>) {
        self.secrets.remove(&client);
        self.given.extend(given.map(|given| (client, given)));
        let before = self.attached.iter().find(|(_, c)| **c == client).map(|(link, _)| *link);
        if let Some(before) = before.filter(|before| *before != link) {
            self.attached.remove(&before);
            self.leaving.insert(before);
        }
        self.attached.insert(link, client);
        let media = self.session.seats[&client].media;
        self.session.connections(client, true, media);
    }

    /// Runs the requests of seated people, unless everybody is being brought back.
    pub fn run_requests(&mut self) -> Check {
        while !self.session.ops.values().any(|op| op.close.is_some()) {
            let Some((link, client, request)) = self.deferred.pop_front() else { break };
            self.run(link, client, &request)?;
            self.settle_acks();
        }
        Ok(())
    }

    fn run(&mut self, link: LinkId, client: ClientId, request: &Request) -> Check {
        if !self.session.seats.contains_key(&client) {
            self.refuse(link, None, request, Refusal::NotConnected);
            return Ok(());
        }
        self.out.ran.push(request.id.clone());
        let key = (client, request.id.clone());
        // What changes nothing is answered anew.
        let again = matches!(request.method.as_str(), "replay" | "listBreakoutRooms");
        let known = self.known.get(&key).filter(|known| !again && self.now.since(known.at) < REPEATS);
        if let Some(known) = known {
            if let Some(code) = known.code {
                self.owe(link, Some(client), &request.id, code);
            }
            return Ok(());
        }
        self.known.insert(key, Known { at: self.now, link, code: None, is_degraded: false, ack: None });
        let speaks = self.attached.iter().find(|(_, of)| **of == client).map(|(link, _)| *link);
        let of_its_link = ["leaveRoom", "restartIce", "startScreenShare", "startCanvas"];
        let of_its_link = of_its_link.contains(&request.method.as_str());
        if of_its_link && speaks.is_some_and(|speaks| speaks != link) {
            self.refuse(link, Some(client), request, Refusal::NotConnected);
            return Ok(());
        }
        match request.method.parse() {
            Ok(Method::JoinRoom) => {
                let secret = request.params["resume"].as_str();
                let known = [self.secrets.get(&client), self.given.get(&client)];
                let speaks_for_it = self.attached.get(&link) == Some(&client);
                if speaks_for_it && known.iter().flatten().any(|known| secret == Some(known)) {
                    return self.come_back(link, client, request);
                }
                self.refuse(link, Some(client), request, Refusal::JoinFailed);
            }
            Ok(Method::LeaveRoom) => {
                self.session.stand_up(client);
                self.owe(link, Some(client), &request.id, 0);
            }
            Ok(Method::RestartIce) => self.restart_ice(link, client, request)?,
            Ok(Method::Replay) => {
                let fine = request.params.get("from_seq").and_then(whole).is_some();
                let code = if fine { 0 } else { Refusal::BadParameter.code() };
                self.owe(link, Some(client), &request.id, code);
            }
            _ => {
                let outcome = self.session.ask(client, &request.id, &request.method, &request.params);
                if let Outcome::Made { rooms, like, force } = outcome {
                    self.made(client, request, rooms, &like, force)?;
                }
                if request.method == "endRoom" && self.session.acks.last().is_some_and(|ack| ack.2 == 0) {
                    self.settle_acks();
                    self.end();
                }
            }
        }
        Ok(())
    }

    fn restart_ice(&mut self, link: LinkId, client: ClientId, request: &Request) -> Check {
        let waits = self.restarts.contains_key(&client)
            || self.arrivals.iter().any(|arrival| arrival.back.is_some_and(|(c, _)| c == client));
        if self.session.seats[&client].held_since.is_some() {
            self.refuse(link, Some(client), request, Refusal::NotConnected);
        } else if !request.params.get("sdp").is_some_and(Value::is_string) {
            self.refuse(link, Some(client), request, Refusal::BadParameter);
        } else if waits {
            self.refuse(link, Some(client), request, Refusal::RequestInProgress);
        } else if self.out.restarts.is_empty() {
            return Err(format!("no restart is passed on for {}", request.id));
        } else {
            let number = self.out.restarts.remove(0);
            self.restarts.insert(client, (request.id.clone(), self.now, number));
        }
        Ok(())
    }

    // Reports.

    pub fn reported(&mut self, report: MediaReport) -> Check {
        self.heard = Some(self.now);
        match report {
            MediaReport::Answered { participant, epoch, result } => {
                let at =
                    self.arrivals.iter().position(|a| a.participant == participant && a.epoch == Some(epoch));
                let Some(at) = at else { return Ok(()) };
                let arrival = self.arrivals.remove(at);
                return self.answered(&arrival, result.is_ok());
            }
            MediaReport::IceRestarted { participant, number, result } => {
                let client = self.clients.get(&participant).copied();
                let waits = client.filter(|c| self.restarts.get(c).is_some_and(|(.., of)| *of == number));
                if let Some((client, (id, ..))) = waits.and_then(|c| Some((c, self.restarts.remove(&c)?))) {
                    let code = if result.is_ok() { 0 } else { Refusal::BadParameter.code() };
                    self.owe_seat(client, &id, code);
                }
            }
            MediaReport::TransportUp { participant, epoch, .. } => {
                if let Some(client) = self.user_of(participant, epoch) {
                    self.session.dtls_done(client);
                }
            }
            MediaReport::TransportLost { participant, epoch, .. } => {
                if let Some(client) = self.user_of(participant, epoch) {
                    self.media_lost(client);
                }
            }
            MediaReport::Moved { batch, unknown, .. } => {
                let Some((_, participants)) = self.batches.remove(&batch) else { return Ok(()) };
                for participant in participants {
                    self.moved(participant, self.latest.get(&participant) == Some(&batch), &unknown);
                }
            }
            MediaReport::Slots { .. } | MediaReport::Talkers { .. } | MediaReport::Revoked { .. } => {}
        }
        Ok(())
    }

    fn moved(&mut self, participant: ParticipantId, newest: bool, unknown: &[ParticipantId]) {
        let Some(client) = self.clients.get(&participant).copied() else { return };
        if !newest || !self.session.seats.contains_key(&client) {
            return;
        }
        let enters = self.session.seats[&client].moving.is_some_and(|m| m.to != Place::Parent);
        if enters && unknown.contains(&participant) {
            self.session.cancel(client, Refusal::JoinFailed);
        } else {
            self.session.applied(client);
        }
    }

    /// Whose connection this is, if it is the one in use.
    fn user_of(&self, participant: ParticipantId, epoch: anteroom::base::Epoch) -> Option<ClientId> {
        let client = self.clients.get(&participant).copied()?;
        let current = self.connections.get(&participant) == Some(&epoch);
        (current && self.session.seats.contains_key(&client)).then_some(client)
    }

    fn owe_seat(&mut self, client: ClientId, id: &str, code: u16) {
        let link = self.known.get(&(client, id.to_owned())).map_or(LinkId(0), |known| known.link);
        self.owe(link, Some(client), id, code);
    }

    fn answered(&mut self, arrival: &Arrival, accepted: bool) -> Check {
        let Arrival { id, link, participant, .. } = arrival;
        let epoch = arrival.epoch.as_ref().ok_or("an answer to an offer that was not passed on")?;
        if let Some((client, knew)) = arrival.back {
            if accepted {
                self.connections.insert(*participant, *epoch);
                if let Some((id, ..)) = self.restarts.remove(&client) {
                    self.owe_seat(client, &id, Refusal::JoinFailed.code());
                }
                (self.session.seat(client).media, self.session.seat(client).dtls) = (true, false);
                if self.links.contains_key(link) {
                    self.attach(*link, client, arrival.given.clone());
                    self.owe(*link, Some(client), id, 0);
                } else {
                    // Nobody has the answer.
                    self.owe(*link, Some(client), id, Refusal::JoinFailed.code());
                    self.media_lost(client);
                }
                return Ok(());
            }
            if self.told.get(participant) == Some(epoch) {
                self.session.seat(client).known = knew;
            }
            self.owe(*link, Some(client), id, Refusal::BadParameter.code());
            return Ok(());
        }
        if !accepted {
            self.owe(*link, None, id, Refusal::BadParameter.code());
            return Ok(());
        }
        let ack = self.out.acks.iter().find(|ack| ack.id == *id).ok_or("no ack to an answered offer")?;
        let client: ClientId = ack.data["clientId"].as_str().and_then(|id| id.parse().ok()).ok_or("no id")?;
        self.clients.insert(*participant, client);
        self.connections.insert(*participant, *epoch);
        self.session.sit_down(client, arrival.role == Role::Moderator);
        self.attach(*link, client, None);
        self.owe(*link, Some(client), id, 0);
        Ok(())
    }

    fn media_lost(&mut self, client: ClientId) {
        if let Some((id, ..)) = self.restarts.remove(&client) {
            self.owe_seat(client, &id, Refusal::JoinFailed.code());
        }
        let signalling = self.session.seats[&client].signalling;
        self.session.connections(client, signalling, false);
    }

    /// The worker has forgotten everything.
    pub fn worker_is_lost(&mut self) -> Check {
        self.out.lost = true;
        for arrival in std::mem::take(&mut self.arrivals) {
            let client = arrival.back.map(|(client, _)| client);
            self.owe(arrival.link, client, &arrival.id, Refusal::JoinFailed.code());
        }
        self.batches.clear();
        for client in self.session.seats.keys().copied().collect::<Vec<_>>() {
            self.media_lost(client);
        }
        self.session.media_plane_lost();
        Ok(())
    }

    // Time.

    pub fn next_deadline(&self) -> Option<Time> {
        let batches = self.batches.values().map(|(at, _)| *at + BATCH);
        let answers = self.arrivals.iter().map(|arrival| arrival.at + ANSWER);
        let restarts = self.restarts.values().map(|(_, at, _)| *at + ANSWER);
        let empty = self.empty_since.map(|at| at + EMPTY);
        let seats = self.session.seats.values().flat_map(|seat| {
            let invitations = seat.invited.keys().filter_map(|room| seat.invitation_ends(*room));
            let held = seat.held_since.map(|since| since + HELD);
            invitations.chain(seat.joining_ends()).chain(held)
        });
        batches.chain(answers).chain(restarts).chain(empty).chain(seats).min()
    }

    pub fn tick(&mut self) -> Check {
        let now = self.now;
        let is_silent = self.batches.values().any(|(at, _)| *at + BATCH <= now);
        // An unanswered offer counts only where nothing else came meanwhile.
        let passed_on = self.arrivals.iter().filter(|arrival| arrival.epoch.is_some());
        let mut asked = passed_on.map(|arrival| arrival.at);
        let mut restarted = self.restarts.values().map(|(_, at, _)| *at);
        let is_due = asked.any(|at| at + ANSWER <= now) || restarted.any(|at| at + ANSWER <= now);
        let is_dumb = is_due && self.heard.is_none_or(|heard| heard + ANSWER <= now);
        if is_silent || is_dumb {
            if !self.out.fenced {
                return Err("a silent worker is not fenced".to_owned());
            }
            self.worker_is_lost()?;
        } else if self.out.fenced {
            return Err("a worker is fenced that owes nothing".to_owned());
        }
        while let Some(at) = self.arrivals.iter().position(|arrival| arrival.at + ANSWER <= now) {
            let arrival = self.arrivals.remove(at);
            let client = arrival.back.map(|(client, _)| client);
            self.owe(arrival.link, client, &arrival.id, Refusal::JoinFailed.code());
            if let Some(client) = client.filter(|_| arrival.epoch.is_some()) {
                self.media_lost(client);
            }
        }
        let late: Vec<_> = self.restarts.extract_if(.., |_, (_, at, _)| *at + ANSWER <= now).collect();
        for (client, (id, ..)) in late {
            self.owe_seat(client, &id, Refusal::JoinFailed.code());
        }
        self.session.tick(now);
        if self.empty_since.is_some_and(|at| at + EMPTY <= now) {
            self.end();
        }
        Ok(())
    }

    /// The session is over: everything that waits is answered, everybody leaves.
    fn end(&mut self) {
        for arrival in std::mem::take(&mut self.arrivals) {
            let client = arrival.back.map(|(client, _)| client);
            self.owe(arrival.link, client, &arrival.id, Refusal::JoinFailed.code());
        }
        for (client, (id, ..)) in std::mem::take(&mut self.restarts) {
            self.owe_seat(client, &id, Refusal::JoinFailed.code());
        }
        for client in self.session.seats.keys().copied().collect::<Vec<_>>() {
            self.session.stand_up(client);
        }
        self.settle_acks();
        for (link, _, request) in std::mem::take(&mut self.deferred) {
            self.refuse(link, None, &request, Refusal::NotConnected);
        }
        self.session = Session { now: self.now, ..self.fresh.clone() };
        (self.started, self.empty_since) = (false, None);
        self.batches.clear();
    }

    /// Acks that the model gave out become due.
    pub fn settle_acks(&mut self) {
        for (client, id, code) in std::mem::take(&mut self.session.acks) {
            self.owe_seat(client, &id, code);
        }
    }
}
