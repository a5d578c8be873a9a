//! Reads the parameters of a request; whatever is missing or has the wrong type is 1734.

use anteroom::message::Refusal;
use serde_json::{Map, Value};

pub type Check<T = ()> = Result<T, Refusal>;

/// A flat object. `null` counts as absent.
#[derive(Clone, Copy)]
pub struct Params<'a>(pub &'a Map<String, Value>);

impl<'a> Params<'a> {
    pub fn optional<T>(self, key: &str, read: impl Fn(&'a Value) -> Option<T>) -> Check<Option<T>> {
        let value = self.0.get(key).filter(|value| !value.is_null());
        value.map(|value| read(value).ok_or(Refusal::BadParameter)).transpose()
    }

    pub fn required<T>(self, key: &str, read: impl Fn(&'a Value) -> Option<T>) -> Check<T> {
        self.optional(key, read)?.ok_or(Refusal::BadParameter)
    }

    pub fn bool(self, key: &str) -> Check<bool> {
        self.required(key, Value::as_bool)
    }

    pub fn optional_bool(self, key: &str) -> Check<Option<bool>> {
        self.optional(key, Value::as_bool)
    }

    pub fn optional_whole(self, key: &str) -> Check<Option<u64>> {
        self.optional(key, whole)
    }

    pub fn text(self, key: &str) -> Check<&'a str> {
        self.required(key, Value::as_str)
    }

    /// An id; a text that is none names nothing.
    pub fn id<T: std::str::FromStr>(self, key: &str, unknown: Refusal) -> Check<T> {
        self.text(key)?.parse().map_err(|_| unknown)
    }

    /// One of two words: whether it is the second.
    pub fn either(self, key: &str, words: [&str; 2], otherwise: Refusal) -> Check<bool> {
        let word = self.text(key)?;
        words.iter().position(|known| *known == word).map(|at| at == 1).ok_or(otherwise)
    }
}

/// A whole number, also one that is written with a point.
pub fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64))
}

pub fn ensure(fine: bool, otherwise: Refusal) -> Check {
    if fine { Ok(()) } else { Err(otherwise) }
}
