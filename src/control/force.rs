//! Forced joins, and `createAndInviteBreakoutRoom`: one ack after everybody is in or has failed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::context::Context;
use super::create::{Asked, Plan};
use super::denied::Denied;
use super::invite::{Picked, failures, invited};
use super::params::Params;
use super::reply::{Answer, ReplyTo};
use super::seat::{Cause, Join, Place, Stay, Stream};
use super::session::Session;
use crate::base::{BreakoutId, ClientId, Kind, Random};
use crate::control::settings::ForceBy;
use crate::message::{ParentFlags, Refusal, Role};

/// An operation that forces people and waits for them.
pub(super) struct Forced {
    reply: ReplyTo,
    by: ClientId,
    /// The number of the event before the request.
    before: u64,
    waiting: BTreeSet<ClientId>,
    failed: BTreeMap<String, Refusal>,
    report: Report,
}

/// What its ack says.
enum Report {
    Invite(Vec<ClientId>),
    Deal { created: Value, assignments: Assignments, unassigned: Vec<ClientId> },
}

type Assignments = BTreeMap<BreakoutId, Vec<ClientId>>;

impl Session {
    /// The forced kind of an invitation.
    pub(super) fn force_invited(
        &mut self,
        cx: &mut Context,
        by: ClientId,
        reply: &ReplyTo,
        room: BreakoutId,
        picked: Picked,
    ) -> Answer {
        if picked.clients.is_empty() {
            return Answer::Now(invited(&picked));
        }
        let Picked { clients, failed } = picked;
        let targets: Vec<(ClientId, BreakoutId)> = clients.iter().map(|client| (*client, room)).collect();
        let forced = Forced {
            reply: reply.clone(),
            by,
            before: self.log.seq(),
            waiting: clients.iter().copied().collect(),
            failed,
            report: Report::Invite(clients),
        };
        self.begin_forced(cx, &targets, forced);
        Answer::Later
    }

    /// Moves people as one step; those whose media connection is not there yet follow.
    fn begin_forced(&mut self, cx: &mut Context, targets: &[(ClientId, BreakoutId)], forced: Forced) {
        let operation = cx.next_operation();
        self.forced.insert(operation, forced);
        let mut ready = Vec::with_capacity(targets.len());
        for (client, room) in targets {
            let kinds = self.rooms.get(room).map(|room| room.kinds).unwrap_or_default();
            let stream = Stream { audio: kinds.contains(Kind::Audio), video: kinds.contains(Kind::Video) };
            let stay = Stay { room: *room, role: Role::Participant, stream, leg: ParentFlags::default() };
            let join = Join { stay, cause: Cause::Forced(operation), video_dropped: false, batch: None };
            if self.begin_join(cx, *client, join) {
                ready.push(*client);
            }
        }
        self.send_batch(cx, &ready);
    }

    /// One of the forced is in, or has failed.
    pub(super) fn settle_forced(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        cause: &Cause,
        failed: Option<Refusal>,
    ) {
        let Cause::Forced(operation) = cause else { return };
        let Some(forced) = self.forced.get_mut(operation) else { return };
        forced.waiting.remove(&client);
        if let Some(refusal) = failed {
            forced.failed.insert(client.to_string(), refusal);
        }
        if forced.waiting.is_empty()
            && let Some(forced) = self.forced.remove(operation)
        {
            self.finish_forced(cx, forced);
        }
    }

    fn finish_forced(&mut self, cx: &mut Context, forced: Forced) {
        let Forced { reply, by, before, failed, report, .. } = forced;
        let is_in = |client: &ClientId| !failed.contains_key(&client.to_string());
        match report {
            Report::Invite(mut clients) => {
                clients.retain(is_in);
                let nobody = clients.is_empty();
                let data = invited(&Picked { clients, failed });
                if nobody {
                    self.ack_failure(cx, by, &reply, None, data);
                } else {
                    self.ack_since(cx, by, &reply, before, data);
                }
            }
            Report::Deal { created, mut assignments, unassigned } => {
                assignments.values_mut().for_each(|clients| clients.retain(is_in));
                let data = dealt(created, &assignments, &unassigned, &failed);
                self.ack_since(cx, by, &reply, before, data);
            }
        }
    }

    pub(super) fn create_and_invite(
        &mut self,
        cx: &mut Context,
        client: ClientId,
        reply: &ReplyTo,
        params: Params<'_>,
    ) -> Result<Answer, Denied> {
        self.check_creator(cx, client)?;
        let asked = Asked::read(params)?;
        let may_force = self.moderators.contains(&client) || cx.settings.breakout.force_by == ForceBy::Owner;
        let force = params.optional_bool("force_join")?.unwrap_or(may_force);
        let include_moderators = params.optional_bool("include_moderators")?.unwrap_or(false);
        let seed = params.optional_whole("seed")?;
        let plan = self.plan_rooms(cx, &asked)?;
        if force && !may_force {
            return Err(Denied::new(
                Refusal::Forbidden,
                "Only moderators may move people without asking them.",
            ));
        }
        let before = self.log.seq();
        let (rooms, created) = self.make_rooms(cx, client, &plan);
        let mut random = seed.map_or_else(|| cx.random.fork(), Random::from_number);
        let (assignments, unassigned) = self.deal(client, &rooms, &plan, include_moderators, &mut random);
        let caller_moderates = self.moderators.contains(&client);
        let (mut asked, mut moved) = (Vec::new(), Vec::new());
        for (room, clients) in &assignments {
            for target in clients {
                // Nobody but a moderator moves a moderator without asking.
                let forced = force && (caller_moderates || !self.moderators.contains(target));
                if forced { &mut moved } else { &mut asked }.push((*target, *room));
            }
        }
        let expires_at = Self::default_expiry(cx);
        for (target, room) in asked {
            self.invite_one(cx, client, room, target, expires_at);
        }
        if moved.is_empty() {
            return Ok(Answer::Now(dealt(created, &assignments, &unassigned, &BTreeMap::new())));
        }
        let waiting = moved.iter().map(|(target, _)| *target).collect();
        let report = Report::Deal { created, assignments, unassigned };
        let forced =
            Forced { reply: reply.clone(), by: client, before, waiting, failed: BTreeMap::new(), report };
        self.begin_forced(cx, &moved, forced);
        Ok(Answer::Later)
    }

    /// Deals the people of the parent room round: sizes differ by one at most, and who does not fit
    /// stays.
    fn deal(
        &self,
        caller: ClientId,
        rooms: &[BreakoutId],
        plan: &Plan<'_>,
        include_moderators: bool,
        random: &mut Random,
    ) -> (Assignments, Vec<ClientId>) {
        let mut people: Vec<ClientId> = self
            .seats
            .values()
            .filter(|seat| seat.connected() && seat.place == Place::Parent && seat.movement.is_none())
            .filter(|seat| seat.client != caller && (include_moderators || !seat.is_moderator()))
            .map(|seat| seat.client)
            .collect();
        random.shuffle(&mut people);
        let seats = rooms.len().saturating_mul(usize::try_from(plan.participants).unwrap_or(usize::MAX));
        let unassigned = people.split_off(seats.min(people.len()));
        let mut assignments: Assignments = rooms.iter().map(|room| (*room, Vec::new())).collect();
        for (client, room) in people.into_iter().zip(rooms.iter().cycle()) {
            assignments.entry(*room).or_default().push(client);
        }
        (assignments, unassigned)
    }
}

fn dealt(
    mut created: Value,
    assignments: &Assignments,
    unassigned: &[ClientId],
    failed: &BTreeMap<String, Refusal>,
) -> Value {
    if let Value::Object(data) = &mut created {
        let assignments: serde_json::Map<String, Value> =
            assignments.iter().map(|(room, clients)| (room.to_string(), json!(clients))).collect();
        data.insert("assignments".to_owned(), Value::Object(assignments));
        data.insert("unassigned".to_owned(), json!(unassigned));
        data.insert("failed".to_owned(), json!(failures(failed)));
    }
    created
}
