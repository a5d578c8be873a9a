//! Metrics and logs.
//!
//! Names of metrics carry their unit, labels come from closed sets, and no id, name or token is a
//! label or a field of a log line.

mod counters;
mod logs;
mod metrics;
pub mod settings;

pub use counters::CounterMirror;
pub use logs::{LogSetupError, set_up_logs};
pub use metrics::{DropReason, Metrics, RefusedFrame, RefusedLink, Totals};
