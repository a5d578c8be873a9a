//! F5: somebody comes to be at another port, and at another address.

use std::net::Ipv4Addr;
use std::time::Duration;

use anteroom::base::{ClientId, Kind};

use crate::meeting::{Meeting, usual};
use crate::seen::Seen;
use crate::tally::Tally;

/// From the first check at a new address to the media there.
const WITHIN: Duration = Duration::from_millis(100);

/// Between two packets of sound.
const APART: Duration = Duration::from_millis(20);

#[tokio::test]
async fn f05_a_client_changes_its_port_and_its_address() {
    let mut tally = Tally::of("faults", "F5");
    let mut meeting = Meeting::of(2, usual()).await;
    let speaker = meeting.speaker.id;
    let mover = &meeting.listeners[0];
    let mut changes = 0;
    for address in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)] {
        let before = mover.seen.borrow().newest(speaker, Kind::Audio);
        mover.rebind(address);
        mover.until("media at the new address", |seen| seen.to_new > 100).await;
        assert_in_time(&mover.seen.borrow(), speaker, before, address);
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

/// Of the sound that was sent a tenth of a second after the first check, or later, nothing is missing. By
/// when it was sent, so that it is nothing to a reader who is held up.
fn assert_in_time(seen: &Seen, speaker: ClientId, before: u64, address: Ipv4Addr) {
    let (track, checked) = (&seen.tracks[&(speaker, Kind::Audio)], seen.checked.expect("a check"));
    for (counter, sent) in track.sent_at.range(before + 1..) {
        let was_missed = !track.counters.contains(&(counter - 1));
        assert!(
            !was_missed || sent.since(checked) <= WITHIN + APART,
            "{address}: {counter} was the first that came again, and sent {:?} after the first check",
            sent.since(checked)
        );
    }
}
