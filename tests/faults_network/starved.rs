//! F17: a server that gets too little of a processor.

use std::process::Stdio;
use std::time::Duration;

use anteroom::base::Kind;
use anteroom::node::WorkerFault;
use serde_json::json;
use tokio::process::Command;

use crate::meeting::{Meeting, usual};
use crate::server_process::ServerProcess;
use crate::tally::Tally;

const SETTINGS: &str = "[listen]\nhttp = [\"127.0.0.1\"]\nport = 0\nmetrics = \"127.0.0.1:0\"\n\
                        media = [\"127.0.0.1\"]\n[store]\nenabled = false\n[log]\nfilter = \"warn\"\n";

/// Runs 10 ms of 40. It waits by reading what nobody writes: a process for each wait would take longer than
/// the wait where the machine is busy.
const QUARTER: &str = "while kill -CONT $0; do read -t 0.01; kill -STOP $0 || exit; read -t 0.03; done";

#[tokio::test]
async fn f17_sound_has_no_long_gaps_on_a_quarter_of_a_processor() {
    let _tally = Tally::of("faults", "F17");
    let server = ServerProcess::start(&[], SETTINGS).await;
    let mut meeting = Meeting::at(server.address, 3, usual()).await;
    let speaker = meeting.speaker.id;
    let mut throttle = Command::new("bash")
        .args(["-c", QUARTER, &server.pid().to_string()])
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let before: Vec<usize> =
        meeting.listeners.iter().map(|one| one.seen.borrow().times(speaker, Kind::Audio).len()).collect();
    meeting.goes_on(Duration::from_secs(6)).await;
    throttle.kill().await.unwrap();
    // It may have been stopped last.
    let sent = Command::new("kill").args(["-CONT", &server.pid().to_string()]).status().await;
    assert!(sent.unwrap().success());
    for (listener, before) in meeting.listeners.drain(..).zip(before) {
        let (report, seen) = listener.leave().await;
        let times = seen.borrow().times(speaker, Kind::Audio);
        let mut gaps: Vec<Duration> = times[before..].windows(2).map(|pair| pair[1].since(pair[0])).collect();
        gaps.sort_unstable();
        assert!(gaps.len() > 200, "{} packets of sound in 6 s", gaps.len());
        let p99 = gaps[gaps.len() * 99 / 100];
        assert!(p99 <= Duration::from_millis(200), "gaps of sound: {p99:?}");
        // Whatever is dropped, no sound is while pictures come.
        let lacks = |kind| seen.borrow().missing_share(speaker, kind);
        let (sound, pictures) = (lacks(Kind::Audio), lacks(Kind::Share));
        assert!(sound <= pictures + 0.01, "{sound} of the sound and {pictures} of the pictures are missing");
        assert_eq!(report.verdict.wrong_group, 0);
    }
}

/// What a mover sends before it knows of the move waits in the worker's socket until after the word that
/// it knows: longer than the worker would take a packet to be late.
#[tokio::test]
async fn f17_what_waits_in_a_stalled_workers_socket_belongs_to_no_room() {
    let mut tally = Tally::of("faults", "F17");
    let mut meeting = Meeting::of(2, usual()).await;
    let (mover, there) = (&meeting.listeners[0], &meeting.listeners[1]);
    let plan = json!({
        "participants": 3, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1,
    });
    let made = meeting.speaker.ask("createBreakOutRoom", plan).await;
    let room = made["msg"]["rooms"][0].clone();
    let force = |id: String| json!({"clients": [id], "room_id": room, "force_join": true});
    meeting.speaker.ask("inviteToBreakOutRoom", force(there.id.to_string())).await;
    mover.publish(Kind::Audio, true);
    const ROUNDS: u64 = 3;
    for _ in 0..ROUNDS {
        mover.dawdle(Duration::from_millis(300));
        meeting.speaker.ask("inviteToBreakOutRoom", force(mover.id.to_string())).await;
        meeting.stall(WorkerFault::Hang(Duration::from_millis(1_200))).await;
        there.hears(mover.id, Kind::Audio, 50).await;
        mover.ask("disconnect", json!({})).await;
    }
    mover.publish(Kind::Audio, false);
    tally.count(ROUNDS, "moves");
    let (report, _) = meeting.listeners.remove(1).leave().await;
    assert_eq!((report.verdict.wrong_group, report.verdict.wrong_publisher), (0, 0), "{report:?}");
    meeting.stop().await;
}
