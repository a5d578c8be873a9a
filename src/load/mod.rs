//! The demo and the load tool: synthetic participants who really do ICE, DTLS and SRTP over sockets.

#![expect(clippy::disallowed_methods, reason = "a load generator lives at the edge: it starts tasks")]

mod demo;
mod demo_meeting;
mod dev_token;
mod end;
mod floor;
mod generator;
mod html;
mod load_report;
mod options;
mod person;
mod process;
mod report;
mod run;
mod scenario;
mod server_process;
mod servers;
mod signalling;
mod tokens;
mod watch;

pub use demo::{DemoError, DemoOptions, run as run_demo};
pub use dev_token::TokenError;
pub use floor::run_raw_sender;
pub use load_report::{Latency, LoadReport};
pub use options::{FrameBurst, LoadOptions, TargetKind};
pub use person::PersonError;
pub use report::{DemoReport, Percentiles};
pub use run::{LoadError, run_load};
pub use scenario::{Profile, Scenario, ScenarioError};
pub use signalling::SignallingError;
