//! Hearing the room that one has left.

use std::collections::BTreeMap;
use std::time::Duration;

use anteroom::base::{Kind, Ssrc};
use anteroom::client::{Pattern, room_tag};
use anteroom::wire::rtcp::write_nack;
use serde_json::json;

use super::beside::{Attack, Beside, Part, is_long, one_worker};
use super::hostile::Hostile;
use super::http::start;
use super::live_call::LiveCall;
use super::reports::{picture_slot, three};
use super::tally::Tally;

#[tokio::test]
async fn a32_nobody_hears_the_room_that_they_left() {
    let mut tally = Tally::of("attacks", "A32");
    let part = Part::shared().await;
    let (server, http) = start(&one_worker()).await;
    let seconds = if is_long() { 30 } else { 4 };
    let arguments = ["--profile", "churn", "--participants", "16", "--talkers", "3", "--breakouts", "3"];
    let churn = [arguments.as_slice(), &["--breakout-seats", "5", "--moves-per-second", "25"]].concat();
    let call = LiveCall::open_with(http, Duration::from_secs(seconds), &churn);
    let mut beside = Beside::with(part, server, http, call).await;
    let (report, _) = beside.end(Attack::none()).await;
    let moves = report.count("moves");
    assert!(moves >= 10 * seconds, "{moves}");
    beside.stop().await;
    tally.count(moves, "moves");
}

const BREAKOUT: &str =
    r#"{"participants": 3, "audio": true, "video": false, "canvas": false, "share": false, "max_rooms": 1}"#;

/// Asks for the last 2,000 packets of each slot, and for those that come next; answers for how many.
fn ask_for_everything(hostile: &Hostile, newest: &BTreeMap<Ssrc, u16>) -> u64 {
    let hand = hostile.hand();
    let mut asked = 0;
    for (slot, newest) in newest {
        let sequences: Vec<u16> = (0..2_500).map(|n| newest.wrapping_sub(2_000).wrapping_add(n)).collect();
        // As many as are looked at in one packet.
        for sequences in sequences.chunks(250) {
            let mut nack = [0; 1_200];
            let len = write_nack(Ssrc(1), *slot, sequences, &mut nack).unwrap();
            assert!(hand.feedback(&nack[..len]));
            asked += sequences.len() as u64;
        }
    }
    asked
}

#[tokio::test]
async fn a34_what_was_sent_before_a_move_cannot_be_asked_for_after_it() {
    let mut tally = Tally::of("attacks", "A34");
    let mut beside = Beside::start(Part::shared().await, 8).await;
    let [mut publisher, mut hostile, honest] = three(beside.http, "left", Pattern::SCREEN).await;
    let (parent, slot) = (publisher.room.clone(), picture_slot(&hostile, &publisher));
    let made = publisher.client.succeed("createBreakOutRoom", serde_json::from_str(BREAKOUT).unwrap()).await;
    let room = made["msg"]["rooms"][0].as_str().unwrap().to_owned();
    // A last packet is asked for and comes again, so that asking is known to work.
    let newest = hostile.hears(|ear| ear.newest.clone());
    ask_for_everything(&hostile, &newest);
    hostile.until("something comes again", |_, ear| ear.repair_count() > 0).await;
    let invitation = json!({"clients": [hostile.joined["clientId"]], "room_id": room, "force_join": true});
    publisher.client.succeed("inviteToBreakOutRoom", invitation).await;
    hostile.client.event("didConnectedBreakoutRoom").await;
    hostile.arrives_in(&room).await;
    // What was on its way when it moved has come.
    hostile.catch_up(beside.media).await;
    let on_its_way = hostile.hears(|ear| ear.datagrams.clone());
    hostile.forget();
    let mut asked = 0;
    for _ in 0..3 {
        asked += ask_for_everything(&hostile, &newest);
        hostile.listen().await;
    }
    hostile.catch_up(beside.media).await;
    assert!(beside.is_on());
    let publisher_id = publisher.id;
    beside.end(Attack::none()).await;
    hostile.hears(|ear| {
        assert_eq!(ear.repair_count(), 0, "before: {on_its_way:?}");
        assert!(!ear.heard.contains_key(&(publisher_id, Kind::Video)), "{ear:?}");
        assert!(ear.heard.values().all(|heard| !heard.rooms.contains(&room_tag(&parent))), "{ear:?}");
        assert!(!ear.repaired_rooms.contains(&room_tag(&parent)));
        assert_eq!(ear.unmarked.get(&slot), None);
    });
    honest.hears(|ear| ear.of(publisher_id, Kind::Audio).assert_whole(100));
    beside.stop().await;
    tally.count(asked, "packets asked for");
}
