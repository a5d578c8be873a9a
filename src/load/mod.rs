//! The demo and the load tool: synthetic participants who really do ICE, DTLS and SRTP over sockets.

#![expect(clippy::disallowed_methods, reason = "a load generator lives at the edge: it starts tasks")]

mod churn;
mod demo;
mod dev_token;
mod floor;
mod generator;
mod html;
mod load_report;
mod load_run;
mod options;
mod person;
mod process;
mod report;
mod scenario;
mod server_process;
mod servers;
mod signalling;
mod tokens;
mod watch;

pub use demo::{DemoError, DemoOptions, run};
pub use dev_token::TokenError;
pub use load_report::{Latency, LoadReport};
pub use load_run::{LoadError, run_load};
pub use options::{FrameBurst, LoadOptions, Profile, TargetKind};
pub use person::PersonError;
pub use report::{DemoReport, Percentiles};
pub use signalling::SignallingError;
