//! F8: a process that is stopped for a while and goes on.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::live_call::LiveCall;
use crate::machine::{Server, eventually};
use crate::person::Person;
use crate::tally::Tally;

const STOPPED_FOR: Duration = Duration::from_secs(5);

#[tokio::test]
async fn f08_a_process_that_slept_goes_on_without_a_storm() {
    let mut tally = Tally::of("faults", "F8");
    let server = Server::start("").await;
    let mut mia = Person::join(server.http, "daily", "Mia", "moderator").await;
    let mut ben = Person::join(server.http, "daily", "Ben", "participant").await;
    let made = json!({
        "participants": 2, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1,
    });
    let made = mia.succeed("createBreakOutRoom", made).await;
    let room = made["msg"]["rooms"][0].clone();
    let mut call = LiveCall::start(server.http, Duration::from_secs(10));
    let forwarded = async || server.metric("anteroom_packets_forwarded_total").await;
    // Three talkers and eight others each: the warm-up of two seconds is over.
    eventually("a call that is on", async || forwarded().await > 3_000.0).await;
    server.signal("STOP");
    let before_stop = server.cpu();
    // Asked while nobody answers, and answered afterwards.
    mia.client
        .send_text(
            &json!({"id": "asleep", "method": "inviteToBreakOutRoom", "params": {
                "clients": [ben.id], "room_id": room, "force_join": true,
            }})
            .to_string(),
        )
        .await;
    sleep(STOPPED_FOR).await;
    assert_eq!(server.cpu(), before_stop, "it was stopped");
    server.signal("CONT");
    loop {
        let frame = mia.client.next_frame().await;
        if frame["id"] == "asleep" {
            assert_eq!(frame["data"]["result"], 0, "{frame}");
            break;
        }
    }
    ben.event("didConnectedBreakoutRoom").await;
    mia.succeed("destroyAllBreakOutSession", json!({})).await;
    assert!(call.is_on());
    let report = call.end().await;
    assert_eq!((report.count("wrong_group"), report.count("duplicated")), (0, 0), "{report:?}");
    assert_eq!(report.count("decrypt_failures"), 0, "{report:?}");
    // Talkers went on meanwhile, five seconds of 150 packets: what waited was not sent, and the rest was.
    let stale = server.metric("anteroom_packets_dropped_total{reason=\"stale\"}").await;
    tally.count(stale as u64, "packets that came too late");
    assert!(stale > 400.0, "{stale} of about 750: {:?}", server.log());
    // A packet that was on its way through the server in that very moment goes on; what waited would be
    // more than half of all.
    let (late, received) = (report.p99_us(), report.count("received"));
    assert!(late < 2_000_000, "more than one packet in a hundred was {late} us old: {report:?}");
    // Two or more seconds of the measured ten before and three after.
    assert!(received > 3 * 1_000, "{report:?}");
    assert_eq!(server.metric("anteroom_worker_restarts_total").await, 0.0, "{:?}", server.log());
    assert_eq!(server.logged("TransportLost"), 0);
    assert!(server.log().len() < 60, "{:?}", server.log());
}
