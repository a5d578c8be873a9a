//! Faults of the process and of the machine under it, with people in rooms, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test may fail loudly, and people have media of their own"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod at_work;
mod cap;
mod clocks;
mod drain;
mod fencing;
mod files;
mod full_socket;
mod listener;
mod machine;
mod memory;
mod network;
mod panics;
mod sleep;
mod slow_reader;
mod storms;
mod vanishing;

#[path = "../support/echo.rs"]
mod echo;
#[path = "../support/http.rs"]
mod http;
#[path = "../support/live_call.rs"]
mod live_call;
#[path = "../support/person.rs"]
mod person;
#[path = "../support/tally.rs"]
mod tally;
#[path = "../support/ws.rs"]
mod ws;
