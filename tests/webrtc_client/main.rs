//! Whole meetings: this server, and clients that others wrote.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]
#![expect(clippy::disallowed_methods, reason = "clients are tasks")]

mod client;
mod judge;
mod meeting;
mod memory;
mod patience;
mod peer;
mod relay;
mod sending;
mod server;
mod stories;
mod synthetic;
mod tap;
