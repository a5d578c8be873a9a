//! What survives a crash, on disk: one SQLite database in a folder of its own.
//!
//! - [`Store`]: opens the folder, says what was saved, and saves changes, each call as one step.
//! - [`StoreThread`]: does that on a thread, so that a slow disk holds up nobody.
//!
//! A process that is killed loses nothing that was written, because the system has it. What a power cut
//! takes is bounded by a second thread, which has the system write to the disk every 100 ms.
//!
//! What was damaged is never read in part: each record has a checksum, the store has one over all of
//! them, and beside the database stands a mark that says how many times it was written to
//! (`mark.rs`), so that a database that has lost its end is noticed, too.
#![expect(clippy::disallowed_methods, reason = "threads and clocks of the disk belong here")]

mod database;
mod error;
mod flush;
mod folder;
mod mark;
pub mod settings;
#[expect(clippy::module_inception, reason = "the folder is named after what it keeps")]
mod store;
mod thread;

pub use error::StoreError;
pub use store::{Saved, Store};
pub use thread::{StoreThread, Written};
