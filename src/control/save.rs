//! What of a session is saved, and a session made of it again after a crash.

use std::collections::BTreeSet;

use super::answers::Answers;
use super::breakout::Breakout;
use super::context::{Context, SeatRef, SessionId};
use super::deadline::{Deadline, HELD_FOR};
use super::reconnect::returns;
use super::seat::{Media, Place, Seat, Stay, Stream};
use super::session::Session;
use super::view::InvitationView;
use crate::base::{BreakoutId, ClientId};
use crate::message::Role;
use crate::message::saved::{
    Change, Key, Part, Record, SavedHead, SavedInvitation, SavedRoom, SavedSeat, SavedStay,
};

/// What is saved of a session beside its seats, rooms and invitations.
#[derive(Default)]
pub(super) struct SavedMarks {
    /// The fingerprint of its head, and the number of an event in it.
    head: Option<(u64, u64)>,
    /// The newest of its destroyed rooms.
    destroyed: Option<BreakoutId>,
}

/// Saved records that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("saved records do not fit together: {0}")]
pub struct Misfit(String);

impl Misfit {
    fn of(key: &Key, what: &str) -> Self {
        Self(format!("{what} ({:?} of session {})", key.part, key.session))
    }

    pub(super) fn headless(key: &Key) -> Self {
        Self::of(key, "a session has no head")
    }

    pub(super) fn twice(key: &Key) -> Self {
        Self::of(key, "two sessions have one name")
    }
}

impl Session {
    /// Adds what differs from what is saved, and takes it for saved.
    pub(super) fn changes(&mut self, out: &mut Vec<Change>) {
        let session = self.id.0;
        let mut add = |part, record| out.push(Change { key: Key { session, part }, record });
        self.seats.changed(Seat::record, |client, record| add(Part::Seat(client), record));
        self.rooms.changed(Breakout::record, |room, record| add(Part::Room(room), record));
        self.invitations.changed(
            |invitation| {
                let InvitationView { inviter, expires_at } = *invitation;
                Record::Invitation(SavedInvitation { inviter, expires_at })
            },
            |(room, client), record| add(Part::Invitation(room, client), record),
        );
        self.expired
            .changed(|()| Record::Expired, |(room, client), record| add(Part::Expired(room, client), record));
        self.head_change(out);
        self.destroyed_change(out);
    }

    fn head_change(&mut self, out: &mut Vec<Change>) {
        let head = Record::Head(SavedHead {
            name: self.name.to_string(),
            settings: self.settings.clone(),
            mode: self.mode,
            by_admin: self.by_admin,
            flags: self.flags.into(),
            made: self.made,
            seq: self.log.seq(),
        });
        let (fingerprint, seq) = (head.fingerprint(), self.log.seq());
        let holds = self.saved.head.is_some_and(|(saved, number)| {
            saved == fingerprint && seq <= number.saturating_add(SavedHead::UNSAVED_EVENTS)
        });
        if !holds {
            self.saved.head = Some((fingerprint, seq));
            out.push(Change { key: Key { session: self.id.0, part: Part::Head }, record: Some(head) });
        }
    }

    fn destroyed_change(&mut self, out: &mut Vec<Change>) {
        let newest = self.destroyed.back().copied();
        if self.saved.destroyed != newest {
            self.saved.destroyed = newest;
            let rooms = Record::Destroyed(self.destroyed.iter().copied().collect());
            out.push(Change { key: Key { session: self.id.0, part: Part::Destroyed }, record: Some(rooms) });
        }
    }

    /// Forgets what may differ from what is saved: nothing is saved on this node.
    pub(super) fn save_nothing(&mut self) {
        self.seats.settle();
        self.rooms.settle();
        self.invitations.settle();
        self.expired.settle();
    }

    /// Adds that nothing of this session is saved any more: it has ended.
    pub(super) fn forget_saved(&mut self, out: &mut Vec<Change>) {
        let session = self.id.0;
        let head = self.saved.head.take().map(|_| Part::Head);
        let destroyed = self.saved.destroyed.take().map(|_| Part::Destroyed);
        let parts = head
            .into_iter()
            .chain(destroyed)
            .chain(self.seats.forget_saved().map(Part::Seat))
            .chain(self.rooms.forget_saved().map(Part::Room))
            .chain(self.invitations.forget_saved().map(|(room, client)| Part::Invitation(room, client)))
            .chain(self.expired.forget_saved().map(|(room, client)| Part::Expired(room, client)));
        out.extend(parts.map(|part| Change { key: Key { session, part }, record: None }));
    }

    /// A session as it was saved. Everybody in it is Held from now on, as if all had lost both their
    /// connections.
    pub(super) fn restored(cx: &mut Context, id: SessionId, head: SavedHead) -> Self {
        let fingerprint = Record::Head(head.clone()).fingerprint();
        let SavedHead { name, settings, mode, by_admin, flags, made, seq } = head;
        let mut session = Self::bare(cx, id, &name, settings, by_admin);
        (session.mode, session.flags, session.made) = (mode, flags.into(), made);
        session.saved.head = Some((fingerprint, seq));
        // Nobody was told a higher number before the crash.
        session.log.go_on_after(seq.saturating_add(SavedHead::UNSAVED_EVENTS));
        session
    }

    /// Puts back the parts of a session, and makes it known to the media plane.
    pub(super) fn restore_parts(
        &mut self,
        cx: &mut Context,
        mut parts: Vec<(Key, Record)>,
    ) -> Result<(), Misfit> {
        // Rooms come before who is in them, and both before invitations.
        let order = |key: &Key| match key.part {
            Part::Head | Part::Destroyed | Part::Room(_) => 0,
            Part::Seat(_) => 1,
            Part::Invitation(..) | Part::Expired(..) => 2,
        };
        parts.sort_by_key(|(key, _)| order(key));
        for (key, record) in parts {
            self.restore_part(cx, &key, record)?;
        }
        self.take_up(cx)
    }

    fn restore_part(&mut self, cx: &mut Context, key: &Key, record: Record) -> Result<(), Misfit> {
        let fingerprint = record.fingerprint();
        match (key.part, record) {
            (Part::Destroyed, Record::Destroyed(rooms)) => {
                self.saved.destroyed = rooms.last().copied();
                self.destroyed = rooms.into();
            }
            (Part::Room(id), Record::Room(room)) => {
                let group = cx.next_group(self.id);
                self.rooms.restore(id, Breakout::restored(id, group, room), fingerprint);
            }
            (Part::Seat(client), Record::Seat(saved)) => {
                let seat = self
                    .restored_seat(cx, client, saved)
                    .ok_or_else(|| Misfit::of(key, "somebody is in a breakout room that is not there"))?;
                self.seats.restore(client, seat, fingerprint);
                self.deadlines.set(Deadline::Held(client), cx.now + HELD_FOR);
            }
            (Part::Invitation(room, client), Record::Invitation(saved)) => {
                self.must_have(key, room, client)?;
                let SavedInvitation { inviter, expires_at } = saved;
                let view = InvitationView { inviter, expires_at };
                self.invitations.restore((room, client), view, fingerprint);
                if let Some(at) = expires_at {
                    self.deadlines.set(Deadline::Invitation(room, client), at);
                }
            }
            (Part::Expired(room, client), Record::Expired) => {
                self.must_have(key, room, client)?;
                self.expired.restore((room, client), (), fingerprint);
            }
            _ => return Err(Misfit::of(key, "a record is not what its key says")),
        }
        Ok(())
    }

    fn must_have(&self, key: &Key, room: BreakoutId, client: ClientId) -> Result<(), Misfit> {
        if self.rooms.contains_key(&room) && self.seats.contains_key(&client) {
            return Ok(());
        }
        Err(Misfit::of(key, "an invitation names somebody or a room that is not there"))
    }

    /// Puts people where their seats say; nothing if there is no such room.
    fn restored_seat(&mut self, cx: &mut Context, client: ClientId, saved: SavedSeat) -> Option<Seat> {
        let SavedSeat { name, role, since, microphone, camera, stay, resume, previous, .. } = saved;
        let place = match stay {
            None => {
                self.parent.insert(client);
                Place::Parent
            }
            Some(stay) => {
                let room = self.rooms.get_unsaved_mut(&stay.room)?;
                room.members.insert(client, stay.role);
                Place::Breakout(stay.into())
            }
        };
        if role == Role::Moderator {
            self.moderators.insert(client);
        }
        let seq = self.log.seq();
        Some(Seat {
            client,
            participant: cx.next_participant(SeatRef { session: self.id, client }),
            worker: self.take_worker(cx),
            name: name.into(),
            role,
            since,
            microphone,
            camera,
            place,
            movement: None,
            link: None,
            media: Media::Lost,
            held_until: Some(cx.now + HELD_FOR),
            sent: None,
            epoch: saved.epoch,
            confirmed: saved.epoch,
            connection: saved.epoch,
            connecting: None,
            restarting: None,
            slots: [].into(),
            resume,
            previous,
            token: (saved.token_name, saved.token_expires),
            answers: Answers::default(),
            returns: returns(),
            last_event: seq,
            last_forgotten: seq,
        })
    }

    /// Once all parts are back: owners are there, and the media plane is told of the groups.
    fn take_up(&mut self, cx: &mut Context) -> Result<(), Misfit> {
        let owners: BTreeSet<ClientId> = self.rooms.values().filter_map(|room| room.owner).collect();
        if let Some(missing) = owners.iter().find(|owner| !self.seats.contains_key(owner)) {
            let key = Key { session: self.id.0, part: Part::Seat(*missing) };
            return Err(Misfit::of(&key, "the owner of a breakout room has no seat"));
        }
        let groups: Vec<_> = self.rooms.values().map(|room| room.group).chain([self.group]).collect();
        for group in groups {
            self.sync_group(cx, group);
        }
        self.mind_emptiness(cx);
        Ok(())
    }
}

impl Seat {
    fn record(&self) -> Record {
        Record::Seat(SavedSeat {
            name: self.name.to_string(),
            role: self.role,
            since: self.since,
            microphone: self.microphone,
            camera: self.camera,
            stay: self.stay().map(|stay| (*stay).into()),
            resume: self.resume,
            previous: self.previous,
            token_name: self.token.0.clone(),
            token_expires: self.token.1,
            // Those that its client was never told of may be given again.
            epoch: self.confirmed.max(self.connection),
        })
    }
}

impl From<Stay> for SavedStay {
    fn from(stay: Stay) -> Self {
        let Stay { room, role, stream, leg } = stay;
        Self { room, role, audio: stream.audio, video: stream.video, leg: leg.into() }
    }
}

impl From<SavedStay> for Stay {
    fn from(saved: SavedStay) -> Self {
        let SavedStay { room, role, audio, video, leg } = saved;
        Self { room, role, stream: Stream { audio, video }, leg: leg.into() }
    }
}

impl Breakout {
    fn record(&self) -> Record {
        Record::Room(SavedRoom {
            name: self.name.to_string(),
            owner: self.owner,
            participants: self.participants,
            kinds: self.kinds,
            open: self.open,
            cleared: self.cleared,
        })
    }

    fn restored(id: BreakoutId, group: crate::base::GroupId, saved: SavedRoom) -> Self {
        let SavedRoom { name, owner, participants, kinds, open, cleared } = saved;
        Self {
            id,
            name: name.into(),
            group,
            owner,
            participants,
            kinds,
            open,
            cleared,
            members: std::collections::BTreeMap::new(),
            joining: std::collections::BTreeMap::new(),
            presenter: None,
        }
    }
}
