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

use anteroom::node::Running;
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

/// How much longer a call goes on than the storm beside it, on a machine that has more to do.
const MARGIN: Duration = Duration::from_secs(5);

/// A call that is judged for so long, from about now on.
async fn live_call(server: &Running, address: SocketAddr, length: Duration) -> LiveCall {
    // It warms up for 2 s, in which at most so many packets are forwarded.
    const WARM: u64 = 2_600;
    let call = LiveCall::start(address, length);
    let is_warm = async {
        while metric(server, "anteroom_packets_forwarded_total").await < WARM {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(3 * http::PATIENCE, is_warm).await.expect("a call");
    call
}
