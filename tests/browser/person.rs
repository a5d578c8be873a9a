//! One participant: a page of the server's own, in a browser.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::devtools::Page;
use super::world::World;

/// How long a page may take to show what it should: a busy machine with several browsers takes its time.
const WITHIN: Duration = Duration::from_secs(30);

/// How often a page is asked.
const EVERY: Duration = Duration::from_millis(50);

/// A browser page in a meeting.
pub(crate) struct Person {
    page: Page,
    /// The name, for people.
    pub(crate) name: &'static str,
    /// The seat's id.
    pub(crate) id: String,
    /// Which tone this page sends.
    pub(crate) tone: usize,
}

/// Why a request was refused.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The contract's code; 0 for what the client itself found.
    pub(crate) code: u16,
    /// The contract's name.
    pub(crate) error: String,
    /// For people.
    pub(crate) msg: String,
}

/// Four people in a room of their own: a moderator and three participants.
pub(crate) async fn meeting(world: &mut World) -> [Person; 4] {
    let room = world.room();
    let ada = open(world, "Ada").await;
    let bob = open(world, "Bob").await;
    let cy = open(world, "Cy").await;
    let dee = open(world, "Dee").await;
    let url = world.url();
    tokio::join!(
        ada.joins(&url, &room, "moderator"),
        bob.joins(&url, &room, "participant"),
        cy.joins(&url, &room, "participant"),
        dee.joins(&url, &room, "participant"),
    )
    .into()
}

/// Somebody who comes later.
pub(crate) async fn late_joiner(world: &mut World, room: &str, name: &'static str) -> Person {
    let url = world.url();
    open(world, name).await.joins(&url, room, "participant").await
}

async fn open(world: &mut World, name: &'static str) -> Person {
    let (page, tone) = world.page().await;
    Person { page, name, id: String::new(), tone }
}

impl Person {
    /// Somebody who has joined a room of the server at `url`, whether or not media gets there.
    pub(crate) async fn alone(world: &Mutex<World>, url: &str, name: &'static str) -> Self {
        let page = world.lock().await.new_page(0, url).await;
        let person = Self { page, name, id: String::new(), tone: 0 };
        person.enters_by_form(url, "alone", "moderator").await;
        person.until("the meeting is joined", "window.anteroom?.state === 'joined'").await;
        person
    }

    /// Joins by the page's form.
    async fn joins(mut self, url: &str, room: &str, role: &str) -> Self {
        self.enters_by_form(url, room, role).await;
        self.settle().await;
        self
    }

    async fn enters_by_form(&self, url: &str, room: &str, role: &str) {
        let name = self.name;
        self.page.goes_to(&format!("{url}?room={room}&name={name}&role={role}")).await.unwrap();
        self.press("Join", "#entry").await;
    }

    /// Closes the page, which no script of its own may have failed in.
    pub(crate) async fn goes(self) {
        assert_eq!(self.js::<Vec<String>>("test.faults").await, Vec::<String>::new(), "{}", self.name);
        self.page.close().await.unwrap();
    }

    /// What an expression of the page comes to, after its promises.
    pub(crate) async fn js<T: DeserializeOwned>(&self, expression: &str) -> T {
        let value = self.page.evaluate(expression).await;
        let value = value.unwrap_or_else(|error| panic!("{}: {expression}: {error}", self.name));
        serde_json::from_value(value.clone())
            .unwrap_or_else(|error| panic!("{}: {expression} is {value}: {error}", self.name))
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        let begin = Instant::now();
        while !self.js::<bool>(expression).await {
            if begin.elapsed() > WITHIN {
                let log: String = self.js("document.getElementById('panel-log').innerText").await;
                panic!("{}: {what}: not within {WITHIN:?}. The page's log, newest first: {log}", self.name);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Waits until the page is in the meeting, its media flows and its microphone is on.
    pub(crate) async fn settle(&mut self) {
        let joined =
            "window.anteroom !== undefined && anteroom.state === 'joined' && anteroom.connection.isUp";
        self.until("the meeting is joined", joined).await;
        let sending =
            "anteroom.local.has('audio') && test.events.some(({name}) => name === 'didAckSetMicrophone')";
        self.until("the microphone is on", sending).await;
        self.id = self.js("anteroom.clientId").await;
    }

    /// Asks the server something.
    pub(crate) async fn ask(&self, method: &str, params: Value) -> Result<Value, Refused> {
        #[derive(Deserialize)]
        struct Answer {
            data: Option<Value>,
            refused: Option<Refused>,
        }
        let answer: Answer = self.js(&format!("test.ask({}, {params})", json!(method))).await;
        match answer.refused {
            Some(refused) => Err(refused),
            None => Ok(answer.data.unwrap_or(Value::Null)),
        }
    }

    /// Asks the server something that it does.
    pub(crate) async fn does(&self, method: &str, params: Value) -> Value {
        let done = self.ask(method, params).await;
        done.unwrap_or_else(|refused| panic!("{}: {method}: {refused:?}", self.name))
    }

    /// Waits for an event, or for the ack of that name, and takes it out of the record.
    pub(crate) async fn told(&self, event: &str) -> Value {
        let begin = Instant::now();
        loop {
            let data: Value = self.js(&format!("test.take({})", json!(event))).await;
            if !data.is_null() {
                return data;
            }
            assert!(begin.elapsed() < WITHIN, "{}: not told {event} within {WITHIN:?}", self.name);
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Presses a button of the page, when it is there.
    pub(crate) async fn press(&self, text: &str, within: &str) {
        let press = format!("test.press({}, {})", json!(text), json!(within));
        self.until(&format!("the button {text:?} in {within} can be pressed"), &press).await;
    }

    /// Makes the page as wide as a phone's.
    pub(crate) async fn screen_width(&self, pixels: i64) {
        let screen = json!({"width": pixels, "height": 740, "deviceScaleFactor": 1, "mobile": true});
        self.page.ask("Emulation.setDeviceMetricsOverride", screen).await.unwrap();
    }

    /// Loads the page anew, as the browser's button does.
    pub(crate) async fn reload(&mut self) {
        self.page.reload().await.unwrap();
        self.settle().await;
    }

    /// Creates a breakout room and answers its id.
    pub(crate) async fn creates_room(&self) -> String {
        let params = json!({"participants": 4, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1});
        let created = self.does("createBreakOutRoom", params).await;
        created["msg"]["rooms"][0].as_str().unwrap().to_owned()
    }

    /// Brings people into a breakout room without asking them.
    pub(crate) async fn brings(&self, people: &[&Person], room: &str) {
        let clients: Vec<&str> = people.iter().map(|person| &*person.id).collect();
        let params = json!({"clients": clients, "room_id": room, "force_join": true});
        let answer = self.does("inviteToBreakOutRoom", params).await;
        assert_eq!(answer["invited"], json!(clients), "{answer}");
        for person in people {
            person.told("didBreakoutroomjoining").await;
            assert_eq!(person.told("didConnectedBreakoutRoom").await["room_id"], room);
        }
    }

    /// Goes into a breakout room.
    pub(crate) async fn enters(&self, room: &str) {
        let params = json!({"room_id": room, "role": "participant", "streamInfo": {"audio": true, "video": false, "share": true, "canvas": true}});
        assert_eq!(self.does("joinBreakOutRoom", params).await["room_id"], room);
        self.told("didConnectedBreakoutRoom").await;
    }
}
