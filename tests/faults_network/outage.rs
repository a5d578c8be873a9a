//! F4: nothing comes through for a while.

use std::time::Duration;

use anteroom::base::Kind;
use anteroom::message::{Method, Role};
use serde_json::json;

use crate::guest::{Guest, connect, join, new_participant};
use crate::meeting::{Meeting, usual};
use crate::seen::Seen;
use crate::tally::Tally;
use crate::world::{Person, World};

#[tokio::test]
async fn f04_after_three_and_after_ten_seconds_media_goes_on_at_once() {
    let mut tally = Tally::of("faults", "F4");
    let mut meeting = Meeting::of(3, usual()).await;
    let (speaker, clock) = (meeting.speaker.id, meeting.clock);
    let outages = [3, 10].map(Duration::from_secs);
    let began = clock.now();
    for (gone, outage) in meeting.listeners.iter().zip(outages) {
        gone.outage(outage);
    }
    for (gone, outage) in meeting.listeners.iter().zip(outages) {
        let ends = began + outage;
        gone.until("sound after the outage", |seen| seen.newest_at(speaker, Kind::Audio) > ends).await;
        let times = gone.seen.borrow().times(speaker, Kind::Audio);
        let during = times.iter().filter(|at| **at > began + Duration::from_secs(1) && **at < ends).count();
        assert_eq!(during, 0, "it was an outage");
        let late = times.iter().find(|at| **at >= ends).unwrap().since(ends);
        assert!(late <= Duration::from_secs(1), "sound came {late:?} after {outage:?} without");
        gone.hears(speaker, Kind::Share, 60).await;
        let late = clock.now().since(ends);
        assert!(late <= Duration::from_secs(3), "60 packets of the share came {late:?} after {outage:?}");
        assert!(gone.seen.borrow().reasons.is_empty(), "a link that was gone is not full");
    }
    let told = &meeting.listeners[2].seen.borrow().events.clone();
    assert!(!told.iter().any(|event| event == "didUserReconnecting"), "nobody noticed: {told:?}");
    meeting.falls_silent().await;
    let (report, _) = meeting.listeners.remove(2).leave().await;
    assert_eq!((report.verdict.lost, report.verdict.left_out), (0, 0), "{report:?}");
    tally.count(2, "outages");
    meeting.stop().await;
}

/// Nothing of them arrives, neither media nor signalling, and nothing arrives at them.
#[tokio::test]
async fn f04_who_is_gone_for_longer_is_held_after_30_seconds_and_comes_back_while_it_is() {
    let mut tally = Tally::of("faults", "F4");
    let meeting = Meeting::of(3, usual()).await;
    let (clock, speaker, witness) = (meeting.clock, meeting.speaker.id, &meeting.listeners[2]);
    let gone = clock.now();
    let [forty, seventy] = [&meeting.listeners[0], &meeting.listeners[1]];
    forty.vanish();
    seventy.vanish();
    for one in [forty, seventy] {
        let held = |seen: &Seen| seen.told_of("didUserReconnecting", one.id);
        witness
            .until_within(Duration::from_secs(35), "a seat that is held", |seen| held(seen).is_some())
            .await;
        let after = held(&witness.seen.borrow()).unwrap().since(gone);
        // The last check that came was 5 s old at the most.
        let right = Duration::from_secs(25)..Duration::from_secs(33);
        assert!(right.contains(&after), "held after {after:?}");
    }
    meeting.goes_on(Duration::from_secs(40).saturating_sub(clock.now().since(gone))).await;
    let back = Guest::join_by(meeting.address, clock, "Ben-0", usual(), Some(&forty.resume)).await;
    let comes = clock.now();
    assert_eq!(back.id, forty.id, "the same seat");
    back.hears(speaker, Kind::Audio, 1).await;
    assert!(clock.now().since(comes) <= Duration::from_secs(1), "{:?}", clock.now().since(comes));
    back.hears(speaker, Kind::Share, 10).await;
    witness.until("the return", |seen| seen.told_of("didUserReconnected", back.id).is_some()).await;

    let left = |seen: &Seen| seen.told_of("didUserDisconnected", seventy.id);
    witness.until_within(Duration::from_secs(35), "a seat that is free", |seen| left(seen).is_some()).await;
    let after = left(&witness.seen.borrow()).unwrap().since(gone);
    assert!(after <= Duration::from_secs(70), "free after {after:?}");
    let mut socket = connect(meeting.address, "Ben-1").await;
    let refused = join(&mut socket, &new_participant(clock, usual()), Some(&seventy.resume)).await;
    assert_eq!(refused["result"], 1729, "{refused}");
    assert_eq!(witness.seen.borrow().told_of("didUserDisconnected", back.id), None, "who is back stays");
    tally.count(2, "outages");
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
