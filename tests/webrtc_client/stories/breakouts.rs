//! A meeting splits into rooms and comes together again.

use anteroom::base::Kind;
use anteroom::client::ParticipantSettings;
use serde_json::json;

use crate::client::{Client, Joining};
use crate::meeting::{create_room, force_into, hear_each_other, overheard, part};
use crate::sending::now;
use crate::server::{Server, token};
use crate::synthetic::Synthetic;

/// The moderator and two talkers, all speaking, and a synthetic visitor.
struct Meeting {
    server: Server,
    moderator: Client,
    left: Client,
    right: Client,
    visitor: Synthetic,
}

const ROOM: &str = "weekly";

async fn meet() -> Meeting {
    let server = Server::start().await;
    let join = async |name, role| {
        let mut client = Client::join(&server, &token(ROOM, name, role), name, Joining::default()).await;
        client.speak().await;
        client
    };
    let moderator = join("moderator", "moderator").await;
    let left = join("left", "participant").await;
    let right = join("right", "participant").await;
    let settings = ParticipantSettings::default();
    let visitor = Synthetic::join(&server, &token(ROOM, "visitor", "participant"), settings).await;
    Meeting { server, moderator, left, right, visitor }
}

impl Meeting {
    async fn all_hear_each_other(&self) {
        let people = [&self.moderator, &self.left, &self.right];
        hear_each_other(ROOM, &people, &[self.visitor.id]).await;
        self.visitor.hears(50).await;
    }

    /// The two of the breakout room hear each other and nobody else, and the others neither.
    async fn are_apart(&self, room: &str) {
        hear_each_other(room, &[&self.left, &self.right], &[]).await;
        hear_each_other(ROOM, &[&self.moderator], &[self.visitor.id]).await;
        for talker in [&self.left, &self.right] {
            assert!(!overheard(&self.moderator, talker, room), "{} was overheard", talker.name);
        }
    }

    async fn end(self) {
        let report = self.visitor.leave().await;
        assert_eq!(report.decrypt_failures, 0);
        assert_eq!(report.verdict.wrong_publisher, 0, "{:?}", report.examples);
        assert!(report.verdict.packets > 0);
        part(vec![self.moderator, self.left, self.right]).await;
        self.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_talkers_in_a_breakout_room_hear_each_other_and_nobody_else() {
    let mut meeting = meet().await;
    meeting.all_hear_each_other().await;
    let room = create_room(&mut meeting.moderator).await;
    force_into(&room, &mut meeting.moderator, &[&meeting.left, &meeting.right]).await;
    meeting.are_apart(&room).await;

    let gone = meeting.left.ask("disconnect", json!({})).await;
    assert_eq!((&gone["room_id"], &gone["reason"]), (&json!(room), &json!("self")));
    hear_each_other(ROOM, &[&meeting.moderator, &meeting.left], &[meeting.visitor.id]).await;
    meeting.right.has_voices(&room, &[]).await;

    force_into(&room, &mut meeting.moderator, &[&meeting.left]).await;
    meeting.are_apart(&room).await;
    meeting.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clear_and_destroy_bring_everybody_back() {
    let mut meeting = meet().await;
    let room = create_room(&mut meeting.moderator).await;
    force_into(&room, &mut meeting.moderator, &[&meeting.left, &meeting.right]).await;
    meeting.are_apart(&room).await;
    meeting.moderator.ask("clearAllBreakOutSession", json!({})).await;
    meeting.all_hear_each_other().await;

    force_into(&room, &mut meeting.moderator, &[&meeting.left, &meeting.right]).await;
    meeting.are_apart(&room).await;
    meeting.moderator.ask("destroyAllBreakOutSession", json!({})).await;
    meeting.all_hear_each_other().await;
    for talker in [&meeting.left, &meeting.right] {
        let reasons = talker.with(|memory| {
            let gone = memory.events_named("didDisconnectedBreakoutRoom");
            gone.map(|data| data["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(reasons, ["cleared", "destroyed"], "{}", talker.name);
    }
    meeting.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_parent_is_silent_and_a_breakout_room_of_it_is_not() {
    let mut meeting = meet().await;
    meeting.all_hear_each_other().await;
    let room = create_room(&mut meeting.moderator).await;
    force_into(&room, &mut meeting.moderator, &[&meeting.left, &meeting.right]).await;
    meeting.are_apart(&room).await;
    meeting.moderator.ask("pause", json!({})).await;
    let paused = now();
    hear_each_other(&room, &[&meeting.left, &meeting.right], &[]).await;
    // What left the server before the ack may come after it, but nothing that was said later.
    let said_later = meeting.moderator.with(|memory| {
        let marks = memory.packets.iter().filter_map(|packet| packet.mark);
        marks.filter(|mark| mark.sent_at > paused).count()
    });
    assert_eq!(said_later, 0, "came into a paused room");
    meeting.moderator.ask("resume", json!({})).await;
    meeting.moderator.hears(meeting.visitor.id, Kind::Audio, ROOM, 10).await;
    meeting.end().await;
}
