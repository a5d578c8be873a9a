//! Attacks on HTTP, WebSocket, tokens and the rules of a meeting, over real sockets. docs/security.md
//! lists them by number.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and attackers are threads of their own"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

#[path = "../support/echo.rs"]
mod echo;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/live_call.rs"]
mod live_call;
#[path = "../support/person.rs"]
mod person;
#[path = "../support/server_process.rs"]
mod server_process;
#[path = "../support/tally.rs"]
mod tally;
#[path = "../support/ws.rs"]
mod ws;

mod doors;
mod floods;
mod frames;
mod leaks;
mod malformed;
mod offers;
mod overload;
mod raw;
mod rooms;
mod seats;
mod tokens;

use std::net::SocketAddr;
use std::time::Duration;

use http::metric;
use live_call::LiveCall;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// Attacks that take all of the machine come one after the other: beside another one, a live call would
/// judge both.
async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// How long a storm blows: in CI, or by hand with `ANTEROOM_LONG=1`.
fn storm_length() -> Duration {
    Duration::from_secs(if std::env::var_os("ANTEROOM_LONG").is_some() { 30 } else { 3 })
}

/// The least for which a call is judged: of 2,700 packets, two may be lost.
const LEAST_CALL: Duration = Duration::from_secs(3);

/// A call that is judged from now on, until one hangs up.
async fn live_call(address: SocketAddr) -> LiveCall {
    let mut call = LiveCall::open(address, LEAST_CALL);
    timeout(3 * http::PATIENCE, call.is_judged()).await.expect("a call");
    call
}
