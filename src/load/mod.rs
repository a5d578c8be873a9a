//! The demo: synthetic participants who really do ICE, DTLS and SRTP over sockets.

#![allow(
    clippy::disallowed_methods,
    reason = "a load generator lives at the edge: it reads the clock and starts tasks"
)]

mod clock;
mod demo;
mod person;
mod report;
mod scenario;
mod signalling;

pub use demo::{DemoError, DemoOptions, MintToken, run};
pub use person::PersonError;
pub use report::{DemoReport, Percentiles};
pub use signalling::SignallingError;
