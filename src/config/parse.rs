//! From TOML text to a checked configuration.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::check::check;
use super::document::Document;
use super::error::ConfigError;
use crate::api::settings::{AdminSettings, HttpSettings, TokenSettings};
use crate::control::settings::{BreakoutSettings, ControlSettings, RoomSettings};
use crate::media::settings::MediaSettings;
use crate::node::settings::{ListenSettings, NodeSettings};
use crate::store::settings::StoreSettings;
use crate::telemetry::settings::LogSettings;

/// Everything that an operator can set. Its default serves developers on loopback.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Addresses and ports.
    pub listen: ListenSettings,
    /// The HTTP door.
    pub http: HttpSettings,
    /// The tokens that let clients in.
    pub tokens: TokenSettings,
    /// The operator's own requests.
    pub admin: AdminSettings,
    /// What a room is like that nobody described.
    pub rooms: RoomSettings,
    /// How breakout rooms work.
    pub breakout: BreakoutSettings,
    /// Threads, sockets, limits, stopping.
    pub node: NodeSettings,
    /// What media workers do.
    pub media: MediaSettings,
    /// What survives a crash.
    pub store: StoreSettings,
    /// Log lines.
    pub log: LogSettings,
}

impl Config {
    /// Reads and checks a configuration file's text.
    ///
    /// # Errors
    /// The first fault, with its line: a syntax error, an unknown name, a wrong type, or a value
    /// that cannot be had.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let document = Document::parse(text)?;
        let config: Self = document.read(&Self::defaults()?)?;
        check(&config).map_err(|fault| document.fault(fault.section, fault.key, &fault.to_string()))?;
        Ok(config)
    }

    /// Checks a configuration that was not read from a file, or was changed since.
    ///
    /// # Errors
    /// The first value that cannot be had.
    pub fn check(&self) -> Result<(), ConfigError> {
        check(self).map_err(|fault| ConfigError::anywhere(fault.to_string()))
    }

    /// What the control plane is told.
    #[must_use]
    pub fn control(&self) -> ControlSettings {
        ControlSettings {
            room: self.rooms.clone(),
            breakout: self.breakout,
            max_rooms: self.node.max_rooms,
            seats_per_worker: self.node.seats_per_worker,
        }
    }

    /// Every setting with its default; secrets are shown empty.
    ///
    /// # Errors
    /// Never for the settings of this crate; the serialiser could fail in principle.
    pub fn defaults() -> Result<Table, ConfigError> {
        Table::try_from(Self::default()).map_err(|error| ConfigError::anywhere(error.to_string()))
    }
}
