//! Whether control's view shows what the model holds, and section 6 of the contract on the view alone.

use std::collections::{BTreeMap, BTreeSet};

use anteroom::base::{ClientId, Kind, KindSet};
use anteroom::control::{BreakoutState, InvitationView, PlaceView, RoomView, SeatView, SessionView};
use anteroom::message::{ParentFlags, Presentation, Role, RoomMode};

use super::session::{HELD, Place, RoomState, Seat, Session};

fn same<T: PartialEq + std::fmt::Debug>(
    what: impl Fn() -> String,
    is: &T,
    expected: &T,
) -> Result<(), String> {
    if is == expected { Ok(()) } else { Err(format!("{}: {is:?}, but the model says {expected:?}", what())) }
}

fn role(as_moderator: bool) -> Role {
    if as_moderator { Role::Moderator } else { Role::Participant }
}

fn place_of(seat: &Seat) -> PlaceView {
    match (seat.place, seat.moving) {
        (Place::Breakout(room), _) => PlaceView::Breakout { room, role: role(seat.as_moderator) },
        (Place::Parent, Some(moving)) => match moving.to {
            Place::Breakout(room) => PlaceView::Joining { room, role: role(moving.as_moderator) },
            Place::Parent => PlaceView::Parent,
        },
        (Place::Parent, None) => PlaceView::Parent,
    }
}

fn presenter_of(session: &Session, place: Place) -> Option<(ClientId, Presentation)> {
    let presentation = |kind| if kind == Kind::Share { Presentation::Screen } else { Presentation::Canvas };
    session.presenting.get(&place).map(|(who, kind)| (*who, presentation(*kind)))
}

/// Compares everything that both know.
pub fn compare(session: &Session, view: &SessionView) -> Result<(), String> {
    let whole = |what: &'static str| move || what.to_owned();
    let mode = if session.lecture { RoomMode::Lecture } else { RoomMode::Group };
    same(whole("mode"), &view.mode, &mode)?;
    same(whole("room layer"), &view.flags, &session.flags)?;
    same(whole("presenter"), &view.presenter, &presenter_of(session, Place::Parent))?;
    let seats = || session.seats.keys().copied().collect::<BTreeSet<_>>();
    same(whole("seats"), &view.seats.keys().copied().collect(), &seats())?;
    for (who, seat) in &session.seats {
        compare_seat(*who, seat, &view.seats[who])?;
    }
    let invited = session.seats.iter().flat_map(|(who, seat)| {
        seat.invited.iter().map(|(room, (inviter, expires_at))| {
            ((*room, *who), InvitationView { inviter: *inviter, expires_at: *expires_at })
        })
    });
    same(whole("invitations"), &view.invitations, &invited.collect())?;
    same(whole("rooms"), &view.rooms.keys().copied().collect(), &session.live())?;
    for (id, room) in &view.rooms {
        compare_room(session, *id, room)?;
    }
    Ok(())
}

fn compare_seat(who: ClientId, seat: &Seat, view: &SeatView) -> Result<(), String> {
    let of = |what: &'static str| move || format!("{what} of {who}");
    same(of("role"), &view.role, &role(seat.moderator))?;
    same(of("place"), &view.place, &place_of(seat))?;
    same(of("held"), &view.held_until, &seat.held_since.map(|at| at + HELD))?;
    same(of("leg"), &view.leg, &seat.leg)?;
    same(of("microphone"), &view.microphone, &seat.microphone)?;
    same(of("camera"), &view.camera, &seat.camera)
}

fn compare_room(session: &Session, id: anteroom::base::BreakoutId, view: &RoomView) -> Result<(), String> {
    let of = |what: &'static str| move || format!("{what} of {id}");
    let room = &session.rooms[&id];
    let place = Place::Breakout(id);
    let there = session.seats.iter().filter(|(_, seat)| seat.place == place);
    let members: BTreeMap<_, _> = there.map(|(who, seat)| (*who, role(seat.as_moderator))).collect();
    let on_the_way = session.seats.iter().filter_map(|(who, seat)| Some((*who, seat.moving?)));
    let joining = on_the_way.filter(|(_, m)| m.to == place).map(|(who, m)| (who, role(m.as_moderator)));
    let state = match room.state {
        _ if !members.is_empty() => BreakoutState::Active,
        RoomState::Cleared => BreakoutState::Cleared,
        _ => BreakoutState::Created,
    };
    same(of("members"), &view.members, &members)?;
    same(of("joining"), &view.joining, &joining.collect())?;
    same(of("state"), &view.state, &state)?;
    same(of("owner"), &view.owner, &room.owner)?;
    same(of("seats"), &u64::from(view.participants), &room.participants)?;
    same(of("kinds"), &view.kinds, &room.kinds)?;
    same(of("open"), &view.open, &room.open)?;
    same(of("presenter"), &view.presenter, &presenter_of(session, place))
}

/// What of this seat's media flows where it is.
pub fn flows(session: &Session, who: ClientId) -> KindSet {
    let seat = &session.seats[&who];
    let mut kinds = KindSet::NONE;
    kinds = if seat.microphone { kinds.with(Kind::Audio) } else { kinds };
    kinds = if seat.camera { kinds.with(Kind::Video) } else { kinds };
    kinds = kinds.and(seat.stream);
    if let Some((_, kind)) = session.presenting.get(&seat.place).filter(|(presenter, _)| *presenter == who) {
        kinds = kinds.with(*kind);
    }
    if let Place::Breakout(room) = seat.place {
        return kinds.and(session.rooms[&room].kinds);
    }
    if session.flags.paused || (session.lecture && !seat.moderator) {
        return KindSet::NONE;
    }
    kinds = if session.flags.audio_muted { kinds.without(Kind::Audio) } else { kinds };
    kinds = if session.flags.video_muted { kinds.without(Kind::Video) } else { kinds };
    kinds.and(session.carried)
}

/// Section 6 of the contract, as far as one look at the state tells.
pub fn invariants(view: &SessionView) -> Result<(), String> {
    let ensure = |fine: bool, what: &str| if fine { Ok(()) } else { Err(format!("broken: {what}")) };
    ensure(view.rooms.len() <= 10, "live rooms never exceed 10")?;
    ensure(view.mode == RoomMode::Group || view.rooms.is_empty(), "no live rooms in lecture mode")?;
    for room in view.rooms.values() {
        let all = || room.members.iter().chain(&room.joining);
        let seats = |wanted| all().filter(|(_, role)| **role == wanted).count();
        ensure(seats(Role::Participant) <= room.participants as usize, "never more than `participants`")?;
        let talkers = usize::from(view.settings.max_active_talkers);
        ensure(seats(Role::Moderator) <= talkers, "never more moderators than can be heard")?;
        ensure(room.members.keys().all(|who| !room.joining.contains_key(who)), "one seat each")?;
        let presents = |who: &ClientId| room.members.contains_key(who);
        ensure(room.presenter.iter().all(|(who, _)| presents(who)), "a presenter is in the room")?;
        ensure(all().all(|(who, _)| view.seats.contains_key(who)), "members have seats")?;
    }
    for (who, seat) in &view.seats {
        let rooms = view.rooms.iter().filter(|(_, room)| room.members.contains_key(who));
        let rooms: Vec<_> = rooms.map(|(id, _)| *id).collect();
        ensure(rooms == seat.breakout().into_iter().collect::<Vec<_>>(), "a member of just the own place")?;
        ensure(seat.away() || seat.leg == ParentFlags::default(), "leg flags are for those away")?;
        let presents = view.presenter.is_some_and(|(presenter, _)| presenter == *who);
        ensure(!presents || !seat.away(), "a presenter in the parent is in the parent")?;
        let presents = presents || view.rooms.values().any(|r| r.presenter.is_some_and(|(p, _)| p == *who));
        ensure(!presents || seat.held_until.is_none(), "who is Held presents nothing")?;
    }
    for (room, who) in view.invitations.keys() {
        ensure(view.rooms.contains_key(room), "no invitation to a dead room")?;
        let there = view.seats.get(who).is_some_and(|seat| !seat.away());
        ensure(there, "no invitation of somebody away or gone")?;
    }
    Ok(())
}

/// After destroy-all: nothing of the breakouts is left.
pub fn nothing_left(view: &SessionView) -> Result<(), String> {
    let home =
        view.seats.values().all(|seat| seat.place == PlaceView::Parent && seat.leg == ParentFlags::default());
    let clean = view.rooms.is_empty() && view.invitations.is_empty() && view.flags == ParentFlags::default();
    if home && clean { Ok(()) } else { Err("broken: destroy-all leaves something".to_owned()) }
}
