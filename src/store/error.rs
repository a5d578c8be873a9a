//! Why a store cannot be had.

use std::io;
use std::path::PathBuf;

/// Why a store cannot be had. What is only damaged is none of these: it is set aside.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another server has it.
    #[error(
        "the store {path} is in use by another server; give this one a `path` of its own in [store], or set \
         `enabled = false` there"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A later version has written it.
    #[error(
        "the store {path} was written by a later version of anteroom (format {found}, this one knows \
         {known}); use that version, or move the folder away to start with no rooms"
    )]
    Newer {
        /// The folder.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// The system does not let it be read or written.
    #[error("cannot use the store {path}: {error}; see `path` in [store]")]
    Io {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// SQLite does not.
    #[error("cannot use the store {path}: {error}; see `path` in [store]")]
    Database {
        /// The folder.
        path: PathBuf,
        /// What it says.
        error: rusqlite::Error,
    },
    /// Its files were taken away while it was in use.
    #[error("the files of the store {path} were removed or replaced by others; start the server again")]
    Gone {
        /// The folder.
        path: PathBuf,
    },
    /// What was damaged could not be set aside.
    #[error(
        "the store {path} is damaged ({reason}) and cannot be set aside: {error}; move away what is in it"
    )]
    SetAside {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What the system says.
        error: io::Error,
    },
}
