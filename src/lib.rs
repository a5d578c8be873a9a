//! Anteroom: a WebRTC selective forwarding unit whose rooms split and rejoin.
//!
//! ARCHITECTURE.md is the map of this crate. Folders import downwards only; `tests/tidy.rs` checks it.

pub mod api;
pub mod base;
pub mod client;
pub mod config;
pub mod control;
pub mod load;
pub mod media;
pub mod message;
pub mod node;
// Its own tests need no other build than those of the rest.
#[cfg(any(feature = "sim", test))]
pub mod sim;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod wire;
