//! From TOML text to a checked configuration.

use serde::{Deserialize, Serialize};
use toml::de::DeTable;
use toml::{Table, Value};

use super::check::check;
use super::error::ConfigError;
use super::hint::did_you_mean;
use crate::api::settings::{AdminSettings, HttpSettings, TokenSettings};
use crate::control::settings::{BreakoutSettings, ControlSettings, RoomSettings};
use crate::media::settings::MediaSettings;
use crate::node::settings::{ListenSettings, NodeSettings};
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
        let document = DeTable::parse(text).map_err(|error| located(text, &error))?;
        refuse_unknown_names(text, document.get_ref())?;
        let config: Self =
            toml::from_str(text).map_err(|error| mistyped(text, document.get_ref(), &error))?;
        check(&config).map_err(|fault| {
            let place = offset_of(document.get_ref(), fault.section, fault.key);
            let message = fault.to_string();
            place.map_or_else(
                || ConfigError::anywhere(message.clone()),
                |offset| ConfigError::at(text, offset, message.clone()),
            )
        })?;
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

fn located(text: &str, error: &toml::de::Error) -> ConfigError {
    match error.span() {
        Some(span) => ConfigError::at(text, span.start, error.message()),
        None => ConfigError::anywhere(error.message()),
    }
}

/// A value of the wrong type, with the name of its setting, which the parser leaves out.
fn mistyped(text: &str, document: &DeTable<'_>, error: &toml::de::Error) -> ConfigError {
    let place = error.span().map(|span| span.start);
    match place.and_then(|offset| Some((offset, setting_at(document, offset)?))) {
        Some((offset, (section, key))) => {
            ConfigError::at(text, offset, format!("`{key}` in [{section}]: {}", error.message()))
        }
        None => located(text, error),
    }
}

/// The setting whose value is written around `offset`.
fn setting_at<'a>(document: &'a DeTable<'_>, offset: usize) -> Option<(&'a str, &'a str)> {
    document.iter().find_map(|(section, settings)| {
        let table = settings.get_ref().as_table()?;
        let (key, _) = table.iter().find(|(_, value)| value.span().contains(&offset))?;
        Some((section.get_ref().as_ref(), key.get_ref().as_ref()))
    })
}

/// Looks at names before types, because a mistyped name says more than what follows from it.
fn refuse_unknown_names(text: &str, document: &DeTable<'_>) -> Result<(), ConfigError> {
    let known = Config::defaults()?;
    for (section, value) in document {
        let name: &str = section.get_ref();
        let Some(Value::Table(settings)) = known.get(name) else {
            let message = unknown_section(name, &known);
            return Err(ConfigError::at(text, section.span().start, message));
        };
        // A section that is no table fails by its type later on.
        let Some(table) = value.get_ref().as_table() else { continue };
        for key in table.keys() {
            if !settings.contains_key(key.get_ref().as_ref()) {
                let message = unknown_key(name, key.get_ref(), settings, &known);
                return Err(ConfigError::at(text, key.span().start, message));
            }
        }
    }
    Ok(())
}

fn unknown_section(name: &str, known: &Table) -> String {
    if let Some(owner) = owner_of(name, known) {
        return format!("unknown section [{name}]; `{name}` is a setting of [{owner}]");
    }
    match did_you_mean(name, known.keys().map(String::as_str)) {
        Some(meant) => format!("unknown section [{name}]; did you mean [{meant}]?"),
        None => format!("unknown section [{name}]; there are {}", listed(known)),
    }
}

fn unknown_key(section: &str, key: &str, settings: &Table, known: &Table) -> String {
    let unknown = format!("unknown setting `{key}` in [{section}]");
    if let Some(meant) = did_you_mean(key, settings.keys().map(String::as_str)) {
        return format!("{unknown}; did you mean `{meant}`?");
    }
    match owner_of(key, known) {
        Some(owner) => format!("{unknown}; `{key}` is a setting of [{owner}]"),
        None => format!("{unknown}; there are {}", listed(settings)),
    }
}

/// The section that has a setting of this name.
fn owner_of<'a>(key: &str, known: &'a Table) -> Option<&'a str> {
    known
        .iter()
        .find(|(_, section)| section.as_table().is_some_and(|table| table.contains_key(key)))
        .map(|(name, _)| name.as_str())
}

fn listed(table: &Table) -> String {
    table.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// Where a setting is written: its key, or its section where the file leaves it at its default.
fn offset_of(document: &DeTable<'_>, section: &str, key: &str) -> Option<usize> {
    let (name, value) = document.iter().find(|(name, _)| name.get_ref() == section)?;
    let of_key = value.get_ref().as_table().and_then(|table| {
        table.keys().find(|candidate| candidate.get_ref() == key).map(|found| found.span().start)
    });
    Some(of_key.unwrap_or(name.span().start))
}
