//! F13: the machine's clock jumps. libfaketime shows the server a clock that the test sets; nobody else sees it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::http::{development_token, get};
use crate::live_call::LiveCall;
use crate::machine::{Server, eventually};
use crate::person::Person;
use crate::tally::Tally;
use crate::ws::Client;

const SECRET: &str = "the secret of a server whose clock jumps";

/// An hour and a day, there and back.
const JUMPS: [i64; 6] = [3_600, 0, -3_600, 86_400, -86_400, 0];

struct Clock(tempfile::NamedTempFile);

impl Clock {
    fn new() -> Self {
        let clock = Self(tempfile::NamedTempFile::new().unwrap());
        clock.set(0);
        clock
    }

    /// So many seconds from the true time, for the server.
    fn set(&self, offset: i64) {
        fs::write(self.0.path(), format!("{offset:+}\n")).unwrap();
    }

    /// A command under this clock.
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", self.0.path())
            // As in life, the monotonic clock does not jump.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_CACHE_DURATION", "1");
        command
    }
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path().join("faketime"));
    let found = folders.map(|folder| folder.join("libfaketimeMT.so.1")).find(|file| file.exists());
    found.expect("libfaketime is missing: apt-get install libfaketime")
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// How far the server's clock is from the true time, by a token that it has just made.
async fn offset_of(server: &Server) -> i64 {
    let token = development_token(server.http, "clock", "Liz", "participant").await;
    let mut validation = Validation::default();
    validation.insecure_disable_signature_validation();
    validation.validate_exp = false;
    let claims = decode::<Value>(&token, &DecodingKey::from_secret(b""), &validation).unwrap().claims;
    claims["exp"].as_i64().unwrap() - 3_600 - now()
}

#[tokio::test]
async fn f13_the_clock_jumps_and_nobody_hears_it() {
    let mut tally = Tally::of("faults", "F13");
    let clock = Clock::new();
    let server = Server::start_by("", clock.command()).await;
    let mut mia = Person::join(server.http, "daily", "Mia", "moderator").await;
    let mut call = LiveCall::start(server.http, Duration::from_secs(18));
    let forwarded = async || server.metric("anteroom_packets_forwarded_total").await;
    eventually("a call that is on", async || forwarded().await > 3_000.0).await;
    let quiet = server.cpu_over(Duration::from_secs(2)).await;
    let lines = server.log().len();
    let mut epoch = mia.joined["epoch"].as_u64().unwrap();
    let (began, before) = (std::time::Instant::now(), server.cpu());
    for jump in JUMPS {
        clock.set(jump);
        eventually("the jump", async || (offset_of(&server).await - jump).abs() <= 2).await;
        let wish = json!({
            "participants": 2, "audio": true, "video": false, "canvas": true, "share": true, "max_rooms": 1,
        });
        let made = mia.succeed("createBreakOutRoom", wish).await;
        let room = made["msg"]["rooms"][0].clone();
        let wish =
            json!({"role": "moderator", "room_id": room, "streamInfo": {"audio": true, "video": false}});
        mia.succeed("joinBreakOutRoom", wish).await;
        mia.succeed("destroyAllBreakOutSession", json!({})).await;
        // There and back: two placements, each of which tells its epoch.
        for _ in 0..2 {
            let newer = mia.event("slots").await["epoch"].as_u64().unwrap();
            assert!(newer > epoch, "epochs only grow: {newer} after {epoch} at {jump}");
            epoch = newer;
        }
    }
    let (took, used) = (began.elapsed(), server.cpu() - before);
    let share = |used: Duration, over: Duration| used.as_secs_f64() / over.as_secs_f64();
    let (quiet, jumping) = (share(quiet, Duration::from_secs(2)), share(used, took));
    assert!(jumping < 2.0 * quiet + 0.2, "timers storm: {jumping} of a processor, {quiet} before");
    let lines = server.log()[lines..].to_vec();
    assert!(lines.len() < 20, "{lines:?}");
    assert!(call.is_on());
    call.end().await.assert_undisturbed();
    assert_eq!(server.metric("anteroom_worker_restarts_total").await, 0.0);
    tally.count(JUMPS.len() as u64, "jumps");
}

#[tokio::test]
async fn f13_tokens_are_judged_by_the_servers_clock_with_little_leeway() {
    let mut tally = Tally::of("faults", "F13");
    let clock = Clock::new();
    let config = format!("[tokens]\nsecret = \"{SECRET}\"\nleeway_seconds = 60\n");
    let server = Server::start_by(&config, clock.command()).await;
    let token = |expires: i64, from: i64| {
        let claims =
            json!({"room": "daily", "name": "Mia", "role": "moderator", "exp": expires, "nbf": from});
        encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
    };
    let mut judged = 0;
    for jump in JUMPS {
        clock.set(jump);
        let there = now() + jump;
        let fresh = token(there + 60, there - 60);
        // The library looks at its file once a second.
        eventually("the jump", async || Client::connect(server.http, &fresh).await.is_ok()).await;
        for (expires, from, is_good) in
            [(-40, -90, true), (-75, -90, false), (60, 40, true), (60, 90, false), (3_700, 0, false)]
        {
            let there = now() + jump;
            let path = format!("/v1/ws?token={}", token(there + expires, there + from));
            let status = get(server.http, &path).await.status;
            // Without an upgrade a good token gets as far as the refusal of that.
            assert_eq!(status != 401, is_good, "{jump}: {expires}, {from}: {status}");
            judged += 1;
        }
    }
    tally.count(judged, "tokens");
}
