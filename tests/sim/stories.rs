//! Stories: what happens is written down, and what has to come of it.

use std::time::Duration;

use anteroom::message::Method;
use anteroom::sim::{Simulation, SimulationOptions};
use serde_json::{Value, json};

use crate::anchor;
use crate::tally::Tally;

/// Moderators.
pub(crate) const MIA: usize = 0;
pub(crate) const MAX: usize = 1;
/// Participants: numbers 0 to 2 are moderators.
pub(crate) const PAT: usize = 3;
pub(crate) const POL: usize = 4;
pub(crate) const PIA: usize = 5;
const PATIENCE: Duration = Duration::from_secs(10);

/// Everybody is there, and Mia talks.
pub(crate) fn meeting(options: SimulationOptions) -> Simulation {
    let people = options.participants;
    let mut world = Simulation::story(options, anchor()).unwrap();
    assert!(world.wait_for(PATIENCE, |world| (0..people).all(|person| world.is_here(person))));
    world.talk(MIA, true);
    world
}

pub(crate) fn small(workers: u16) -> SimulationOptions {
    SimulationOptions { participants: 6, workers, ..SimulationOptions::default() }
}

/// Asks and waits for the answer.
pub(crate) fn ask(world: &mut Simulation, person: usize, method: Method, params: Value) -> Value {
    let id = world.ask(person, method, params).unwrap();
    assert!(world.wait_for(PATIENCE, |world| world.answer(person, &id).is_some()), "{}", method.name());
    world.answer(person, &id).unwrap().clone()
}

pub(crate) fn must(world: &mut Simulation, person: usize, method: Method, params: Value) -> Value {
    let answer = ask(world, person, method, params);
    assert_eq!(answer["result"], 0, "{}: {answer}", method.name());
    answer
}

pub(crate) fn code(answer: &Value) -> u64 {
    answer["result"].as_u64().unwrap()
}

/// What `createBreakOutRoom` is asked for.
pub(crate) fn plan(rooms: u64, open: bool) -> Value {
    json!({
        "participants": 5, "max_rooms": rooms, "open": open,
        "audio": true, "video": false, "canvas": true, "share": true,
    })
}

pub(crate) fn make_rooms(world: &mut Simulation, rooms: u64, open: bool) -> Vec<String> {
    let ack = must(world, MIA, Method::CreateBreakOutRoom, plan(rooms, open));
    ack["msg"]["rooms"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn entry(room: &str) -> Value {
    json!({"role": "participant", "room_id": room, "streamInfo": {"audio": true, "video": false, "share": true}})
}

pub(crate) fn guests(world: &Simulation, people: &[usize], room: &str) -> Value {
    let clients: Vec<_> = people.iter().map(|person| world.client(*person)).collect();
    json!({"clients": clients, "room_id": room})
}

fn with(mut params: Value, field: &str, value: Value) -> Value {
    params[field] = value;
    params
}

/// Nothing was violated, and nothing is left.
pub(crate) fn end(mut world: Simulation) {
    assert!(world.end(Duration::from_secs(200)), "the story does not end");
    let report = world.report();
    assert!(report.ok, "{:?}\n{:?}", report.by_invariant, report.examples);
}

/// An invitation lets in once, into a room that is not open.
pub(crate) fn an_invitation_is_used_once() -> Result<(), String> {
    let mut world = meeting(small(1));
    let room = make_rooms(&mut world, 1, false).remove(0);
    let params = guests(&world, &[PAT], &room);
    must(&mut world, MIA, Method::InviteToBreakOutRoom, params);
    must(&mut world, PAT, Method::JoinBreakOutRoom, entry(&room));
    must(&mut world, PAT, Method::Disconnect, json!({}));
    let again = ask(&mut world, PAT, Method::JoinBreakOutRoom, entry(&room));
    if code(&again) == 0 { Err(format!("it lets in twice: {again}")) } else { Ok(()) }
}

/// An invitation whose time is over lets nobody in.
pub(crate) fn an_invitation_that_is_over_lets_nobody_in() -> Result<(), String> {
    let mut world = meeting(small(1));
    let room = make_rooms(&mut world, 1, false).remove(0);
    let params = with(guests(&world, &[PAT], &room), "expires_in", json!(1));
    must(&mut world, MIA, Method::InviteToBreakOutRoom, params);
    world.advance(Duration::from_secs(2));
    let late = ask(&mut world, PAT, Method::JoinBreakOutRoom, entry(&room));
    if code(&late) == 0 { Err(format!("it lets in late: {late}")) } else { Ok(()) }
}

#[test]
fn invitations_let_in_once_and_in_time() {
    an_invitation_is_used_once().unwrap();
    an_invitation_that_is_over_lets_nobody_in().unwrap();
}

/// Who hears Mia after a while.
fn hear_mia(world: &mut Simulation) -> Vec<usize> {
    world.advance(Duration::from_secs(1));
    world.take_hearing();
    world.advance(Duration::from_secs(1));
    let hearing = world.take_hearing();
    hearing
        .iter()
        .filter(|(_, heard)| heard.iter().any(|(who, _)| *who == MIA))
        .map(|(who, _)| *who)
        .collect()
}

#[test]
fn every_operation_does_what_it_says() {
    for workers in [1, 3] {
        let mut world = meeting(small(workers));
        let rooms = make_rooms(&mut world, 2, true);
        let (room, other) = (&rooms[0], &rooms[1]);
        assert_eq!(hear_mia(&mut world), [MAX, 2, PAT, POL, PIA]);
        // In by oneself, by invitation, and by force.
        must(&mut world, PAT, Method::JoinBreakOutRoom, entry(room));
        let params = guests(&world, &[POL, PIA], room);
        must(&mut world, MIA, Method::InviteToBreakOutRoom, params);
        must(&mut world, POL, Method::RejectBreakOutRoom, json!({"room_id": room}));
        must(&mut world, PIA, Method::JoinBreakOutRoom, entry(room));
        let params = with(guests(&world, &[POL], other), "force_join", json!(true));
        must(&mut world, MIA, Method::InviteToBreakOutRoom, params);
        assert!(world.wait_for(PATIENCE, |world| world.room(POL) == other));
        assert_eq!(hear_mia(&mut world), [MAX, 2]);
        must(&mut world, MIA, Method::ListBreakoutRooms, json!({}));
        // Presenting here and there.
        must(&mut world, PAT, Method::StartScreenShare, json!({}));
        must(&mut world, PAT, Method::StopScreenShare, json!({}));
        must(&mut world, PIA, Method::StartCanvas, json!({}));
        must(&mut world, PIA, Method::StopCanvas, json!({}));
        // Switches and flags.
        must(&mut world, MIA, Method::SetMicrophone, json!({"on": false}));
        assert!(hear_mia(&mut world).is_empty());
        must(&mut world, MIA, Method::SetMicrophone, json!({"on": true}));
        must(&mut world, MIA, Method::SetCamera, json!({"on": false}));
        must(&mut world, MIA, Method::Pause, json!({"scope": "room"}));
        assert!(hear_mia(&mut world).is_empty());
        must(&mut world, MIA, Method::Resume, json!({"scope": "room"}));
        must(&mut world, MIA, Method::MuteRoom, json!({"scope": "room", "audio": true}));
        assert!(hear_mia(&mut world).is_empty());
        must(&mut world, MIA, Method::UnmuteRoom, json!({"scope": "room"}));
        assert_eq!(hear_mia(&mut world), [MAX, 2]);
        // Home, one by one and all at once.
        must(&mut world, PAT, Method::Disconnect, json!({}));
        assert_eq!(hear_mia(&mut world), [MAX, 2, PAT]);
        must(&mut world, MIA, Method::ClearAllBreakOutSession, json!({}));
        assert_eq!(hear_mia(&mut world), [MAX, 2, PAT, POL, PIA]);
        let params = with(plan(2, true), "force_join", json!(true));
        must(&mut world, MIA, Method::CreateAndInviteBreakoutRoom, params);
        world.advance(Duration::from_secs(2));
        must(&mut world, MIA, Method::DestroyAllBreakOutSession, json!({}));
        assert_eq!(hear_mia(&mut world), [MAX, 2, PAT, POL, PIA]);
        // Roles, removal and leaving.
        let (pat, pol) = (world.client(PAT), world.client(POL));
        must(&mut world, MIA, Method::SetRole, json!({"clientId": pat, "role": "moderator"}));
        must(&mut world, MIA, Method::SetRole, json!({"clientId": pat, "role": "participant"}));
        must(&mut world, MIA, Method::SetRoomMode, json!({"mode": "lecture"}));
        must(&mut world, MIA, Method::SetRoomMode, json!({"mode": "group"}));
        must(&mut world, MIA, Method::Replay, json!({"from_seq": 1}));
        must(&mut world, MIA, Method::RemoveParticipant, json!({"clientId": pol}));
        assert!(world.wait_for(PATIENCE, |world| !world.is_here(POL)));
        must(&mut world, PIA, Method::LeaveRoom, json!({}));
        end(world);
    }
}

/// F22: moves, joins and invitations that race each other and the end of the rooms.
#[test]
fn f22_races_have_one_legal_result() {
    let mut tally = Tally::of("faults", "F22");
    tally.count(12, "races of five requests");
    for workers in [1, 3] {
        for late in [0, 1, 5, 20, 60, 150] {
            let mut world = meeting(SimulationOptions { seed: late + 1, ..small(workers) });
            let rooms = make_rooms(&mut world, 2, true);
            let (room, other) = (&rooms[0], &rooms[1]);
            // Move while moving: the second wish is refused or comes after the first.
            let first = world.ask(PAT, Method::JoinBreakOutRoom, entry(room)).unwrap();
            let second = world.ask(PAT, Method::JoinBreakOutRoom, entry(other)).unwrap();
            let params = with(guests(&world, &[POL], room), "force_join", json!(true));
            world.ask(MIA, Method::InviteToBreakOutRoom, params).unwrap();
            world.ask(POL, Method::JoinBreakOutRoom, entry(other)).unwrap();
            let params = guests(&world, &[PIA], room);
            world.ask(MIA, Method::InviteToBreakOutRoom, params).unwrap();
            world.advance(Duration::from_millis(late));
            // A join races two destroys of two moderators.
            world.ask(PIA, Method::JoinBreakOutRoom, entry(other)).unwrap();
            let of_mia = world.ask(MIA, Method::DestroyAllBreakOutSession, json!({})).unwrap();
            let of_max = world.ask(MAX, Method::DestroyAllBreakOutSession, json!({})).unwrap();
            let again = world.ask(MIA, Method::DestroyAllBreakOutSession, json!({})).unwrap();
            let all = [(PAT, &first), (PAT, &second), (MIA, &of_mia), (MAX, &of_max), (MIA, &again)];
            let answered = |world: &Simulation| all.iter().all(|(who, id)| world.answer(*who, id).is_some());
            assert!(world.wait_for(PATIENCE, answered), "every request is answered");
            world.advance(Duration::from_secs(1));
            let ack = ask(&mut world, MIA, Method::ListBreakoutRooms, json!({}));
            assert!(ack["details"].as_array().is_none_or(Vec::is_empty), "rooms are left: {ack}");
            for person in 0..6 {
                assert_eq!(world.room(person), "sim", "person {person}, {late} ms, {workers} workers");
            }
            assert_eq!(hear_mia(&mut world), [MAX, 2, PAT, POL, PIA]);
            end(world);
        }
    }
}

/// Somebody loses everything in each state, and is back where it was.
#[test]
fn who_comes_back_is_where_it_was() {
    let soon = Duration::from_millis(700);
    for workers in [1, 3] {
        let mut world = meeting(small(workers));
        let room = make_rooms(&mut world, 1, true).remove(0);
        let back = |world: &mut Simulation, person: usize| {
            let before = world.client(person);
            assert!(world.wait_for(PATIENCE, |world| world.is_here(person)), "person {person} is not back");
            assert_eq!(world.client(person), before, "another seat");
        };
        // In the parent room, invited, joining, in a breakout room, and while everybody is brought home.
        world.lose(PAT, soon);
        back(&mut world, PAT);
        let params = guests(&world, &[PAT], &room);
        must(&mut world, MIA, Method::InviteToBreakOutRoom, params);
        world.lose(PAT, soon);
        back(&mut world, PAT);
        world.ask(PAT, Method::JoinBreakOutRoom, entry(&room)).unwrap();
        world.lose(PAT, soon);
        back(&mut world, PAT);
        let is_there = world.room(PAT) == room;
        if !is_there {
            must(&mut world, PAT, Method::JoinBreakOutRoom, entry(&room));
        }
        world.lose(PAT, soon);
        back(&mut world, PAT);
        assert_eq!(world.room(PAT), room);
        world.ask(MIA, Method::DestroyAllBreakOutSession, json!({})).unwrap();
        world.lose(PAT, soon);
        back(&mut world, PAT);
        assert!(world.wait_for(PATIENCE, |world| world.room(PAT) == "sim"));
        assert_eq!(hear_mia(&mut world), [MAX, 2, PAT, POL, PIA]);
        // A worker crashes, another is stuck for longer than a move may take.
        world.crash_worker(usize::from(workers) - 1);
        world.advance(Duration::from_secs(5));
        let room = make_rooms(&mut world, 1, true).remove(0);
        world.hang_worker(0, Duration::from_secs(4));
        world.ask(POL, Method::JoinBreakOutRoom, entry(&room)).unwrap();
        assert!(world.wait_for(PATIENCE, |world| (0..6).all(|person| world.is_here(person))));
        world.advance(Duration::from_secs(6));
        assert!(world.report().fenced > 0, "a worker that is stuck is fenced");
        assert!((0..6).all(|person| world.is_here(person)), "everybody is back");
        end(world);
    }
}
