//! Whole meetings in real, headless Chromium: the page, the client module, WebRTC and the server.
//!
//! Every participant is a browser page that sends a tone of its own; who hears whom is what a
//! Fourier transform finds on each remote track. The stories run one after the other in one browser
//! and on one server, but for a few that mostly wait; each prints its name and how long it took.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]
#![expect(clippy::disallowed_methods, reason = "browsers live in real time")]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod alone;
mod breakouts;
mod buttons;
mod chrome;
mod devtools;
mod flags;
mod hearing;
#[path = "../support/http.rs"]
mod http;
mod joining;
mod person;
mod presenting;
mod reconnecting;
#[path = "../support/server_process.rs"]
mod server_process;
mod world;
