//! F4: nothing comes through for a while.

use std::time::Duration;

use anteroom::base::Kind;
use anteroom::message::{Method, Role};
use serde_json::json;

use crate::meeting::{Meeting, usual};
use crate::tally::Tally;
use crate::world::{Person, World};

#[tokio::test]
async fn f04_after_three_seconds_media_goes_on_at_once() {
    let _tally = Tally::of("faults", "F4");
    let mut meeting = Meeting::of(2, usual()).await;
    let (speaker, clock) = (meeting.speaker.id, meeting.clock);
    let gone = &meeting.listeners[0];
    let outage = Duration::from_secs(3);
    gone.outage(outage);
    let ends = clock.now() + outage;
    meeting.goes_on(outage - Duration::from_millis(300)).await;
    let before = gone.seen.borrow().count(speaker, Kind::Audio);
    gone.hears(speaker, Kind::Audio, 1).await;
    let late = clock.now().since(ends);
    assert!(late <= Duration::from_secs(1), "sound came {late:?} after the outage");
    gone.hears(speaker, Kind::Share, 60).await;
    let late = clock.now().since(ends);
    assert!(late <= Duration::from_secs(3), "60 packets of the share came {late:?} after the outage");
    assert!(gone.seen.borrow().reasons.is_empty(), "a link that was gone is not full");
    let during = gone.seen.borrow().times(speaker, Kind::Audio);
    let during = during.iter().filter(|at| **at + Duration::from_secs(1) < ends).count() as u64;
    assert!(during <= before, "it was an outage");
    let told = &meeting.listeners[1].seen.borrow().events.clone();
    assert!(!told.iter().any(|event| event == "didUserReconnecting"), "nobody noticed: {told:?}");
    meeting.falls_silent().await;
    let (report, _) = meeting.listeners.remove(1).leave().await;
    assert_eq!((report.verdict.lost, report.verdict.left_out), (0, 0), "{report:?}");
    meeting.stop().await;
}

/// What the media plane does with an outage this long is told in tests/media_worker.rs: it reports the
/// connection as lost after 30 s.
#[test]
fn f04_who_is_gone_for_40_seconds_has_the_seat_and_for_70_it_is_free() {
    let mut tally = Tally::of("faults", "F4");
    for (outage, comes_back) in [(40, true), (70, false)] {
        let mut world = World::default();
        let mia = world.moderator("Mia");
        let ben = world.participant("Ben");
        world.wait(Duration::from_secs(30));
        world.lose_media(&ben);
        assert_eq!(world.told(&mia, "didUserReconnecting").len(), 1);
        assert_eq!(held(&world, &ben), Some(true), "held from 30 s on");
        // The WebSocket, over which nothing comes either, is closed after 45 s of silence.
        world.wait(Duration::from_secs(10));
        if comes_back {
            let back = world.come_back(&ben, Some("offer"));
            assert_eq!(back.id, ben.id, "the same seat");
            assert_eq!(held(&world, &ben), Some(false));
            assert_eq!(world.told(&mia, "didUserReconnected").len(), 1);
            continue;
        }
        world.wait(Duration::from_secs(5));
        world.close(ben.link);
        world.wait(Duration::from_secs(outage - 45));
        assert_eq!(world.told(&mia, "didUserDisconnected")[0]["reason"], "expired");
        assert_eq!(held(&world, &ben), None, "the seat is free");
        let link = world.open("back", Role::Participant);
        let refused = world.ask(link, Method::JoinRoom, json!({"resume": ben.resume, "sdp": "offer"}));
        assert_eq!(refused["result"], 1729);
    }
    tally.count(2, "outages");
}

/// Whether somebody's seat is Held, if there is one.
fn held(world: &World, person: &Person) -> Option<bool> {
    world.view().seats.get(&person.client()).map(|seat| seat.held_until.is_some())
}
