//! One media worker: groups, slots, fan-out.

pub mod settings;
mod statistics;
mod worker;

pub use statistics::{DropReason, Drops, WorkerStatistics};
pub use worker::{Transmit, Worker, WorkerError, WorkerSettings};
