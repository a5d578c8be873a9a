//! Rooms that were made, and people who were dealt out to them.

use std::time::Duration;

use anteroom::base::{BreakoutId, ClientId};
use anteroom::message::{BreakoutDetails, Event, Request};
use serde_json::Value;

use super::session::Room;
use super::world::{Check, ROOM, World};

impl World {
    pub fn made(
        &mut self,
        who: ClientId,
        request: &Request,
        rooms: u64,
        like: &Room,
        force: Option<bool>,
    ) -> Check {
        let at = self.out.log.iter().position(|event| matches!(event, Event::BreakoutRoomCreated { .. }));
        if at.is_none() && self.control.inspect(ROOM).is_none() {
            // Both waited, this and what ended the session: its events are gone with it, and the rooms as well.
            if force.is_some() {
                let op = self.session.start_op(who, &request.id);
                self.session.op(op).succeeded = true;
                self.session.finish(op);
            }
            return Ok(());
        }
        let at = at.ok_or("no rooms were made")?;
        let Event::BreakoutRoomCreated { creator, rooms: details } = self.out.log.remove(at) else {
            unreachable!()
        };
        if creator.id != who || details.len() as u64 != rooms {
            return Err(format!("{rooms} rooms of {who}, not {details:?} of {creator:?}"));
        }
        for BreakoutDetails { room, .. } in &details {
            self.made.push(*room);
            self.session.rooms.insert(*room, like.clone());
        }
        let Some(force) = force else { return Ok(()) };
        let ids: Vec<BreakoutId> = details.iter().map(|details| details.room).collect();
        let with_moderators = request.params.get("include_moderators").and_then(Value::as_bool) == Some(true);
        let op = self.session.start_op(who, &request.id);
        self.session.op(op).succeeded = true;
        self.deal(who, op, &ids, like.participants, force, with_moderators)?;
        self.session.finish(op);
        Ok(())
    }

    /// Who was dealt out is seen in the events; that it was fair is checked.
    fn deal(
        &mut self,
        who: ClientId,
        op: u64,
        rooms: &[BreakoutId],
        size: u64,
        force: bool,
        with_moderators: bool,
    ) -> Check {
        let session = &self.session;
        let may = |id: &ClientId| {
            let seat = &session.seats[id];
            let free = seat.held_since.is_none() && seat.stays_in_parent() && *id != who;
            free && (with_moderators || !session.is_moderator(*id))
        };
        let mut people: Vec<ClientId> = session.seats.keys().copied().filter(may).collect();
        let assigned = people.len().min(rooms.len() * usize::try_from(size).unwrap());
        let mut sizes = vec![0_usize; rooms.len()];
        let (mut forced, mut invited) = (Vec::new(), Vec::new());
        for event in &self.out.log {
            let (client, room) = match event {
                Event::BreakoutRoomJoining { client, room, forced: true, .. } => (*client, *room),
                Event::BreakoutRoomInvited { person, invitation } => (person.id, invitation.room),
                _ => continue,
            };
            let Some(at) = rooms.iter().position(|id| *id == room) else { continue };
            let by_force = matches!(event, Event::BreakoutRoomJoining { .. });
            let before = people.len();
            people.retain(|id| *id != client);
            let should = force && (session.is_moderator(who) || !session.is_moderator(client));
            if people.len() == before || by_force != should {
                return Err(format!("{client} should not be dealt out like this: {event:?}"));
            }
            sizes[at] += 1;
            if by_force { &mut forced } else { &mut invited }.push((client, room));
        }
        let spread = sizes.iter().max().unwrap() - sizes.iter().min().unwrap();
        if spread > 1 || sizes.iter().sum::<usize>() != assigned {
            return Err(format!("{sizes:?} is no fair deal of {assigned}"));
        }
        let deadline = Some(self.now + Duration::from_secs(120));
        invited.into_iter().for_each(|(client, room)| self.session.invite(client, room, (who, deadline)));
        forced.into_iter().for_each(|(client, room)| self.session.force(client, op, room));
        Ok(())
    }
}
