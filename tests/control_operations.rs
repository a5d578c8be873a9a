//! Every operation of docs/protocol.md, told as stories: what succeeds, what is refused in which
//! order, and who hears what.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]
#![allow(dead_code, reason = "each story uses its part of the world")]

#[path = "control/create.rs"]
mod create;
#[path = "support/control_world.rs"]
mod world;
