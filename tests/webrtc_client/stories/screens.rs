//! A shared screen: every byte, from a keyframe on, losses repaired.

use anteroom::base::Kind;
use serde_json::json;

use crate::client::{Client, Joining};
use crate::meeting::{create_room, force_into, part};
use crate::server::{Server, token};

const ROOM: &str = "design review";

async fn join(server: &Server, name: &str, role: &str) -> Client {
    Client::join(server, &token(ROOM, name, role), name, Joining::default()).await
}

/// Waits for the screen to come to `viewer` in `room`, and checks that it starts with a keyframe.
async fn sees_from_a_keyframe(viewer: &Client, presenter: &Client, room: &str) -> u32 {
    let what = format!("has {}'s screen in a slot", presenter.name);
    viewer.until(&what, |memory| memory.slot_of(presenter.id, Kind::Share).is_some()).await;
    viewer.hears(presenter.id, Kind::Share, room, 15).await;
    let (ssrc, from) = viewer.with(|memory| memory.slot_of(presenter.id, Kind::Share)).unwrap();
    viewer.with(|memory| {
        let first = memory.first_packet(ssrc, from).unwrap();
        assert!(first.keyframe, "{} starts with {first:?}", viewer.name);
        assert_eq!(first.seq, from, "nothing is lost before it");
    });
    ssrc
}

async fn has_no_screen(viewer: &Client, presenter: &Client) {
    viewer.until("has no screen", |memory| memory.slot_of(presenter.id, Kind::Share).is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screen_reaches_everybody_from_a_keyframe_on() {
    let server = Server::start().await;
    let mut presenter = join(&server, "presenter", "moderator").await;
    let viewer = join(&server, "viewer", "participant").await;
    presenter.share().await;
    sees_from_a_keyframe(&viewer, &presenter, ROOM).await;

    let late = join(&server, "late joiner", "participant").await;
    sees_from_a_keyframe(&late, &presenter, ROOM).await;
    let screen = presenter.ssrc(Kind::Share).await;
    let asked = presenter.with(|memory| memory.wire.keyframe_requests.get(&screen).copied());
    assert!(asked.is_some(), "the server asks the presenter for a keyframe");

    presenter.ask("stopScreenShare", json!({})).await;
    for watcher in [&viewer, &late] {
        has_no_screen(watcher, &presenter).await;
    }
    part(vec![presenter, viewer, late]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screen_in_a_breakout_room_stays_there() {
    let server = Server::start().await;
    let mut moderator = join(&server, "moderator", "moderator").await;
    let mut presenter = join(&server, "presenter", "participant").await;
    let viewer = join(&server, "viewer", "participant").await;
    presenter.share().await;
    sees_from_a_keyframe(&moderator, &presenter, ROOM).await;
    let room = create_room(&mut moderator).await;
    force_into(&room, &mut moderator, &[&presenter, &viewer]).await;
    has_no_screen(&moderator, &presenter).await;
    presenter.ask("startScreenShare", json!({})).await;
    sees_from_a_keyframe(&viewer, &presenter, &room).await;
    assert_eq!(moderator.with(|memory| memory.heard(presenter.id, Kind::Share, &room)), 0);
    part(vec![moderator, presenter, viewer]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_on_the_way_is_sent_again() {
    const LOST: u32 = 6;
    let server = Server::start().await;
    let mut presenter = join(&server, "presenter", "moderator").await;
    let viewer = join(&server, "viewer", "participant").await;
    presenter.share().await;
    let ssrc = sees_from_a_keyframe(&viewer, &presenter, ROOM).await;
    viewer.lose(ssrc, LOST);
    viewer
        .until("has got again what was lost", |memory| {
            let came = |seq: u16| {
                memory
                    .packets
                    .iter()
                    .any(|packet| packet.ssrc == ssrc && packet.seq & 0xffff == u64::from(seq))
            };
            memory.wire.lost.len() == LOST as usize && memory.wire.lost.iter().all(|(_, seq)| came(*seq))
        })
        .await;
    viewer.with(|memory| {
        for (_, seq) in &memory.wire.lost {
            let repeats = memory.wire.repeated.get(&(ssrc, *seq));
            assert!(repeats.is_some(), "{seq} came again, but not as a retransmission");
        }
    });
    part(vec![presenter, viewer]).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_are_told_how_it_goes() {
    let server = Server::start().await;
    let mut presenter = join(&server, "presenter", "moderator").await;
    let viewer = join(&server, "viewer", "participant").await;
    presenter.share().await;
    let ssrc = sees_from_a_keyframe(&viewer, &presenter, ROOM).await;
    let screen = presenter.ssrc(Kind::Share).await;
    presenter
        .until("gets receiver reports and transport-wide feedback", |memory| {
            memory.wire.receiver_reports.contains(&screen) && memory.wire.feedback > 0
        })
        .await;
    viewer.until("gets sender reports", |memory| memory.wire.sender_reports.contains(&ssrc)).await;
    part(vec![presenter, viewer]).await;
    server.stop().await;
}
