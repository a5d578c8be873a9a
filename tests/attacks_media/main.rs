//! What strangers and hostile participants do to the media path, over real sockets and beside a live
//! call whose packets are judged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may fail loudly, and attackers have clocks, threads and sockets of their own"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

#[path = "../support/attacker.rs"]
mod attacker;
#[path = "../support/crafted.rs"]
mod crafted;
#[path = "../support/echo.rs"]
mod echo;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/live_call.rs"]
mod live_call;
#[path = "../support/server_process.rs"]
mod server_process;
#[path = "../support/tally.rs"]
mod tally;
#[path = "../support/ws.rs"]
mod ws;

mod apart;
mod beside;
mod ear;
mod flood;
mod guesses;
mod handshake;
mod herd;
mod hostile;
mod inside;
mod moves;
mod nonces;
mod replays;
mod reports;
mod silence;
mod storms;
mod strangers;
