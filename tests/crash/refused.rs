//! Stores that cannot be had: the server says why and does not start; or goes on, and says that too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::connect_async;

use super::player::Player;
use super::server::{Home, ask};
use super::tally::Tally;

#[test]
fn a_second_server_on_the_same_store_is_refused() {
    let home = Home::new();
    let server = home.start();
    let (code, said) = home.start_refused();
    assert_eq!(code, Some(1));
    for word in ["is in use by another server", "Räume ✓.store", "[store]"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    assert!(server.is_ready(), "the first goes on");
    server.kill();
    // Whoever was killed holds it no longer.
    drop(home.start());
    assert!(home.set_aside().is_empty());
}

/// Resume secrets are in it, and an operator's folder may be open to all.
#[test]
fn a_store_is_its_servers_alone_wherever_it_is() {
    let home = Home::new();
    fs::create_dir(home.store()).unwrap();
    fs::set_permissions(home.store(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = home.start();
    assert_eq!(server.admin("POST /v1/rooms", "{\"name\": \"board\"}").0, 201);
    let modes = || -> Vec<(String, u32)> {
        let entries = fs::read_dir(home.store()).unwrap().map(Result::unwrap);
        let mode = |entry: fs::DirEntry| {
            (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().permissions().mode() & 0o777)
        };
        entries.map(mode).collect()
    };
    let found = modes();
    assert!(found.len() >= 4 && found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
    // One that was readable is not any more.
    server.kill();
    let open = fs::Permissions::from_mode(0o644);
    modes().iter().for_each(|(name, _)| fs::set_permissions(home.store().join(name), open.clone()).unwrap());
    let server = home.start();
    assert!(server.is_ready());
    let found = modes();
    assert!(found.iter().all(|(_, mode)| *mode == 0o600), "{found:?}");
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let home = Home::new();
    drop(home.start());
    let mark = home.store().join("mark");
    let mut bytes = fs::read(&mark).unwrap();
    bytes[16..20].copy_from_slice(&3_u32.to_be_bytes());
    let sum = ring::digest::digest(&ring::digest::SHA256, &bytes[..44]);
    bytes[44..52].copy_from_slice(&sum.as_ref()[..8]);
    fs::write(&mark, &bytes).unwrap();
    let (code, said) = home.start_refused();
    assert_eq!(code, Some(1));
    assert!(said.contains("later version") && said.contains("format 3"), "{said}");
    assert!(home.set_aside().is_empty() && fs::read(&mark).unwrap() == bytes);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let home = Home::new();
    fs::write(home.store(), "no folder").unwrap();
    let (code, said) = home.start_refused();
    assert_eq!(code, Some(1));
    assert!(said.contains("Räume ✓.store") && said.contains("`path` in [store]"), "{said}");
    assert_eq!(fs::read_to_string(home.store()).unwrap(), "no folder", "it is as it was");
}

#[test]
fn a_store_can_be_switched_off_and_a_stop_ends_rooms_but_an_operators() {
    let home = Home::with("enabled = false");
    let server = home.start();
    assert_eq!(server.admin("POST /v1/rooms", "{\"name\": \"board\"}").0, 201);
    assert_eq!(server.stop(), Some(0));
    assert!(!home.store().exists() && home.said().contains("nothing survives a crash"));

    let home = Home::with("sync = \"always\"");
    let server = home.start();
    assert_eq!(server.admin("POST /v1/rooms", "{\"name\": \"board\"}").0, 201);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(home.start().rooms(), ["board"]);
}

#[tokio::test]
async fn a_token_that_the_server_handed_out_itself_outlives_a_crash() {
    let home = Home::of_developer();
    let server = home.start();
    let (status, body) = ask(server.http, "GET /dev/token?room=a&name=b&role=participant", "", "");
    assert_eq!(status, 200, "{body}");
    let token = body.rsplit('"').nth(1).unwrap().to_owned();
    server.kill();
    let server = home.start();
    let opened = connect_async(format!("ws://{}/v1/ws?token={token}", server.http)).await;
    assert!(opened.is_ok(), "{opened:?}");
}

/// Waits for something that the server shows.
fn wait_for(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_a_store_that_is_slow_holds_nobody_up_for_long() {
    let mut tally = Tally::of("faults", "F6");
    let home = Home::new();
    let server = home.start();
    let mut ada = Player::new(1, "board", "moderator");
    ada.enter(server.http).await;
    // Somebody looks into the database and does not come to an end.
    let other = rusqlite::Connection::open(home.store().join("rooms.db")).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = Instant::now();
    let muted = ada.ask("muteRoom", json!({"audio": true})).await.unwrap();
    assert_eq!((&muted["result"], &muted["kept"]), (&json!(0), &json!(false)));
    assert!(asked.elapsed() < Duration::from_secs(4), "the wait is bounded: {:?}", asked.elapsed());
    assert!(!server.is_ready());
    let silent = ada.ask("setMicrophone", json!({"on": false})).await.unwrap();
    assert_eq!((&silent["result"], &silent["kept"]), (&json!(0), &json!(false)));
    let (status, made) = server.admin("POST /v1/rooms", "{\"name\": \"hall\"}");
    assert!(status == 201 && made.contains("\"kept\":false"), "{status} {made}");

    other.execute_batch("COMMIT").unwrap();
    wait_for("the store is written again", || server.is_ready());
    let (status, gone) = server.admin("DELETE /v1/rooms/hall", "");
    assert!(status == 200 && !gone.contains("kept"), "{status} {gone}");
    let kept = ada.ask("setCamera", json!({"on": false})).await.unwrap();
    assert_eq!((&kept["result"], kept.get("kept")), (&json!(0), None));
    server.kill();
    let server = home.start();
    let joined = ada.enter(server.http).await;
    assert_eq!(joined["room"]["state"]["audio_muted"], true);
    assert_eq!(
        (&joined["room"]["me"]["microphone"], &joined["room"]["me"]["camera"]),
        (&json!(false), &json!(false))
    );
    tally.count(1, "slow disks");
}

/// What is written to files that were removed is lost with the process.
#[test]
fn f06_a_store_that_is_taken_away_is_told_of() {
    let mut tally = Tally::of("faults", "F6");
    for taken in ["", "mark", "rooms.db"] {
        let home = Home::new();
        let server = home.start();
        let (status, made) = server.admin("POST /v1/rooms", "{\"name\": \"board\"}");
        assert!(status == 201 && !made.contains("kept"), "{status} {made}");
        match taken {
            "" => fs::remove_dir_all(home.store()).unwrap(),
            file => fs::remove_file(home.store().join(file)).unwrap(),
        }
        let (status, made) = server.admin("POST /v1/rooms", "{\"name\": \"hall\"}");
        assert!(status == 201 && made.contains("\"kept\":false"), "{taken}: {status} {made}");
        assert!(!server.is_ready(), "{taken}");
        assert!(home.said().contains("were removed or replaced"), "{}", home.said());
        assert_eq!(server.rooms().len(), 2, "meetings go on");
        assert_eq!(server.stop(), Some(0));
        tally.count(1, "stores");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f06_a_store_that_cannot_be_written_is_told_of_and_taken_up_again() {
    let mut tally = Tally::of("faults", "F6");
    let home = Home::new();
    drop(home.start());
    // As on a full disk: no file may grow beyond 128 blocks of 512 bytes. The log stays below.
    let mut limited = Command::new("sh");
    let script = "ulimit -S -f 128; exec \"$0\" serve --config \"$1\"";
    limited.args(["-c", script, env!("CARGO_BIN_EXE_anteroom")]).arg(home.config());
    let server = home.start_by(limited);
    let mut ada = Player::new(1, "board", "moderator");
    ada.enter(server.http).await;
    let plan = json!({"participants": 3, "audio": true, "video": false, "canvas": true, "share": true,
                      "max_rooms": 10});
    // Ten thousand destroyed rooms do not fit.
    let mut unkept = None;
    for _ in 0..1_000 {
        let made = ada.ask("createBreakOutRoom", plan.clone()).await.unwrap();
        let ended = ada.ask("destroyAllBreakOutSession", json!({})).await.unwrap();
        for ack in [made, ended] {
            assert_eq!(ack["result"], 0, "meetings go on: {ack}");
            unkept = unkept.or(ack.get("kept").cloned());
        }
        if unkept.is_some() && !server.is_ready() {
            break;
        }
    }
    assert_eq!(unkept, Some(json!(false)), "{}", home.said());
    assert!(home.said().contains("what people are told does not survive a crash"), "{}", home.said());

    // There is room again.
    let limit = ["--fsize=unlimited", "--pid", &server.pid().to_string()];
    assert!(Command::new("prlimit").args(limit).status().unwrap().success());
    wait_for("the store is written again", || server.is_ready());
    let muted = ada.ask("muteRoom", json!({"audio": true})).await.unwrap();
    assert_eq!((&muted["result"], muted.get("kept")), (&json!(0), None));
    server.kill();
    let server = home.start();
    let joined = ada.enter(server.http).await;
    assert_eq!(joined["room"]["state"]["audio_muted"], true);
    assert_eq!(joined["room"]["breakoutRooms"], json!([]));
    tally.count(1, "full disks");
}
