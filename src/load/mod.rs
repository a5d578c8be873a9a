//! The demo: synthetic participants who really do ICE, DTLS and SRTP over sockets.

#![expect(clippy::disallowed_methods, reason = "a load generator lives at the edge: it starts tasks")]

mod demo;
mod dev_token;
mod person;
mod report;
mod scenario;
mod signalling;

pub use demo::{DemoError, DemoOptions, run};
pub use dev_token::TokenError;
pub use person::PersonError;
pub use report::{DemoReport, Percentiles};
pub use signalling::SignallingError;
