//! F14: somebody who reads nothing, neither of the WebSocket nor of media.

use std::time::Duration;

use anteroom::base::Kind;

use crate::live_call::LiveCall;
use crate::meeting::{Meeting, usual};
use crate::tally::Tally;

#[tokio::test]
async fn f14_who_reads_nothing_is_let_go_and_nobody_else_notices() {
    let _tally = Tally::of("faults", "F14");
    let mut meeting = Meeting::of(2, usual()).await;
    let mut call = LiveCall::start(meeting.address, Duration::from_secs(8));
    let deaf = meeting.listeners.remove(0);
    // What it is told fills its queue, for it goes on asking.
    deaf.flood();
    deaf.until("the end of its link", |seen| seen.events.iter().any(|event| event == "let go")).await;
    assert_eq!(meeting.metric("anteroom_links_too_slow_total").await, 1);
    let others = &meeting.listeners[0];
    let is_told = |seen: &crate::seen::Seen| seen.events.iter().any(|event| event == "didUserReconnecting");
    others.until("its seat is held", is_told).await;
    others.hears(meeting.speaker.id, Kind::Audio, 50).await;
    assert!(others.is_there(), "who reads and asks for nothing is kept");
    assert!(call.is_on(), "it ended before the attack did");
    call.end().await.assert_undisturbed();
    meeting.falls_silent().await;
    let (report, _) = meeting.listeners.remove(0).leave().await;
    let verdict = &report.verdict;
    assert!(verdict.lost * 1_000 <= verdict.packets && verdict.wrong_group == 0, "{verdict:?}");
    meeting.stop().await;
}
