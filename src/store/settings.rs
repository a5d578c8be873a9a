//! `[store]`: what survives a crash.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// When what was written is made safe from a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// Every 100 ms. A process that is killed loses nothing by it.
    #[default]
    Interval,
    /// Before anybody is told of it.
    Always,
}

/// What survives a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Whether anything does.
    pub enabled: bool,
    /// The folder that it is in; made if it is not there.
    pub path: PathBuf,
    /// When it is safe from a power cut.
    pub sync: Sync,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { enabled: true, path: PathBuf::from("anteroom.store"), sync: Sync::Interval }
    }
}

impl StoreSettings {
    /// The key and the fault of a setting that cannot be had.
    ///
    /// # Errors
    /// For an empty path, and for one that the system cannot have.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.path.as_os_str().is_empty() || self.path.as_os_str().as_bytes().contains(&0) {
            let fault = "name a folder, such as \"/var/lib/anteroom/store\", or set `enabled = false`";
            return Err(("path", fault.to_owned()));
        }
        Ok(())
    }
}
