//! F5: somebody comes to be at another port, and at another address.

use std::net::Ipv4Addr;

use anteroom::base::Kind;

use crate::meeting::{Meeting, usual};
use crate::tally::Tally;

/// 100 ms of sound, and as much again for a machine that is busy.
const MOST_MISSED: u64 = 10;

#[tokio::test]
async fn f05_a_client_changes_its_port_and_its_address() {
    let mut tally = Tally::of("faults", "F5");
    let mut meeting = Meeting::of(2, usual()).await;
    let speaker = meeting.speaker.id;
    let mover = &meeting.listeners[0];
    let mut changes = 0;
    for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)] {
        let before = counters(mover, speaker);
        mover.rebind(address);
        mover.until("media at the new address", |seen| seen.to_new > 100).await;
        let after = counters(mover, speaker);
        let missed: u64 = missing(&after) - missing(&before);
        assert!(missed <= MOST_MISSED, "{address}: {missed} packets of sound were missed");
        assert_eq!(mover.seen.borrow().to_old, 0, "{address}: packets went to where nobody is");
        changes += 1;
    }
    tally.count(changes, "changes");
    // Its own media goes on from there, too.
    meeting.listeners[0].publish(Kind::Audio, true);
    let mover = meeting.listeners[0].id;
    meeting.listeners[1].hears(mover, Kind::Audio, 20).await;
    meeting.falls_silent().await;
    let (report, _) = meeting.listeners.remove(1).leave().await;
    assert_eq!((report.verdict.lost, report.verdict.wrong_group), (0, 0), "{report:?}");
    meeting.stop().await;
}

fn counters(guest: &crate::guest::Guest, speaker: anteroom::base::ClientId) -> Vec<u64> {
    let seen = guest.seen.borrow();
    seen.tracks[&(speaker, Kind::Audio)].counters.iter().copied().collect()
}

/// Counts between the first and the last that did not come.
fn missing(counters: &[u64]) -> u64 {
    counters.last().unwrap() + 1 - counters[0] - counters.len() as u64
}
