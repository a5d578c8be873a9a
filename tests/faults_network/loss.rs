//! F1 and F2: what the network loses, delays, reorders and doubles.

use std::time::Duration;

use anteroom::base::Kind;
use anteroom::client::ParticipantSettings;

use crate::meeting::{Meeting, usual};
use crate::seen::Seen;
use crate::tally::Tally;
use crate::weather::{FINE, Weather};

#[tokio::test]
async fn f01_the_server_adds_no_loss_to_the_networks() {
    let mut tally = Tally::of("faults", "F1");
    let weathers = [(0.01, 1), (0.05, 1), (0.10, 1), (0.20, 1), (0.10, 8)].map(|(loss, burst)| Weather {
        loss,
        burst,
        ..FINE
    });
    let mut meeting = Meeting::of(weathers.len(), usual()).await;
    for (listener, weather) in meeting.listeners.iter().zip(weathers) {
        listener.down(weather);
    }
    meeting.goes_on(Duration::from_secs(6)).await;
    meeting.falls_silent().await;
    let (mut judged, speaker) = (0, meeting.speaker.id);
    for (listener, weather) in std::mem::take(&mut meeting.listeners).into_iter().zip(weathers) {
        let (report, seen) = listener.leave().await;
        let verdict = &report.verdict;
        // Whatever reached the server went on, in its order: the numbers have no hole but where the
        // network made one.
        assert_eq!(
            (verdict.lost, verdict.left_out, verdict.wrong_group),
            (0, 0, 0),
            "{weather:?} {verdict:?}"
        );
        assert_eq!((verdict.duplicates, report.decrypt_failures), (0, 0), "{weather:?} {report:?}");
        let share = verdict.taken as f64 / (verdict.taken + verdict.packets) as f64;
        assert!(share > weather.loss / 4.0, "{weather:?} took {share}");
        // Bursts now and then take two packets in five of a quarter of a second, as a full link does.
        let reasons = &seen.borrow().reasons;
        assert!(weather.burst > 1 || reasons.is_empty(), "{weather:?} is bad and not full: {reasons:?}");
        assert!(seen.borrow().count(speaker, Kind::Share) > 300);
        judged += verdict.packets + verdict.taken;
    }
    tally.count(judged, "packets");
    meeting.stop().await;
}

#[tokio::test]
async fn f01_lost_pictures_come_again_in_time() {
    let mut tally = Tally::of("faults", "F1");
    // A round trip of 80 ms, of which each way loses a tenth.
    let far = Weather { loss: 0.10, delay_ms: 40, ..FINE };
    let weathers = [far, Weather { burst: 6, ..far }];
    let settings = ParticipantSettings { repairs: true, ..usual() };
    let mut meeting = Meeting::of(weathers.len(), settings).await;
    // Bursts are those of the way down: six requests in a row are all that are made for a packet.
    for (listener, weather) in meeting.listeners.iter().zip(weathers) {
        listener.both(far);
        listener.down(weather);
    }
    meeting.goes_on(Duration::from_secs(10)).await;
    meeting.falls_silent().await;
    let (mut asked_for, speaker) = (0, meeting.speaker.id);
    // 0.5 %; a burst at the very end leaves nothing behind it that would show the gap.
    let is_repaired = |seen: &Seen| {
        let counters = &seen.tracks[&(speaker, Kind::Share)].counters;
        let sent = counters.last().unwrap() + 1 - counters.first().unwrap();
        (sent - counters.len() as u64) * 200 <= sent
    };
    for listener in &meeting.listeners {
        listener.until("pictures again", is_repaired).await;
    }
    for (listener, weather) in std::mem::take(&mut meeting.listeners).into_iter().zip(weathers) {
        let (_, seen) = listener.leave().await;
        let seen = seen.borrow();
        let track = &seen.tracks[&(speaker, Kind::Share)];
        let (first, last) = (track.counters.first().unwrap(), track.counters.last().unwrap());
        let (sent, came) = (last + 1 - first, track.counters.len() as u64);
        assert!(sent > 1_000, "{sent}");
        assert!((sent - came) * 200 <= sent, "{} of {sent} never came: {weather:?}", sent - came);
        asked_for += sent;
    }
    let repaired = meeting.metric("anteroom_packets_retransmitted_total").await;
    assert!(repaired * 20 > asked_for, "{repaired} were sent again of {asked_for}");
    tally.count(asked_for, "packets");
    meeting.stop().await;
}

#[tokio::test]
async fn f02_what_comes_late_or_twice_goes_on_once_and_in_its_order() {
    let mut tally = Tally::of("faults", "F2");
    let mut meeting = Meeting::of(3, usual()).await;
    // 40 ms, 30 more or less: packets of sound that follow each other are 20 ms apart.
    let weather = Weather { delay_ms: 10, jitter_ms: 60, copies: 0.05, ..FINE };
    for guest in meeting.listeners.iter().chain([&meeting.speaker]) {
        guest.both(weather);
    }
    meeting.goes_on(Duration::from_secs(5)).await;
    meeting.falls_silent().await;
    let refused = meeting.metric("anteroom_packets_dropped_total{reason=\"not_authentic\"}").await;
    assert!(refused > 20, "{refused} copies reached the server");
    let mut judged = 0;
    for listener in std::mem::take(&mut meeting.listeners) {
        let (report, seen) = listener.leave().await;
        let verdict = &report.verdict;
        assert!(report.replayed > 20, "{report:?}");
        assert_eq!((verdict.duplicates, verdict.lost, verdict.wrong_group), (0, 0, 0), "{verdict:?}");
        for (of, track) in &seen.borrow().tracks {
            assert_eq!(track.again, 0, "{of:?} came twice under two numbers");
            assert!(track.order.values().is_sorted(), "{of:?}");
            let came: Vec<&u64> = track.order.values().collect();
            assert!(came.len() > 200, "{of:?}: {}", came.len());
            assert!(!track.arrived.is_sorted(), "{of:?}: nothing was overtaken");
        }
        judged += verdict.packets;
    }
    tally.count(judged, "packets");
    meeting.stop().await;
}
