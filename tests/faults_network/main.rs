//! Bad networks between people and the server: loss, jitter, narrow links, outages, new addresses, and
//! somebody who reads nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and people have media of their own"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

#[path = "../support/echo.rs"]
mod echo;
mod guest;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/live_call.rs"]
mod live_call;
mod loss;
mod meeting;
mod narrow;
mod outage;
mod rebind;
mod seen;
#[path = "../support/server_process.rs"]
mod server_process;
mod slow_reader;
mod starved;
#[path = "../support/tally.rs"]
mod tally;
mod weather;
#[path = "../support/control_world.rs"]
mod world;
