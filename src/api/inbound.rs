//! From the text of a WebSocket message to a request, or to the ack that refuses it.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::message::{Frame, Method, Refusal, Request};

/// Nesting of braces and brackets that a request may have; the contract's objects have 3.
const MAX_DEPTH: usize = 32;

/// Bytes of a request's id and of a method's name.
const MAX_NAME_BYTES: usize = 128;

/// Reads a request.
///
/// The error is the ack to send instead: under the method's name where one could be read.
pub(super) fn read_request(text: &str) -> Result<Request, Box<Frame>> {
    let refuse = |id: &str, method: Option<Method>, why: &str| Box::new(refused(id, method, why));
    if is_too_deep(text) {
        return Err(refuse("", None, &format!("This message is nested deeper than {MAX_DEPTH} levels.")));
    }
    let value: Value = serde_json::from_str(text)
        .map_err(|error| refuse("", None, &format!("This message is no JSON: {error}.")))?;
    let Value::Object(mut map) = value else {
        return Err(refuse("", None, "A message is an object: {\"id\", \"method\", \"params\"}."));
    };
    let id = take_name(&mut map, "id").map_err(|why| refuse("", None, &why))?;
    let name = take_name(&mut map, "method").map_err(|why| refuse(&id, None, &why))?;
    let params = match map.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => {
            return Err(refuse(&id, Method::from_str(&name).ok(), "`params` has to be an object."));
        }
    };
    Ok(Request { id, method: name, params })
}

/// The ack of a message that is no request.
fn refused(id: &str, method: Option<Method>, why: &str) -> Frame {
    refused_with(Refusal::BadParameter, id, method, why)
}

/// The ack of a request beyond a link's rate.
pub(super) fn too_many(request: &Request) -> Frame {
    let method = Method::from_str(&request.method).ok();
    refused_with(Refusal::Internal, &request.id, method, "Too many requests. Wait a second and ask again.")
}

fn refused_with(refusal: Refusal, id: &str, method: Option<Method>, why: &str) -> Frame {
    let ack = method.map_or(Method::UNKNOWN_ACK, Method::failure_ack);
    Frame::Ack { id: id.to_owned(), ack, seq: None, data: refusal.data_with(why) }
}

fn take_name(map: &mut Map<String, Value>, key: &str) -> Result<String, String> {
    match map.remove(key) {
        Some(Value::String(text)) if (1..=MAX_NAME_BYTES).contains(&text.len()) => Ok(text),
        Some(Value::String(_)) => Err(format!("`{key}` has to have 1 to {MAX_NAME_BYTES} bytes.")),
        Some(_) => Err(format!("`{key}` has to be a string.")),
        None => Err(format!("`{key}` is missing.")),
    }
}

/// Counts nesting without building anything.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
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
        assert!(read_request(r#"{"id":"1","method":"pause"}"#).unwrap().params.is_empty());
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
        let (id, ack, data) = refusal(r#"{"id":"7","method":"joinBreakOutRoom","params":[]}"#);
        assert_eq!((&*id, ack), ("7", "didFailedJoinBreakOutRoom"));
        assert_eq!(data["error"], "bad_parameter");
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
}
