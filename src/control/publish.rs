//! What the media plane is told that each group carries and each participant may publish.

use super::context::Context;
use super::seat::{Place, Seat};
use super::session::Session;
use crate::base::{ClientId, GroupId, Kind, KindSet};
use crate::message::{GroupSettings, MediaCommand, Placement, Presentation, Role, RoomMode, RoomSettings};

impl Session {
    /// The kinds that the parent room never carries.
    fn parent_kinds(&self) -> KindSet {
        let RoomSettings { audio, video, share, canvas, .. } = self.settings;
        [(Kind::Audio, audio), (Kind::Video, video), (Kind::Share, share), (Kind::Canvas, canvas)]
            .into_iter()
            .filter(|(_, on)| *on)
            .fold(KindSet::NONE, |kinds, (kind, _)| kinds.with(kind))
    }

    /// The kinds that a room carries, whatever the moment's flags are.
    pub(super) fn kinds_of(&self, place: &Place) -> KindSet {
        match place {
            Place::Parent => self.parent_kinds(),
            Place::Breakout(stay) => self.rooms.get(&stay.room).map_or(KindSet::NONE, |room| room.kinds),
        }
    }

    /// What a participant may publish at a place, which need not be where it is yet.
    fn publish_at(&self, seat: &Seat, place: &Place) -> KindSet {
        if self.mode == RoomMode::Lecture && seat.role != Role::Moderator {
            return KindSet::NONE;
        }
        let stream = match place {
            Place::Parent => (true, true),
            Place::Breakout(stay) => (stay.stream.audio, stay.stream.video),
        };
        let mut wanted = KindSet::NONE;
        if seat.microphone && stream.0 {
            wanted = wanted.with(Kind::Audio);
        }
        if seat.camera && stream.1 {
            wanted = wanted.with(Kind::Video);
        }
        if let Some(kind) = self.presents(seat)
            && same_room(place, &seat.place)
        {
            wanted = wanted.with(kind.kind());
        }
        wanted.and(self.kinds_of(place))
    }

    /// What somebody may publish who takes a seat now: both switches are on at first.
    pub(super) fn first_publish(&self, role: Role) -> KindSet {
        if self.mode == RoomMode::Lecture && role != Role::Moderator {
            return KindSet::NONE;
        }
        KindSet::of(&[Kind::Audio, Kind::Video]).and(self.parent_kinds())
    }

    /// What a participant presents where it is.
    pub(super) fn presents(&self, seat: &Seat) -> Option<Presentation> {
        let presenter = match seat.breakout() {
            None => self.presenter,
            Some(room) => self.rooms.get(&room).and_then(|room| room.presenter),
        };
        presenter.filter(|(client, _)| *client == seat.client).map(|(_, kind)| kind)
    }

    /// A new placement of a participant where it is meant to be.
    pub(super) fn place(&mut self, cx: &Context, client: ClientId) -> Option<Placement> {
        let seat = self.seats.get(&client)?;
        let target = seat.target();
        let group = self.group_at(&target)?;
        let publish = self.publish_at(seat, &target);
        let seat = self.seats.get_unsaved_mut(&client)?;
        let epoch = seat.next_epoch(cx.now);
        seat.sent = Some(super::seat::Sent { epoch, group, publish });
        Some(Placement { participant: seat.participant, group, epoch, publish })
    }

    /// The group of a place.
    pub(super) fn group_at(&self, place: &Place) -> Option<GroupId> {
        match place {
            Place::Parent => Some(self.group),
            Place::Breakout(stay) => self.rooms.get(&stay.room).map(|room| room.group),
        }
    }

    /// Tells the worker what a participant may publish, if that has changed.
    pub(super) fn sync_publish(&mut self, cx: &mut Context, client: ClientId) {
        let Some(seat) = self.seats.get(&client) else { return };
        let publish = self.publish_at(seat, &seat.target());
        let Some(seat) = self.seats.get_unsaved_mut(&client) else { return };
        let participant = seat.participant;
        let Some(sent) = &mut seat.sent else { return };
        if sent.publish != publish {
            sent.publish = publish;
            let command = MediaCommand::SetPublish { participant, epoch: sent.epoch, publish };
            self.tell_workers(cx, &command);
        }
    }

    pub(super) fn sync_everybody(&mut self, cx: &mut Context) {
        let clients: Vec<ClientId> = self.seats.keys().copied().collect();
        for client in clients {
            self.sync_publish(cx, client);
        }
    }

    fn blocked(&self, group: GroupId) -> KindSet {
        if group != self.group {
            let kinds = self.rooms.values().find(|room| room.group == group).map(|room| room.kinds);
            return KindSet::ALL.minus(kinds.unwrap_or(KindSet::NONE));
        }
        if self.flags.paused {
            return KindSet::ALL;
        }
        let mut blocked = KindSet::ALL.minus(self.parent_kinds());
        if self.flags.audio_muted {
            blocked = blocked.with(Kind::Audio);
        }
        if self.flags.video_muted {
            blocked = blocked.with(Kind::Video);
        }
        blocked
    }

    /// Tells the worker what a group is like, if that has changed.
    pub(super) fn sync_group(&mut self, cx: &mut Context, group: GroupId) {
        let max_active_talkers = self.settings.max_active_talkers;
        let settings = GroupSettings { group, max_active_talkers, blocked: self.blocked(group) };
        if self.groups.insert(group, settings) != Some(settings) {
            self.tell_workers(cx, &MediaCommand::SetGroup(settings));
        }
    }

    pub(super) fn end_group(&mut self, cx: &mut Context, group: GroupId) {
        self.groups.remove(&group);
        cx.groups.remove(&group);
        self.tell_workers(cx, &MediaCommand::EndGroup(group));
    }
}

fn same_room(a: &Place, b: &Place) -> bool {
    match (a, b) {
        (Place::Parent, Place::Parent) => true,
        (Place::Breakout(a), Place::Breakout(b)) => a.room == b.room,
        _ => false,
    }
}
