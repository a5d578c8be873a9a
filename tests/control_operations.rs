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

#[path = "control/crash.rs"]
mod crash;
#[path = "control/create.rs"]
mod create;
#[path = "control/flags.rs"]
mod flags;
#[path = "control/home.rs"]
mod home;
#[path = "control/invite.rs"]
mod invite;
#[path = "control/join.rs"]
mod join;
#[path = "control/log.rs"]
mod log;
#[path = "control/presenting.rs"]
mod presenting;
#[path = "control/races.rs"]
mod races;
#[path = "control/roster.rs"]
mod roster;
#[path = "control/seats.rs"]
mod seats;
#[path = "control/stories.rs"]
mod stories;
#[path = "control/wide.rs"]
mod wide;
#[path = "support/control_world.rs"]
mod world;
