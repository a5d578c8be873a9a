//! From the text of a WebSocket message to a request, or to the ack that refuses it.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::base::BreakoutId;
use crate::message::{Frame, Method, Refusal, Request, named_room};

/// Nesting of braces and brackets that a request may have; the contract's objects have 3.
const MAX_DEPTH: usize = 32;

/// Objects and lists that a request may have. An object takes 640 bytes of memory and is written in 7, a
/// list 128 and in 2: the longest message could take 11 MB.
const MAX_NESTS: usize = 256;

/// Values behind commas that a request may have; the contract's lists have 1,000. A value takes 32 bytes of
/// memory and is written in 2.
const MAX_COMMAS: usize = 4_096;

/// Bytes of a request's id and of a method's name.
const MAX_NAME_BYTES: usize = 128;

/// Reads a request.
///
/// # Errors
/// The ack to send instead: under the message's own id and its method's name, where these can be
/// read.
pub fn read_request(text: &str) -> Result<Request, Box<Frame>> {
    if let Some(why) = excess(text) {
        return Err(Envelope::skim(text).refused(&why));
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Envelope::skim(text).refused(&format!("This message is no JSON: {error}.")))?;
    let Value::Object(mut map) = value else {
        return Err(Envelope::default().refused("A message is an object: {\"id\", \"method\", \"params\"}."));
    };
    let envelope = Envelope::of(&map);
    let (id, method) = match (take_name(&mut map, "id"), take_name(&mut map, "method")) {
        (Ok(id), Ok(method)) => (id, method),
        (Err(why), _) | (_, Err(why)) => return Err(envelope.refused(&why)),
    };
    let params = match map.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err(envelope.refused("`params` has to be an object.")),
    };
    Ok(Request { id, method, params })
}

/// The ack of a request beyond a link's rate.
pub(super) fn too_many(request: &Request) -> Frame {
    request.failure(Refusal::RequestInProgress.data_with("Too many requests. Wait a second and ask again."))
}

/// What says to which request an ack belongs; of a message that is no request, what of it can be read.
#[derive(Default)]
struct Envelope {
    id: String,
    method: Option<Method>,
    room: Option<BreakoutId>,
}

impl Envelope {
    fn of(map: &Map<String, Value>) -> Self {
        let text = |key: &str| map.get(key).and_then(Value::as_str);
        Self {
            id: text("id").unwrap_or_default().to_owned(),
            method: text("method").and_then(|name| name.parse().ok()),
            room: map.get("params").and_then(Value::as_object).and_then(named_room),
        }
    }

    /// Reads it without building the rest, which may be nested however deeply.
    fn skim(text: &str) -> Self {
        #[derive(Deserialize)]
        struct Id {
            id: String,
        }
        #[derive(Deserialize)]
        struct Name {
            method: String,
        }
        #[derive(Deserialize)]
        struct Params {
            params: Named,
        }
        #[derive(Deserialize)]
        struct Named {
            room_id: BreakoutId,
        }
        let named: Result<Name, _> = serde_json::from_str(text);
        Self {
            id: serde_json::from_str(text).map(|Id { id }| id).unwrap_or_default(),
            method: named.ok().and_then(|name| name.method.parse().ok()),
            room: serde_json::from_str(text).map(|Params { params }| params.room_id).ok(),
        }
    }

    fn refused(self, why: &str) -> Box<Frame> {
        let Self { id, method, room } = self;
        Box::new(Frame::failure(id, method, room, Refusal::BadParameter.data_with(why)))
    }
}

fn take_name(map: &mut Map<String, Value>, key: &str) -> Result<String, String> {
    match map.remove(key) {
        Some(Value::String(text)) if (1..=MAX_NAME_BYTES).contains(&text.len()) => Ok(text),
        Some(Value::String(_)) => Err(format!("`{key}` has to have 1 to {MAX_NAME_BYTES} bytes.")),
        Some(_) => Err(format!("`{key}` has to be a string.")),
        None => Err(format!("`{key}` is missing.")),
    }
}

/// Counts nesting, objects, lists and values without building anything; answers what there is too much of.
fn excess(text: &str) -> Option<String> {
    let (mut depth, mut nests, mut commas) = (0_usize, 0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Some(format!("This message is nested deeper than {MAX_DEPTH} levels."));
                }
                nests += 1;
                if nests > MAX_NESTS {
                    return Some(format!("This message has more than {MAX_NESTS} objects and lists in it."));
                }
            }
            b',' if !in_string => {
                commas += 1;
                if commas > MAX_COMMAS {
                    return Some(format!("This message has more than {MAX_COMMAS} values in it."));
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> (String, &'static str, Value) {
        match *read_request(text).unwrap_err() {
            Frame::Ack { id, ack, seq: None, data } => (id, ack, data),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_read_and_unknown_fields_are_ignored() {
        let request =
            read_request(r#"{"id":"1","method":"pause","params":{"scope":"room"},"x":[]}"#).unwrap();
        assert_eq!(request, Request::new("1", "pause", serde_json::json!({"scope": "room"})));
        for nothing in ["", r#","params":null"#] {
            let text = format!(r#"{{"id":"1","method":"pause"{nothing}}}"#);
            assert!(read_request(&text).unwrap().params.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_1734() {
        for text in [
            "",
            "{",
            "[]",
            "7",
            "null",
            "{\"id\":1}",
            "{\"id\":\"\"}",
            "{\"id\":\"1\"}",
            "NaN",
            "\"\\ud800\"",
        ] {
            let (_, ack, data) = refusal(text);
            assert_eq!((ack, &data["result"]), ("error", &Value::from(1734)), "{text}");
        }
    }

    #[test]
    fn a_refusal_keeps_the_id_and_the_acks_name() {
        // What cuts a text in the middle of an emoji sends half of it.
        for value in ["\"Team \\ud83d\"", "1e400"] {
            let text = format!(r#"{{"id":"6","method":"createBreakOutRoom","params":{{"name":{value}}}}}"#);
            let (id, ack, data) = refusal(&text);
            assert_eq!((&*id, ack, &data["result"]), ("6", "didAckCreateBreakOutRoom", &Value::from(1734)));
        }
        let (id, ack, data) = refusal(r#"{"id":"7","method":"joinBreakOutRoom","params":[]}"#);
        assert_eq!((&*id, ack), ("7", "didFailedJoinBreakOutRoom"));
        assert_eq!((&data["error"], data.get("room_id")), (&"bad_parameter".into(), Some(&Value::Null)));
        let (id, ack, _) = refusal(r#"{"id":"","method":"pause"}"#);
        assert_eq!((&*id, ack), ("", "didAckPause"));
        let (id, ack, _) = refusal(r#"{"method":"pause"}"#);
        assert_eq!((&*id, ack), ("", "didAckPause"));
        let long = "x".repeat(129);
        let (id, ack, _) = refusal(&format!(r#"{{"id":"{long}","method":"pause"}}"#));
        assert_eq!((id, ack), (long.clone(), "didAckPause"));
        let (id, ack, _) = refusal(&format!(r#"{{"id":"1","method":"{long}"}}"#));
        assert_eq!((&*id, ack), ("1", "error"));
    }

    #[test]
    fn a_refusal_keeps_them_however_deep_the_rest_is() {
        let deep = "[".repeat(50_000) + &"]".repeat(50_000);
        let room = "0123456789abcdef".repeat(2);
        let text = format!(
            r#"{{"x":{deep},"id":"7","params":{{"a":{deep},"room_id":"{room}"}},"method":"joinBreakOutRoom"}}"#
        );
        let (id, ack, data) = refusal(&text);
        assert_eq!((&*id, ack), ("7", "didFailedJoinBreakOutRoom"));
        assert_eq!((&data["result"], &data["room_id"]), (&1734.into(), &room.into()));
        let (id, ack, _) = refusal(&format!(r#"{{"id":{deep},"method":"pause"}}"#));
        assert_eq!((&*id, ack), ("", "didAckPause"));
        assert_eq!(refusal(&deep[..50_000]).1, "error");
    }

    #[test]
    fn beyond_the_rate_a_request_is_refused_under_its_own_ack() {
        let Frame::Ack { id, ack, seq: None, data } = too_many(&Request::new("7", "replay", Value::Null))
        else {
            panic!("an ack")
        };
        assert_eq!((&*id, ack, &data["result"]), ("7", "didAckReplay", &5107.into()));
    }

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let with = |inner: &str| format!(r#"{{"id":"1","method":"pause","params":{{"a":{inner}}}}}"#);
        assert!(read_request(&with(&nested(30))).is_ok());
        assert!(read_request(&with(&nested(31))).is_err());
        assert!(read_request(&with(&format!("\"\\\"{}\"", "[".repeat(100)))).is_ok());
        assert!(read_request(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn values_are_counted_outside_of_strings() {
        let with = |values: usize| {
            let list = vec!["0"; values].join(",");
            format!(r#"{{"id":"7","method":"pause","params":{{"text":",,,,","a":[{list}]}}}}"#)
        };
        assert!(read_request(&with(MAX_COMMAS - 2)).is_ok());
        let (id, ack, data) = refusal(&with(MAX_COMMAS - 1));
        assert_eq!((&*id, ack, &data["result"]), ("7", "didAckPause", &Value::from(1734)));
    }

    #[test]
    fn objects_and_lists_are_counted_outside_of_strings() {
        let with = |nests: usize| {
            let list = vec!["{},[]"; nests / 2].join(",");
            format!(r#"{{"id":"7","method":"pause","params":{{"text":"{{{{{{","a":[{list}]}}}}"#)
        };
        assert!(read_request(&with(MAX_NESTS - 4)).is_ok());
        let (id, ack, data) = refusal(&with(MAX_NESTS - 2));
        assert_eq!((&*id, ack, &data["result"]), ("7", "didAckPause", &Value::from(1734)));
    }
}
