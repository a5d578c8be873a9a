//! A refusal with the text that names the culprit.

use serde_json::Value;

use crate::message::Refusal;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) refusal: Refusal,
    text: Option<String>,
}

impl Denied {
    pub(super) fn new(refusal: Refusal, text: impl Into<String>) -> Self {
        Self { refusal, text: Some(text.into()) }
    }

    /// `bad_parameter` for one field: what it must be.
    pub(super) fn field(name: &str, wanted: &str) -> Self {
        Self::new(Refusal::BadParameter, format!("`{name}` must be {wanted}."))
    }

    /// The `data` of the ack.
    pub(super) fn data(&self) -> Value {
        self.text.as_deref().map_or_else(|| self.refusal.data(), |text| self.refusal.data_with(text))
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, text: None }
    }
}
