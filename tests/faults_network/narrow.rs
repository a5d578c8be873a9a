//! F3: a link that becomes narrow and wide again.

use std::time::Duration;

use anteroom::base::Kind;

use crate::meeting::{Meeting, usual};
use crate::tally::Tally;
use crate::weather::{FINE, Weather};

/// A fifth of a second of sound, which players conceal.
const LONGEST_HOLE: u64 = 10;

#[tokio::test]
async fn f03_sound_has_a_narrow_link_to_itself_and_the_share_comes_back() {
    let _tally = Tally::of("faults", "F3");
    let mut meeting = Meeting::of(2, usual()).await;
    let (speaker, clock) = (meeting.speaker.id, meeting.clock);
    let poor = &meeting.listeners[0];
    for round in 0..2 {
        let (first, at) = (poor.seen.borrow().newest(speaker, Kind::Audio), clock.now());
        poor.down(Weather { rate: 300_000, ..FINE });
        poor.until("a pause", |seen| seen.reasons.iter().any(|reason| reason == "congestion")).await;
        let (paused, alone) = (clock.now().since(at), poor.seen.borrow().newest(speaker, Kind::Audio));
        meeting.goes_on(Duration::from_secs(6)).await;
        // By counts, so that it is nothing to a machine that is busy.
        let hole = poor.seen.borrow().longest_hole(speaker, Kind::Audio, first);
        assert!(
            hole <= LONGEST_HOLE,
            "round {round}: {hole} packets of sound in a row; {paused:?} to the pause"
        );
        let came = poor.seen.borrow().tracks[&(speaker, Kind::Audio)].counters.range(alone..).count() as u64;
        let sent = poor.seen.borrow().newest(speaker, Kind::Audio) + 1 - alone;
        assert!(sent > 200 && came * 100 >= sent * 90, "round {round}: {came} packets of sound of {sent}");
        poor.down(Weather { rate: 3_000_000, ..FINE });
        let (widened, seen) = (clock.now(), poor.seen.borrow().count(speaker, Kind::Share));
        // More than a try on the narrow link would have let through.
        poor.until("the share", |now| now.reasons.is_empty() && now.count(speaker, Kind::Share) > seen + 60)
            .await;
        let took = clock.now().since(widened);
        assert!(took <= Duration::from_secs(5), "round {round}: the share came back after {took:?}");
    }
    meeting.falls_silent().await;
    let rich = meeting.listeners.remove(1);
    assert!(!rich.seen.borrow().events.is_empty());
    let (report, seen) = rich.leave().await;
    let verdict = &report.verdict;
    assert_eq!(
        (verdict.lost, verdict.left_out, verdict.taken),
        (0, 0, 0),
        "the other's link is not theirs: {verdict:?}"
    );
    assert!(seen.borrow().reasons.is_empty());
    meeting.stop().await;
}
