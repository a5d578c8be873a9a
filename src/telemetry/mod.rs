//! Metrics, logs, the process's clocks and its limits of open files and memory.
//!
//! Names of metrics carry their unit, labels come from closed sets, and no id, name or token is a
//! label or a field of a log line.

#![expect(clippy::disallowed_methods, reason = "the process's clocks are read here")]

mod clock;
mod counters;
mod logs;
mod memory;
mod metrics;
mod open_files;
pub mod settings;

pub use clock::{Clock, wall_clock_seconds};
pub use counters::CounterMirror;
pub use logs::{LogSetupError, set_up_logs};
pub use memory::{memory_limit_bytes, resident_bytes};
pub use metrics::{DropReason, Metrics, RefusedFrame, RefusedLink, Totals};
pub use open_files::{files_open, raise_open_files};
