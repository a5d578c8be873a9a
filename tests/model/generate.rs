//! Random steps: mostly what people do, often what they should not, sometimes nonsense.

use anteroom::base::Random;
use anteroom::message::{Method, Role};
use serde_json::{Map, Value, json};

use super::session::{Place, Session};
use super::step::{Dtls, Offer, PEOPLE, Step};

/// The shape of one session, drawn from its seed.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many of [`PEOPLE`] take part.
    pub people: usize,
    /// How many in a hundred steps are about connections and the worker rather than requests.
    pub trouble: u64,
    /// How many in a hundred requests are malformed.
    pub nonsense: u64,
}

impl Habits {
    pub fn draw(random: &mut Random) -> Self {
        let people = 4 + pick(random, 9);
        let trouble = [4, 15, 35][pick(random, 3)];
        let nonsense = [0, 3, 10][pick(random, 3)];
        Self { people, trouble, nonsense }
    }
}

/// What the generator may know of the person it makes act.
pub trait Known {
    fn session(&self) -> &Session;
    fn seat_of(&self, who: usize) -> Option<&super::session::Seat>;
    /// Whether this person had a seat that may still be resumed.
    fn may_resume(&self, who: usize) -> bool;
    fn is_prompt(&self) -> bool;
}

fn pick(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(u64::try_from(bound).unwrap())).unwrap()
}

fn one<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[pick(random, of.len())]
}

fn chance(random: &mut Random, percent: u64) -> bool {
    random.below(100) < percent
}

fn offer(random: &mut Random) -> Offer {
    match random.below(20) {
        0 => Offer::Refused,
        1..=4 => Offer::Good(Dtls::Later),
        _ => Offer::Good(Dtls::AtOnce),
    }
}

/// The next step.
pub fn step(random: &mut Random, habits: &Habits, known: &impl Known) -> Step {
    let who = pick(random, habits.people);
    if !known.is_prompt() && chance(random, 45) {
        return match random.below(8) {
            0 => Step::Prompt(true),
            1 => Step::Wait { millis: random.below(2_500) },
            _ => Step::Work {
                commands: pick(random, 4),
                reports: pick(random, 3),
                overtake: chance(random, 30),
            },
        };
    }
    if known.seat_of(who).is_none() {
        let role = if chance(random, 35) { Role::Moderator } else { Role::Participant };
        return if known.may_resume(who) && chance(random, 20) {
            Step::Resume { who, offer: Some(offer(random)), over_new: true, by_old: false }
        } else {
            Step::Join { who, role, offer: offer(random) }
        };
    }
    if known.seat_of(who).is_some_and(|seat| seat.held_since.is_some()) && chance(random, 40) {
        let lost = known.seat_of(who).is_some_and(|seat| !seat.media);
        let offer = (lost || chance(random, 30)).then(|| offer(random));
        return resume(random, who, offer);
    }
    if chance(random, habits.trouble) { trouble(random, who) } else { request(random, habits, who, known) }
}

fn resume(random: &mut Random, who: usize, offer: Option<Offer>) -> Step {
    let draw = random.below(100);
    Step::Resume { who, offer, over_new: draw < 55, by_old: (45..65).contains(&draw) }
}

fn trouble(random: &mut Random, who: usize) -> Step {
    match random.below(40) {
        0..=5 => Step::Unplug { who },
        6..=9 => Step::LoseMedia { who },
        10..=12 => {
            let offer = chance(random, 50).then(|| offer(random));
            resume(random, who, offer)
        }
        13..=19 => Step::DtlsDone { who },
        20..=24 => Step::Prompt(false),
        25 => Step::Crash,
        26..=28 => Step::Chatter,
        29..=31 => Step::Repeat { who },
        32..=34 => Step::Wait { millis: random.below(4_000) },
        35..=37 => Step::Wait { millis: random.below(20_000) },
        38 => Step::Wait { millis: 25_000 + random.below(20_000) },
        _ => Step::Wait { millis: random.below(140_000) },
    }
}

fn request(random: &mut Random, habits: &Habits, who: usize, known: &impl Known) -> Step {
    let method = method(random, known.seat_of(who).is_some_and(|seat| seat.place != Place::Parent));
    let mut params = params(random, method, known);
    if chance(random, habits.nonsense) {
        spoil(random, &mut params);
    }
    let name = if chance(random, habits.nonsense) && chance(random, 10) {
        "danceBreakOutRoom".to_owned()
    } else {
        method.name().to_owned()
    };
    Step::Ask { who, method: name, params: Value::Object(params) }
}

fn method(random: &mut Random, away: bool) -> Method {
    if away && chance(random, 30) {
        return Method::Disconnect;
    }
    match random.below(200) {
        0..=17 => Method::CreateBreakOutRoom,
        18..=23 => Method::CreateAndInviteBreakoutRoom,
        24..=63 => Method::InviteToBreakOutRoom,
        64..=109 => Method::JoinBreakOutRoom,
        110..=117 => Method::RejectBreakOutRoom,
        118..=121 => Method::Pause,
        122..=125 => Method::Resume,
        126..=130 => Method::MuteRoom,
        131..=135 => Method::UnmuteRoom,
        136..=139 => Method::Disconnect,
        140..=142 => Method::ClearAllBreakOutSession,
        143..=144 => Method::DestroyAllBreakOutSession,
        145..=150 => Method::StartScreenShare,
        151..=154 => Method::StopScreenShare,
        155..=160 => Method::StartCanvas,
        161..=164 => Method::StopCanvas,
        165..=168 => Method::SetMicrophone,
        169..=172 => Method::SetCamera,
        173..=176 => Method::SetRole,
        177..=178 => Method::RemoveParticipant,
        179..=183 => Method::SetRoomMode,
        184..=186 => Method::LeaveRoom,
        187..=190 => Method::ListBreakoutRooms,
        191..=195 => Method::Replay,
        196..=198 => Method::RestartIce,
        _ => Method::EndRoom,
    }
}

fn somebody(random: &mut Random) -> String {
    format!("@{}", PEOPLE[pick(random, PEOPLE.len())])
}

/// Mostly one of the newest rooms.
fn room(random: &mut Random) -> Value {
    match random.below(30) {
        0 => json!("0123456789abcdef0123456789abcdef"),
        1 => json!("the big one"),
        2 => json!(format!("@room{}", random.below(9))),
        _ => json!(format!("@room{}", random.below(3))),
    }
}

fn params(random: &mut Random, method: Method, known: &impl Known) -> Map<String, Value> {
    let value = match method {
        Method::CreateBreakOutRoom => create(random, known),
        Method::CreateAndInviteBreakoutRoom => create_and_invite(random, known),
        Method::InviteToBreakOutRoom => invite(random),
        Method::JoinBreakOutRoom => join(random),
        Method::RejectBreakOutRoom => json!({"room_id": room(random)}),
        Method::Pause | Method::Resume => scope(random, json!({})),
        Method::MuteRoom | Method::UnmuteRoom => {
            let kinds = match random.below(5) {
                0 => json!({}),
                1 => json!({"audio": true}),
                2 => json!({"video": true}),
                3 => json!({"audio": chance(random, 50), "video": chance(random, 50)}),
                _ => json!({"audio": true, "video": true}),
            };
            scope(random, kinds)
        }
        Method::Disconnect if chance(random, 20) => json!({"room_id": room(random)}),
        Method::SetMicrophone | Method::SetCamera => json!({"on": chance(random, 50)}),
        Method::SetRole => {
            let role = one(random, &["moderator", "participant", "participant", "owner"]);
            json!({"clientId": somebody(random), "role": role})
        }
        Method::RemoveParticipant => json!({"clientId": somebody(random)}),
        Method::SetRoomMode => json!({"mode": one(random, &["lecture", "group", "group", "both"])}),
        Method::Replay => json!({"from_seq": random.below(300)}),
        Method::RestartIce => json!({"sdp": one(random, &["good", "refused"])}),
        _ => json!({}),
    };
    let Value::Object(mut map) = value else { unreachable!("made above") };
    if chance(random, 3) {
        map.insert("color".to_owned(), json!("blue"));
    }
    map
}

fn scope(random: &mut Random, mut kinds: Value) -> Value {
    match random.below(10) {
        0..=2 => kinds["scope"] = json!("room"),
        3 => kinds["scope"] = json!("leg"),
        _ => {}
    }
    kinds
}

fn create(random: &mut Random, known: &impl Known) -> Value {
    let live = known.session().live().len();
    let mut value = json!({
        "participants": one(random, &[2, 2, 3, 3, 4, 5, 1, 6, 17]),
        "audio": !chance(random, 10),
        "video": chance(random, 30),
        "canvas": !chance(random, 20),
        "share": !chance(random, 20),
        "max_rooms": if live < 3 { 1 + random.below(2) } else { one(random, &[0, 1, 2, 5, 9, 11]) },
    });
    if chance(random, 25) {
        value["name"] = json!("Group work");
    }
    if chance(random, 35) {
        value["open"] = json!(chance(random, 80));
    }
    value
}

fn create_and_invite(random: &mut Random, known: &impl Known) -> Value {
    let mut value = create(random, known);
    for key in ["force_join", "include_moderators"] {
        if chance(random, 50) {
            value[key] = json!(chance(random, 60));
        }
    }
    if chance(random, 30) {
        value["seed"] = json!(random.below(5));
    }
    value
}

fn invite(random: &mut Random) -> Value {
    let people = one(random, &[0, 1, 1, 1, 2, 2, 3, 5]);
    let mut clients: Vec<Value> = (0..people).map(|_| json!(somebody(random))).collect();
    if chance(random, 5) {
        clients.push(json!("somebody else"));
    }
    let mut value = json!({"clients": clients, "room_id": room(random)});
    if chance(random, 45) {
        value["force_join"] = json!(chance(random, 70));
    }
    if chance(random, 40) {
        value["expires_in"] = json!(one(random, &[0, 1, 3, 20, 300]));
    }
    value
}

fn join(random: &mut Random) -> Value {
    let role = ["participant", "participant", "participant", "moderator", "speaker"];
    let role = if chance(random, 5) { role[4] } else { role[pick(random, 4)] };
    let mut stream = json!({"audio": chance(random, 70), "video": chance(random, 30)});
    for key in ["share", "canvas"] {
        if chance(random, 30) {
            stream[key] = json!(chance(random, 40));
        }
    }
    json!({"role": role, "room_id": room(random), "streamInfo": stream})
}

/// Drops a parameter or gives it another type.
fn spoil(random: &mut Random, params: &mut Map<String, Value>) {
    let keys: Vec<String> = params.keys().cloned().collect();
    let Some(key) = keys.get(pick(random, keys.len())) else { return };
    if key == "streamInfo" && chance(random, 60) {
        let Value::Object(stream) = &mut params[key] else { return };
        spoil(random, stream);
    } else if chance(random, 40) {
        params.remove(key);
    } else {
        params[key] = match &params[key] {
            Value::Bool(_) => json!("yes"),
            Value::Number(_) => json!(["3"]),
            Value::Array(_) => json!({"0": "Ada"}),
            Value::Null | Value::String(_) | Value::Object(_) => json!(7),
        };
    }
}
