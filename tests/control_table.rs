//! Role x operation x place: what every method answers to everybody, everywhere.
//!
//! The table is written from docs/protocol.md, not from the code. A cell is the `result` of the ack,
//! or `-` where the request gets no ack because its link is closed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a test may fail loudly"
)]

#[allow(dead_code, reason = "the model test uses all of it")]
#[path = "model/step.rs"]
mod step;
#[path = "model/worker.rs"]
#[allow(dead_code, reason = "the model test uses all of it")]
mod worker;

use std::collections::BTreeMap;

use anteroom::base::{LinkId, Random, Time, WorkerId};
use anteroom::control::{Control, ControlSettings};
use anteroom::message::{Claims, ControlInput, ControlOutput, Frame, Method, Request, Role};
use serde_json::{Value, json};

use worker::FakeWorker;

/// `parent`: in the parent room; `breakout`: in room R; `joining`: asked to join R, media has not
/// answered; `held`: media is lost, signalling is not; `lecture`: in the parent, in lecture mode, R is
/// destroyed; `left`: a new link of somebody who has left.
///
/// Who is joining is still in the parent room, may give the join up, and has no invitation to turn down.
/// The moderator and the participant are not invited to R; the owner made R. The chair (another
/// moderator), Tim (a participant) and nobody else are in the parent.
const TABLE: &str = "
method                       role         parent breakout joining held lecture left
joinRoom                     moderator      5105     5105    5105 5105    5105    0
joinRoom                     owner          5105     5105    5105 5105    5105    0
joinRoom                     participant    5105     5105    5105 5105    5105    0
leaveRoom                    moderator         0        0       0    0       0 1171
leaveRoom                    owner             0        0       0    0       0 1171
leaveRoom                    participant       0        0       0    0       0 1171
restartIce                   moderator         0        0       0 1171       0 1171
restartIce                   owner             0        0       0 1171       0 1171
restartIce                   participant       0        0       0 1171       0 1171
replay                       moderator         0        0       0    0       0 1171
replay                       owner             0        0       0    0       0 1171
replay                       participant       0        0       0    0       0 1171
listBreakoutRooms            moderator         0        0       0 1171       0 1171
listBreakoutRooms            owner             0        0       0 1171       0 1171
listBreakoutRooms            participant       0        0       0 1171       0 1171
setMicrophone                moderator         0        0       0 1171       0 1171
setMicrophone                owner             0        0       0 1171       0 1171
setMicrophone                participant       0        0       0 1171       0 1171
setCamera                    moderator         0        0       0 1171       0 1171
setCamera                    owner             0        0       0 1171       0 1171
setCamera                    participant       0        0       0 1171       0 1171
setRole                      moderator         0        0       0 1171       0 1171
setRole                      owner          5007     5007    5007 1171    5007 1171
setRole                      participant    5007     5007    5007 1171    5007 1171
removeParticipant            moderator         0        0       0 1171       0 1171
removeParticipant            owner          5007     5007    5007 1171    5007 1171
removeParticipant            participant    5007     5007    5007 1171    5007 1171
setRoomMode                  moderator         0        0       0 1171       0 1171
setRoomMode                  owner          5007     5007    5007 1171    5007 1171
setRoomMode                  participant    5007     5007    5007 1171    5007 1171
endRoom                      moderator         0        0       0 1171       0 1171
endRoom                      owner          5007     5007    5007 1171    5007 1171
endRoom                      participant    5007     5007    5007 1171    5007 1171
createBreakOutRoom           moderator         0     9701       0 1171    5067 1171
createBreakOutRoom           owner             0     9701       0 1171    5067 1171
createBreakOutRoom           participant       0     9701       0 1171    5067 1171
createAndInviteBreakoutRoom  moderator         0     9701       0 1171    5067 1171
createAndInviteBreakoutRoom  owner             0     9701       0 1171    5067 1171
createAndInviteBreakoutRoom  participant       0     9701       0 1171    5067 1171
inviteToBreakOutRoom         moderator         0     9701       0 1171    5067 1171
inviteToBreakOutRoom         owner             0     9701       0 1171    5067 1171
inviteToBreakOutRoom         participant    5007     9701    5007 1171    5067 1171
joinBreakOutRoom             moderator         0     9707    5107 1171    5067 1171
joinBreakOutRoom             owner             0     9707    5107 1171    5067 1171
joinBreakOutRoom             participant    9705     9707    5107 1171    5067 1171
rejectBreakOutRoom           moderator      9705     9705    9705 1171    5067 1171
rejectBreakOutRoom           owner          9705     9705    9705 1171    5067 1171
rejectBreakOutRoom           participant    9705     9705    9705 1171    5067 1171
pause                        moderator         0        0       0 1171       0 1171
pause                        owner          5007        0    5007 1171    5007 1171
pause                        participant    5007        0    5007 1171    5007 1171
resume                       moderator         0        0       0 1171       0 1171
resume                       owner          5007        0    5007 1171    5007 1171
resume                       participant    5007        0    5007 1171    5007 1171
muteRoom                     moderator         0        0       0 1171       0 1171
muteRoom                     owner          5007        0    5007 1171    5007 1171
muteRoom                     participant    5007        0    5007 1171    5007 1171
unmuteRoom                   moderator         0        0       0 1171       0 1171
unmuteRoom                   owner          5007        0    5007 1171    5007 1171
unmuteRoom                   participant    5007        0    5007 1171    5007 1171
disconnect                   moderator      9713        0       0 1171    5067 1171
disconnect                   owner          9713        0       0 1171    5067 1171
disconnect                   participant    9713        0       0 1171    5067 1171
clearAllBreakOutSession      moderator         0        0       0 1171    5067 1171
clearAllBreakOutSession      owner             0        0       0 1171    5067 1171
clearAllBreakOutSession      participant    5007     5007    5007 1171    5067 1171
destroyAllBreakOutSession    moderator         0        0       0 1171    5067 1171
destroyAllBreakOutSession    owner          5007     5007    5007 1171    5067 1171
destroyAllBreakOutSession    participant    5007     5007    5007 1171    5067 1171
startScreenShare             moderator         0        0       0 1171       0 1171
startScreenShare             owner             0        0       0 1171    5007 1171
startScreenShare             participant       0        0       0 1171    5007 1171
stopScreenShare              moderator         0        0       0 1171       0 1171
stopScreenShare              owner             0        0       0 1171       0 1171
stopScreenShare              participant       0        0       0 1171       0 1171
startCanvas                  moderator         0        0       0 1171       0 1171
startCanvas                  owner             0        0       0 1171    5007 1171
startCanvas                  participant       0        0       0 1171    5007 1171
stopCanvas                   moderator         0        0       0 1171       0 1171
stopCanvas                   owner             0        0       0 1171       0 1171
stopCanvas                   participant       0        0       0 1171       0 1171
";

const PLACES: [&str; 6] = ["parent", "breakout", "joining", "held", "lecture", "left"];
const CHAIR: LinkId = LinkId(1);
const TIM: LinkId = LinkId(2);
const CALLER: LinkId = LinkId(3);
const RETURNED: LinkId = LinkId(4);
const STRANGER: LinkId = LinkId(5);

/// The meeting around one cell.
struct Meeting {
    control: Control,
    worker: FakeWorker,
    now: Time,
    acks: BTreeMap<String, Value>,
    asked: usize,
    clients: BTreeMap<LinkId, String>,
}

impl Meeting {
    fn start() -> Self {
        let control = Control::new(ControlSettings::default(), 1, Random::from_number(1));
        let now = Time::from_unix_seconds(1_000);
        let (worker, acks, clients) = (FakeWorker::default(), BTreeMap::new(), BTreeMap::new());
        Self { control, worker, now, acks, asked: 0, clients }
    }

    fn input(&mut self, input: ControlInput) {
        self.control.handle(self.now, input);
        while let Some(output) = self.control.poll_output() {
            match output {
                ControlOutput::Frame { frame: Frame::Ack { id, data, .. }, .. } => {
                    assert!(self.acks.insert(id.clone(), data).is_none(), "two acks to {id}");
                }
                ControlOutput::Media { command, .. } => self.worker.push(command),
                _ => {}
            }
        }
    }

    /// The worker catches up.
    fn settle(&mut self) {
        loop {
            while self.worker.apply().unwrap() {}
            let Some(report) = self.worker.report(false) else { return };
            self.input(ControlInput::Media { worker: WorkerId(0), report });
        }
    }

    fn open(&mut self, link: LinkId, role: Role) {
        let claims = Claims {
            room: "standup".to_owned(),
            name: format!("{link}"),
            role,
            expires_at: Time::from_unix_seconds(9_000),
            lapsed: false,
        };
        self.input(ControlInput::LinkOpened { link, claims });
    }

    /// Asks and does not wait; answers the request's id.
    fn send(&mut self, link: LinkId, method: Method, params: Value) -> String {
        self.asked += 1;
        let id = format!("r{}", self.asked);
        self.input(ControlInput::Request { link, request: Request::new(&id, method.name(), params) });
        id
    }

    fn ask(&mut self, link: LinkId, method: Method, params: Value) -> Option<Value> {
        let id = self.send(link, method, params);
        self.settle();
        self.acks.get(&id).cloned()
    }

    fn must(&mut self, link: LinkId, method: Method, params: Value) -> Value {
        let data = self.ask(link, method, params).unwrap();
        assert_eq!(data["result"], 0, "{} of {link}: {data}", method.name());
        data
    }

    fn join(&mut self, link: LinkId, role: Role) {
        self.open(link, role);
        let data = self.must(link, Method::JoinRoom, json!({"sdp": "good"}));
        self.clients.insert(link, data["clientId"].as_str().unwrap().to_owned());
    }
}

fn room_params() -> Value {
    json!({"participants": 2, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1})
}

/// What one method is asked with: everything well-formed, so that only role and place decide.
fn params(method: Method, room: &str, tim: &str) -> Value {
    match method {
        Method::JoinRoom | Method::RestartIce => json!({"sdp": "good"}),
        Method::Replay => json!({"from_seq": 1}),
        Method::SetMicrophone | Method::SetCamera => json!({"on": false}),
        Method::SetRole => json!({"clientId": tim, "role": "moderator"}),
        Method::RemoveParticipant => json!({"clientId": tim}),
        Method::SetRoomMode => json!({"mode": "group"}),
        Method::CreateBreakOutRoom | Method::CreateAndInviteBreakoutRoom => room_params(),
        Method::InviteToBreakOutRoom => json!({"clients": [tim], "room_id": room}),
        Method::JoinBreakOutRoom => join_params(room),
        Method::RejectBreakOutRoom => json!({"room_id": room}),
        Method::MuteRoom | Method::UnmuteRoom => json!({"audio": true}),
        _ => json!({}),
    }
}

fn join_params(room: &str) -> Value {
    json!({"role": "participant", "room_id": room, "streamInfo": {"audio": true, "video": false}})
}

/// Puts the caller into `role` and `place`; answers the link to ask on, and room R.
fn arrange(meeting: &mut Meeting, role: &str, place: &str) -> (LinkId, String) {
    meeting.join(CHAIR, Role::Moderator);
    meeting.join(TIM, Role::Participant);
    let token = if role == "moderator" { Role::Moderator } else { Role::Participant };
    meeting.join(CALLER, token);
    let maker = if role == "owner" { CALLER } else { CHAIR };
    let made = meeting.must(maker, Method::CreateBreakOutRoom, room_params());
    let room = made["msg"]["rooms"][0].as_str().unwrap().to_owned();
    let caller = meeting.clients[&CALLER].clone();
    let invite = json!({"clients": [caller], "room_id": room});
    if role == "participant" && ["breakout", "joining"].contains(&place) {
        meeting.must(CHAIR, Method::InviteToBreakOutRoom, invite);
    }
    match place {
        "breakout" => drop(meeting.must(CALLER, Method::JoinBreakOutRoom, join_params(&room))),
        "joining" => drop(meeting.send(CALLER, Method::JoinBreakOutRoom, join_params(&room))),
        "held" => {
            // The caller came last.
            let participant = *meeting.worker.members.keys().next_back().unwrap();
            meeting.worker.lose(participant);
            meeting.settle();
        }
        "lecture" => {
            meeting.must(CHAIR, Method::DestroyAllBreakOutSession, json!({}));
            meeting.must(CHAIR, Method::SetRoomMode, json!({"mode": "lecture"}));
        }
        "left" => {
            meeting.must(CALLER, Method::LeaveRoom, json!({}));
            meeting.open(RETURNED, token);
            return (RETURNED, room);
        }
        _ => assert_eq!(place, "parent"),
    }
    (CALLER, room)
}

/// The `result` of one cell.
fn cell(method: Method, role: &str, place: &str) -> String {
    let mut meeting = Meeting::start();
    let (link, room) = arrange(&mut meeting, role, place);
    let tim = meeting.clients[&TIM].clone();
    match meeting.ask(link, method, params(method, &room, &tim)) {
        Some(data) => data["result"].to_string(),
        None => "-".to_owned(),
    }
}

fn rows() -> Vec<Vec<&'static str>> {
    TABLE.trim().lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn every_cell_is_answered_as_the_contract_says() {
    let mut wrong = Vec::new();
    for row in rows() {
        let method: Method = row[0].parse().unwrap();
        for (place, expected) in PLACES.iter().zip(&row[2..]) {
            let got = cell(method, row[1], place);
            if got != **expected {
                wrong.push(format!("{} by the {} in {place}: {got}, not {expected}", row[0], row[1]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn whoever_has_not_joined_may_only_join() {
    for method in Method::ALL {
        let mut meeting = Meeting::start();
        meeting.join(CHAIR, Role::Moderator);
        meeting.join(TIM, Role::Participant);
        let made = meeting.must(CHAIR, Method::CreateBreakOutRoom, room_params());
        let (room, tim) =
            (made["msg"]["rooms"][0].as_str().unwrap().to_owned(), meeting.clients[&TIM].clone());
        for (link, role) in [(STRANGER, Role::Participant), (RETURNED, Role::Moderator)] {
            meeting.open(link, role);
            let data = meeting.ask(link, *method, params(*method, &room, &tim)).unwrap();
            let expected = if *method == Method::JoinRoom { 0 } else { 1171 };
            assert_eq!(data["result"], expected, "{} by a stranger: {data}", method.name());
        }
    }
}

#[test]
fn the_table_has_every_method_in_every_role_once() {
    let rows = rows();
    for method in Method::ALL {
        for role in ["moderator", "owner", "participant"] {
            let count = rows.iter().filter(|row| row[0] == method.name() && row[1] == role).count();
            assert_eq!(count, 1, "{} by the {role}", method.name());
        }
    }
    assert_eq!(rows.len(), Method::ALL.len() * 3, "a row names no method");
    assert!(rows.iter().all(|row| row.len() == 2 + PLACES.len()), "a row has a cell too many or too few");
}

#[test]
fn an_unknown_method_is_refused_everywhere() {
    for place in PLACES {
        let mut meeting = Meeting::start();
        let (link, _) = arrange(&mut meeting, "participant", place);
        let request = Request::new("odd", "danceBreakOutRoom", json!({}));
        meeting.input(ControlInput::Request { link, request });
        assert_eq!(meeting.acks["odd"]["result"], 1734, "in {place}");
    }
}
