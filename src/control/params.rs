//! The parameters of a request, read with their types. A wrong one is refused by its name.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::denied::Denied;
use crate::base::{BreakoutId, ClientId, Kind, Mid, is_name};
use crate::message::{Refusal, Role, RoomMode, Tracks};

/// Most entries of a list.
const MAX_LIST: usize = 1_000;

/// Most m-lines that `tracks` may name. An offer has no more.
const MAX_TRACKS: usize = 32;

/// A whole number of at least 0, however it is written: `3`, `3.0` and `3e0` are one number to most
/// languages. One beyond all limits is as large as any.
pub(super) fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0)?;
        Some(format!("{:.0}", number.abs()).parse().unwrap_or(u64::MAX))
    })
}

/// The parameters of one request. A field that is `null` counts as absent.
#[derive(Clone, Copy)]
pub(super) struct Params<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Params<'a> {
    fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn bool(self, name: &str) -> Result<bool, Denied> {
        self.optional_bool(name)?.ok_or_else(|| Denied::field(name, "true or false"))
    }

    pub(super) fn optional_bool(self, name: &str) -> Result<Option<bool>, Denied> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(Denied::field(name, "true or false")),
        }
    }

    pub(super) fn text(self, name: &str) -> Result<&'a str, Denied> {
        self.optional_text(name)?.ok_or_else(|| Denied::field(name, "a text"))
    }

    pub(super) fn optional_text(self, name: &str) -> Result<Option<&'a str>, Denied> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(value)) => Ok(Some(value)),
            Some(_) => Err(Denied::field(name, "a text")),
        }
    }

    /// A name for people, of at most [`crate::base::MAX_NAME`] characters.
    pub(super) fn optional_name(self, name: &str) -> Result<Option<&'a str>, Denied> {
        let Some(text) = self.optional_text(name)? else { return Ok(None) };
        if !is_name(text) {
            return Err(Denied::field(
                name,
                "a text of 1 to 128 characters, none of which control or turn text",
            ));
        }
        Ok(Some(text))
    }

    pub(super) fn optional_whole(self, name: &str) -> Result<Option<u64>, Denied> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => {
                whole(value).map(Some).ok_or_else(|| Denied::field(name, "a whole number of at least 0"))
            }
        }
    }

    pub(super) fn whole(self, name: &str) -> Result<u64, Denied> {
        self.optional_whole(name)?.ok_or_else(|| Denied::field(name, "a whole number of at least 0"))
    }

    /// Any number, for fields whose range is checked later.
    pub(super) fn number(self, name: &str) -> Result<&'a Value, Denied> {
        self.get(name).filter(|value| value.is_number()).ok_or_else(|| Denied::field(name, "a number"))
    }

    /// `participants`, with the contract's own code for absence, wrong type and too few.
    pub(super) fn participants(self) -> Result<u64, Denied> {
        let value = self.get("participants").and_then(whole);
        value.filter(|participants| *participants >= 2).ok_or_else(|| Refusal::ParticipantsMissing.into())
    }

    /// A breakout room's id; a text that is no id names no room.
    pub(super) fn room_id(self) -> Result<BreakoutId, Denied> {
        self.text("room_id")?.parse().map_err(|_| Refusal::UnknownRoom.into())
    }

    /// A `clientId`; a text that is no id names nobody.
    pub(super) fn client_id(self) -> Result<ClientId, Denied> {
        self.text("clientId")?.parse().map_err(|_| Refusal::UnknownClient.into())
    }

    /// `clients`, each as it was written and as an id, if it is one.
    pub(super) fn clients(self) -> Result<Vec<(&'a str, Option<ClientId>)>, Denied> {
        let wanted = || Denied::field("clients", "a list of at most 1000 `clientId`s");
        let Some(Value::Array(list)) = self.get("clients") else { return Err(wanted()) };
        if list.len() > MAX_LIST {
            return Err(wanted());
        }
        let mut clients = Vec::with_capacity(list.len());
        for entry in list {
            let text = entry.as_str().ok_or_else(wanted)?;
            if !clients.iter().any(|(other, _)| *other == text) {
                clients.push((text, text.parse().ok()));
            }
        }
        Ok(clients)
    }

    pub(super) fn role(self, name: &str) -> Result<Role, Denied> {
        match self.text(name)? {
            "participant" => Ok(Role::Participant),
            "moderator" => Ok(Role::Moderator),
            _ => Err(Refusal::BadRole.into()),
        }
    }

    pub(super) fn mode(self) -> Result<RoomMode, Denied> {
        match self.text("mode")? {
            "group" => Ok(RoomMode::Group),
            "lecture" => Ok(RoomMode::Lecture),
            _ => Err(Denied::field("mode", "`group` or `lecture`")),
        }
    }

    /// Whether `scope` asks for the whole room.
    pub(super) fn room_scope(self) -> Result<bool, Denied> {
        match self.optional_text("scope")? {
            None => Ok(false),
            Some("room") => Ok(true),
            Some(_) => Err(Denied::field("scope", "`room`, or absent")),
        }
    }

    pub(super) fn object(self, name: &str) -> Result<Params<'a>, Denied> {
        match self.get(name) {
            Some(Value::Object(map)) => Ok(Params(map)),
            _ => Err(Denied::field(name, "an object")),
        }
    }

    pub(super) fn tracks(self) -> Result<Option<Tracks>, Denied> {
        if !self.has("tracks") {
            return Ok(None);
        }
        let wanted = || {
            Denied::field(
                "tracks",
                "an object of at most 32 m-lines, each `audio`, `video`, `share` or `canvas`",
            )
        };
        let Params(map) = self.object("tracks")?;
        if map.len() > MAX_TRACKS {
            return Err(wanted());
        }
        let mut tracks = BTreeMap::new();
        for (mid, kind) in map {
            let kind = kind.as_str().ok_or_else(wanted)?;
            let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or_else(wanted)?;
            tracks.insert(Mid::from(mid.as_str()), kind);
        }
        Ok(Some(tracks))
    }
}
