//! The frames of the client protocol: request, ack, event.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{EventBody, Method, json_size};
use crate::base::BreakoutId;

/// What a client asks. Every door (WebSocket, library) makes this one type.
///
/// `params` stays untyped, because the contract checks a caller's rights before it looks at most
/// parameters; control reads them at the step that the contract names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The client's own name for this request. The same id within 2 minutes is the same request.
    pub id: String,
    /// The method's name; see [`super::Method`].
    pub method: String,
    /// A flat object. Unknown fields are ignored.
    #[serde(default)]
    pub params: Map<String, Value>,
}

impl Request {
    /// A request from an object made with `json!`; any other value counts as an empty object.
    #[must_use]
    pub fn new(id: impl Into<String>, method: impl AsRef<str>, params: Value) -> Self {
        let params = if let Value::Object(map) = params { map } else { Map::new() };
        Self { id: id.into(), method: method.as_ref().to_owned(), params }
    }
}

impl Request {
    /// The ack that refuses this request, with the `data` of a refusal.
    #[must_use]
    pub fn failure(&self, data: Value) -> Frame {
        Frame::failure(self.id.clone(), self.method.parse().ok(), named_room(&self.params), data)
    }
}

/// The breakout room that a request's parameters name, if they name one.
#[must_use]
pub fn named_room(params: &Map<String, Value>) -> Option<BreakoutId> {
    params.get("room_id")?.as_str()?.parse().ok()
}

/// The name under which an ack goes out.
pub type AckName = &'static str;

/// What the server sends to one client.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// The answer to one request.
    Ack {
        /// The request's id.
        id: String,
        /// The ack's name.
        ack: AckName,
        /// The number of the change that this request made, if it made one.
        seq: Option<u64>,
        /// The answer: `result` is 0 or a refusal's code.
        data: Value,
    },
    /// Something that happened.
    Event {
        /// The session-wide number of the change.
        seq: u64,
        /// The number of the event that this participant was sent before; 0 for the first.
        prev: u64,
        /// The event's name.
        event: &'static str,
        /// What happened.
        data: EventBody,
    },
}

impl Frame {
    /// The ack of a request that failed, under the name that its method has for that. A failed join
    /// names its room, so that a client with several invitations knows which; `null` stands for one
    /// that could not be read.
    #[must_use]
    pub fn failure(id: String, method: Option<Method>, room: Option<BreakoutId>, mut data: Value) -> Self {
        if method == Some(Method::JoinBreakOutRoom)
            && let Value::Object(data) = &mut data
        {
            data.insert("room_id".to_owned(), json!(room));
        }
        let ack = method.map_or(Method::UNKNOWN_ACK, Method::failure_ack);
        Self::Ack { id, ack, seq: None, data }
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        const NAMES_AND_NUMBERS: usize = 64;
        NAMES_AND_NUMBERS
            + match self {
                Self::Ack { id, ack, data, .. } => id.len() + ack.len() + json_size(data),
                Self::Event { event, data, .. } => event.len() + data.size(),
            }
    }
}

impl Serialize for Frame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        match self {
            Self::Ack { id, ack, seq, data } => {
                map.serialize_entry("id", id)?;
                map.serialize_entry("ack", ack)?;
                map.serialize_entry("seq", seq)?;
                map.serialize_entry("data", data)?;
            }
            Self::Event { seq, prev, event, data } => {
                map.serialize_entry("seq", seq)?;
                map.serialize_entry("prev", prev)?;
                map.serialize_entry("event", event)?;
                map.serialize_entry("data", data)?;
            }
        }
        map.end()
    }
}
