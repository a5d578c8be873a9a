//! `[log]`: what is written about the server's work.

use serde::{Deserialize, Serialize};

/// How the logs look. They go to standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug` or `trace`, or a filter with targets such as
    /// `info,anteroom::node=debug`.
    pub filter: String,
    /// `auto` (on a terminal), `always` or `never`.
    pub color: Color,
}

/// When log lines are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// When standard error is a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), color: Color::Auto }
    }
}

impl LogSettings {
    /// The key and the fault of a setting that cannot be had.
    ///
    /// # Errors
    /// Where the filter cannot be read.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        super::logs::parse_filter(&self.filter).map(drop).map_err(|error| ("filter", error.to_string()))
    }
}
