//! `/v1/rooms`: the operator's requests.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::refuse::HttpRefusal;
use super::router::Doors;
use super::token::check_text;
use crate::base::MAX_NAME;
use crate::message::{AdminReply, AdminRequest, RoomSettings};

/// Bytes of the body of a request: room settings are a few hundred.
const MAX_BODY_BYTES: usize = 16_384;

/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(5);

/// `POST /v1/rooms`: makes a room that stays until it is deleted. What the body leaves out is as
/// configured.
pub(super) async fn create_room(
    State(doors): State<Doors>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, HttpRefusal> {
    check_key(&doors, &headers)?;
    if doors.doorway.is_stopping() {
        return Err(HttpRefusal::stopping());
    }
    if doors.doorway.is_overloaded() {
        return Err(HttpRefusal::overloaded());
    }
    let body = read_body(body).await?;
    let (name, settings) = read_room(&body, &doors.settings.room_defaults)?;
    let reply = ask(&doors, AdminRequest::CreateRoom { name, settings: Some(settings) }).await?;
    match reply {
        AdminReply::Created { name, settings, kept } => {
            let made = json!({"name": name, "settings": settings});
            Ok((StatusCode::CREATED, Json(or_unkept(kept, made))).into_response())
        }
        other => Err(unexpected(other)),
    }
}

/// `DELETE /v1/rooms/{name}`: ends a room and everything in it.
pub(super) async fn delete_room(
    State(doors): State<Doors>,
    headers: HeaderMap,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, HttpRefusal> {
    check_key(&doors, &headers)?;
    let Path(name) = name.map_err(|error| {
        HttpRefusal::new(StatusCode::BAD_REQUEST, "bad_parameter", format!("the room's name: {error}"))
    })?;
    match ask(&doors, AdminRequest::DeleteRoom { name: name.clone() }).await? {
        AdminReply::Deleted { kept } => Ok(Json(or_unkept(kept, json!({"deleted": name}))).into_response()),
        other => Err(unexpected(other)),
    }
}

/// `GET /v1/rooms`: the rooms that there are.
pub(super) async fn list_rooms(
    State(doors): State<Doors>,
    headers: HeaderMap,
) -> Result<Response, HttpRefusal> {
    check_key(&doors, &headers)?;
    match ask(&doors, AdminRequest::ListRooms).await? {
        AdminReply::Rooms(rooms) => {
            let rooms: Vec<Value> = rooms
                .into_iter()
                .map(|(name, mode, participants, breakouts)| {
                    json!({"name": name, "mode": mode, "participants": participants, "breakout_rooms": breakouts})
                })
                .collect();
            Ok(Json(json!({"rooms": rooms})).into_response())
        }
        other => Err(unexpected(other)),
    }
}

/// The key is compared in constant time; without a configured key nobody has it.
fn check_key(doors: &Doors, headers: &HeaderMap) -> Result<(), HttpRefusal> {
    let key = doors.settings.admin_key.reveal().as_bytes();
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map_or("", |(_, given)| given.trim());
    let is_right = !key.is_empty() && bool::from(given.as_bytes().ct_eq(key));
    if is_right {
        return Ok(());
    }
    let msg = if key.is_empty() {
        "no admin key is configured: set `key` in [admin]"
    } else {
        "the admin key is needed: Authorization: Bearer KEY"
    };
    Err(HttpRefusal::new(StatusCode::FORBIDDEN, "forbidden", msg))
}

/// Reads a body only of those who have the key, and not for ever.
async fn read_body(body: Body) -> Result<Bytes, HttpRefusal> {
    match timeout(BODY_WITHIN, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(HttpRefusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body broke off or has more than {MAX_BODY_BYTES} bytes"),
        )),
        Err(_) => {
            Err(HttpRefusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not come in time"))
        }
    }
}

/// `{name, ...settings}`, laid over the configured defaults.
fn read_room(body: &[u8], defaults: &RoomSettings) -> Result<(String, RoomSettings), HttpRefusal> {
    let bad = |msg: String| HttpRefusal::new(StatusCode::BAD_REQUEST, "bad_parameter", msg);
    let mut given: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| bad(format!("the body is no JSON object: {error}")))?;
    let Some(Value::String(name)) = given.remove("name") else {
        return Err(bad("`name` is missing or no string".to_owned()));
    };
    check_text("name", &name).map_err(|_| {
        bad(format!(
            "`name` has to have 1 to {MAX_NAME} characters, without characters that control or turn text"
        ))
    })?;
    let defaults = serde_json::to_value(defaults).map_err(|error| bad(error.to_string()))?;
    let Value::Object(mut settings) = defaults else { return Err(bad("no settings".to_owned())) };
    settings.extend(given);
    let settings = serde_json::from_value(Value::Object(settings)).map_err(|error| bad(error.to_string()))?;
    Ok((name, settings))
}

async fn ask(doors: &Doors, request: AdminRequest) -> Result<AdminReply, HttpRefusal> {
    doors.doorway.admin(request).await.map_err(|_| HttpRefusal::stopping())
}

/// What was done, with a word where it would not survive a crash because the store cannot be written.
fn or_unkept(kept: bool, mut done: Value) -> Value {
    if let Value::Object(done) = &mut done
        && !kept
    {
        done.insert("kept".to_owned(), json!(false));
    }
    done
}

fn unexpected(reply: AdminReply) -> HttpRefusal {
    match reply {
        AdminReply::Exists => {
            HttpRefusal::new(StatusCode::CONFLICT, "room_exists", "there is a room of this name already")
        }
        AdminReply::Unknown => {
            HttpRefusal::new(StatusCode::NOT_FOUND, "unknown_room", "there is no room of this name")
        }
        AdminReply::Invalid(msg) => HttpRefusal::new(StatusCode::BAD_REQUEST, "bad_parameter", msg),
        AdminReply::Created { .. }
        | AdminReply::Deleted { .. }
        | AdminReply::Ended
        | AdminReply::Rooms(_)
        | AdminReply::Seated(_) => {
            HttpRefusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed to do this")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::RoomMode;

    #[test]
    fn a_room_differs_from_the_configured_ones_only_in_what_is_said() {
        let configured = RoomSettings { max_active_talkers: 4, ..RoomSettings::default() };
        let (name, settings) = read_room(br#"{"name":"a","mode":"lecture"}"#, &configured).unwrap();
        assert_eq!(name, "a");
        assert_eq!(settings, RoomSettings { mode: RoomMode::Lecture, ..configured.clone() });
        for body in ["", "[]", "{}", r#"{"name":1}"#, r#"{"name":" "}"#, r#"{"name":"a","colour":1}"#] {
            let refusal = read_room(body.as_bytes(), &configured).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{body}");
        }
    }
}
