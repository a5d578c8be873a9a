//! A server that is killed with all its meetings, and what is there after the next start; and stores that
//! are damaged, taken, or not to be had.
//!
//! `ANTEROOM_LONG=1` kills five times as often and harms more stores. `ANTEROOM_RELEASE` names
//! a release binary to start instead of the tests' own, and then what is promised of that holds as well.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a test may fail loudly, read clocks, and people have media of their own"
)]
#![allow(dead_code, reason = "each test file uses its part of the support")]

mod damage;
mod hearing;
mod herd;
mod moves;
mod player;
mod refused;
mod server;
#[path = "../support/tally.rs"]
mod tally;

/// Whether there is time for all of it.
fn is_long() -> bool {
    std::env::var_os("ANTEROOM_LONG").is_some()
}
