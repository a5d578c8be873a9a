//! Scenario files: TOML, whose faults name key and line.

use std::fs;
use std::path::Path;

use toml::Table;

use super::Scenario;
use crate::config::{ConfigError, Document};

/// Why a scenario file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
    /// Something in it is wrong.
    #[error("{0}: {1}")]
    Wrong(String, ConfigError),
}

impl Scenario {
    /// Reads and checks a scenario file; `adapt` changes what the command line says otherwise.
    ///
    /// # Errors
    /// [`ScenarioError`], with the line and the setting that are wrong.
    pub fn from_file(path: &Path, adapt: impl FnOnce(&mut Self)) -> Result<Self, ScenarioError> {
        let name = path.display().to_string();
        let text =
            fs::read_to_string(path).map_err(|error| ScenarioError::Unreadable(name.clone(), error))?;
        Self::from_toml(&text, adapt).map_err(|error| ScenarioError::Wrong(name, error))
    }

    fn from_toml(text: &str, adapt: impl FnOnce(&mut Self)) -> Result<Self, ConfigError> {
        let document = Document::parse(text)?;
        let known = Table::try_from(Self::default());
        let known = known.map_err(|error| ConfigError { line: None, message: error.to_string() })?;
        let mut scenario: Self = document.read(&known)?;
        adapt(&mut scenario);
        let checked = scenario.check();
        checked.map_err(|fault| document.fault(fault.section, fault.key, &fault.to_string()))?;
        Ok(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::*;

    fn read(text: &str) -> Result<Scenario, String> {
        Scenario::from_toml(text, |_| {}).map_err(|error| error.to_string())
    }

    #[test]
    fn a_fault_names_key_and_line() {
        for (text, wrong) in [
            (
                "[people]\nparticipant = 3\n",
                "line 2: unknown setting `participant` in [people]; did you mean",
            ),
            ("[poeple]\n", "line 1: unknown section [poeple]; did you mean [people]?"),
            (
                "[run]\nmoves = 3\n",
                "line 2: unknown setting `moves` in [run]; `moves` is a setting of [operations]",
            ),
            ("[people]\n\nrooms = \"two\"\n", "line 3: `rooms` in [people]: invalid type"),
            ("[people]\nrooms = -1\n", "line 2: `rooms` in [people]: invalid value"),
            ("[run]\nname = \"x\"\nseconds = 0\n", "line 3: `seconds` in [run]: has to be from 1 to 86400"),
            ("[sound]\ntalkers = 2\n[network]\nloss = 0.9\n", "line 4: `loss` in [network]: has to be"),
            ("[people\n", "line 1: "),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.starts_with(wrong), "{wrong}\n{found}");
        }
    }

    #[test]
    fn every_profile_reads_back_what_it_says() {
        for profile in Profile::ALL {
            let text = toml::to_string(&profile.scenario()).unwrap();
            assert_eq!(read(&text), Ok(profile.scenario()), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_numbers() {
        let scenario = read("[operations]\njoins = 5\n[sound]\ntalkers = 1\n").unwrap();
        assert!((scenario.operations.joins - 5.0).abs() < 1e-9);
    }

    #[test]
    fn the_example_can_be_played() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/town_hall.toml");
        Scenario::from_file(&path, |_| {}).unwrap();
    }

    #[test]
    fn the_command_line_has_the_last_word() {
        let adapted = Scenario::from_toml("[people]\nrooms = 0\n", |s| s.people.rooms = 2).unwrap();
        assert_eq!(adapted.people.rooms, 2);
    }
}
