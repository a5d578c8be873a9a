//! A TOML file of sections: what it says, and where it says it.

use serde::de::DeserializeOwned;
use toml::de::DeTable;
use toml::{Spanned, Table, Value};

use super::error::ConfigError;
use super::hint::did_you_mean;

/// A file that is TOML, with the places of its settings.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    sections: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Reads the syntax of a file's text.
    ///
    /// # Errors
    /// The first syntax error, with its line.
    pub fn parse(text: &'a str) -> Result<Self, ConfigError> {
        let sections = DeTable::parse(text).map_err(|error| located(text, &error))?;
        Ok(Self { text, sections })
    }

    /// What the file says; `known` has every section with each of its settings.
    ///
    /// # Errors
    /// An unknown name or a wrong type, with its line.
    pub fn read<T: DeserializeOwned>(&self, known: &Table) -> Result<T, ConfigError> {
        let sections = self.sections.get_ref();
        refuse_unknown_names(self.text, sections, known)?;
        toml::from_str(self.text).map_err(|error| mistyped(self.text, sections, &error))
    }

    /// Says that the value of a setting cannot be had, with the line of the setting, or of its section
    /// where the file leaves it at its default.
    #[must_use]
    pub fn fault(&self, section: &str, key: &str, message: &str) -> ConfigError {
        match offset_of(self.sections.get_ref(), section, key) {
            Some(offset) => ConfigError::at(self.text, offset, message),
            None => ConfigError::anywhere(message),
        }
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
fn refuse_unknown_names(text: &str, document: &DeTable<'_>, known: &Table) -> Result<(), ConfigError> {
    for (section, value) in document {
        let name: &str = section.get_ref();
        let Some(Value::Table(settings)) = known.get(name) else {
            let message = unknown_section(name, known);
            return Err(ConfigError::at(text, section.span().start, message));
        };
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("`{name}` is a section: write [{name}] and its settings below");
            return Err(ConfigError::at(text, section.span().start, message));
        };
        for key in table.keys() {
            if !settings.contains_key(key.get_ref().as_ref()) {
                let message = unknown_key(name, key.get_ref(), settings, known);
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
