//! Text that must not be seen.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A key or password. `Debug`, `Display` and serialisation show only whether there is one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    const fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "(hidden)" }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({:?})", self.shown())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// What is no text is refused without a word of what it is: it was meant as a secret.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

struct Text;

impl Text {
    fn refused<E: Error>() -> E {
        E::custom("a secret has to be a text in quotes")
    }
}

impl Visitor<'_> for Text {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Secret, E> {
        Err(Self::refused())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(Self::refused())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_written() {
        let secret = Secret::new("correct horse battery staple");
        let written = format!("{secret} {secret:?} {}", serde_json::to_string(&secret).unwrap());
        assert!(!written.contains("horse"), "{written}");
        assert_eq!(format!("{:?}", Secret::default()), "Secret(\"\")");
    }

    #[test]
    fn a_secret_of_the_wrong_type_is_refused_without_telling_it() {
        for written in ["1234567890123456", "-12345678", "12345678.5", "true", "[12345678]", "null"] {
            let error = serde_json::from_str::<Secret>(written).unwrap_err().to_string();
            assert!(error.contains("text in quotes") && !error.contains("12345678"), "{error}");
        }
        assert_eq!(serde_json::from_str::<Secret>("\"12345678\"").unwrap().reveal(), "12345678");
    }
}
