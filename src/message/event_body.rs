//! What an event says, made and written once for everybody who is told.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// The `data` of an event, shared by the frames of all its addressees. Reads as its [`Value`].
#[derive(Clone)]
pub struct EventBody(Arc<Inner>);

struct Inner {
    value: Value,
    /// Its JSON; nothing only where a value cannot be written, which none of the protocol's is.
    text: Option<Box<RawValue>>,
}

impl EventBody {
    /// Bytes of its JSON.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.text.as_ref().map_or(0, |text| text.get().len())
    }
}

impl From<Value> for EventBody {
    fn from(value: Value) -> Self {
        let text = to_raw_value(&value).ok();
        Self(Arc::new(Inner { value, text }))
    }
}

impl Deref for EventBody {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0.value
    }
}

impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

impl PartialEq for EventBody {
    fn eq(&self, other: &Self) -> bool {
        self.0.value == other.0.value
    }
}

impl Serialize for EventBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.text {
            Some(text) => text.serialize(serializer),
            None => self.0.value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_written_as_its_value() {
        let value = json!({"name": "Zoë", "list": [1, null, "a\n"]});
        let body = EventBody::from(value.clone());
        assert_eq!(serde_json::to_string(&body).unwrap(), value.to_string());
        assert_eq!(serde_json::to_value(&body).unwrap(), value);
        assert_eq!((body["list"][0].as_u64(), body.size()), (Some(1), value.to_string().len()));
    }
}
