//! Which path leads where, and what every answer carries.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::doorway::Doorway;
use super::refuse::HttpRefusal;
use super::token::TokenDoor;
use super::{admin_door, embedded_page, origin, socket};
use crate::base::Secret;
use crate::message::{AdminReply, AdminRequest, Role, RoomSettings};
use crate::telemetry::{Clock, Totals, wall_clock_seconds};

/// A scrape must not wait for a control plane that hangs: it tells what is known.
const TOTALS_WITHIN: Duration = Duration::from_secs(1);

/// What the doors are told by the configuration.
#[derive(Clone, Debug)]
pub struct DoorSettings {
    /// Checks tokens.
    pub tokens: TokenDoor,
    /// The key of `/v1/rooms`; empty: nobody has it.
    pub admin_key: Secret,
    /// Origins of other sites' pages that may open a WebSocket.
    pub allowed_origins: Vec<String>,
    /// What a room is like where `POST /v1/rooms` does not say.
    pub room_defaults: RoomSettings,
    /// The process's clock.
    pub clock: Clock,
}

/// What every handler of the public doors shares.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    pub(super) doorway: Doorway,
    pub(super) settings: Arc<DoorSettings>,
}

/// The public doors: page, WebSocket, rooms, tokens for developers, health.
pub fn public_router(doorway: Doorway, settings: DoorSettings) -> Router {
    let mut router = Router::new()
        .route("/", get(embedded_page::index))
        .route("/page/{file}", get(embedded_page::file))
        .route("/v1/ws", get(socket::open))
        .route("/v1/rooms", post(admin_door::create_room).get(admin_door::list_rooms))
        .route("/v1/rooms/{name}", delete(admin_door::delete_room));
    if settings.tokens.is_development() {
        router = router.route("/dev/token", get(development_token));
    }
    with_health(router)
        .fallback(not_found)
        .layer(from_fn(secure))
        .with_state(Doors { doorway, settings: Arc::new(settings) })
}

/// The doors of the metrics' own address.
pub fn metrics_router(doorway: Doorway) -> Router {
    let router = Router::new().route("/metrics", get(metrics));
    with_health(router).fallback(not_found).layer(from_fn(secure)).with_state(doorway)
}

fn with_health<S>(router: Router<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Doorway: axum::extract::FromRef<S>,
{
    router.route("/livez", get(async || "ok\n")).route("/readyz", get(ready))
}

impl axum::extract::FromRef<Doors> for Doorway {
    fn from_ref(doors: &Doors) -> Self {
        doors.doorway.clone()
    }
}

async fn ready(State(doorway): State<Doorway>) -> (StatusCode, String) {
    match doorway.is_unready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
    }
}

async fn not_found() -> HttpRefusal {
    HttpRefusal::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
}

async fn metrics(State(doorway): State<Doorway>) -> Result<Response, HttpRefusal> {
    let asked = tokio::time::timeout(TOTALS_WITHIN, doorway.admin(AdminRequest::ListRooms)).await;
    if let Ok(Ok(AdminReply::Rooms(rooms))) = asked {
        doorway.metrics().set_totals(Totals {
            rooms: rooms.len(),
            participants: rooms.iter().map(|room| room.2).sum(),
            breakout_rooms: rooms.iter().map(|room| room.3).sum(),
        });
    }
    let text = doorway.metrics().render().map_err(|error| {
        HttpRefusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
    })?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

#[derive(Deserialize)]
struct TokenQuery {
    room: String,
    name: String,
    role: Option<Role>,
}

/// `GET /dev/token?room=&name=&role=`: there only while no secret is configured, and then the
/// server listens on loopback only.
async fn development_token(
    State(doors): State<Doors>,
    headers: HeaderMap,
    query: Result<Query<TokenQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, HttpRefusal> {
    if !origin::is_loopback_host(&headers) || origin::is_forwarded(&headers) {
        let msg = "development tokens are for this machine: ask for localhost or 127.0.0.1, without a proxy";
        return Err(HttpRefusal::new(StatusCode::FORBIDDEN, "forbidden", msg));
    }
    let Query(asked) = query.map_err(|error| {
        HttpRefusal::new(
            StatusCode::BAD_REQUEST,
            "bad_parameter",
            format!("ask for ?room=&name=&role=: {error}"),
        )
    })?;
    let role = asked.role.unwrap_or(Role::Participant);
    let tokens = &doors.settings.tokens;
    let token = tokens
        .development_token(&asked.room, &asked.name, role, wall_clock_seconds())
        .unwrap_or(Err(super::token::TokenRefusal::Missing))
        .map_err(|error| HttpRefusal::new(StatusCode::BAD_REQUEST, "bad_parameter", error.to_string()))?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(json!({"token": token}))).into_response())
}

/// The page loads its own files only, sits in no frame, and may ask for camera and screen.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(self), microphone=(self), display-capture=(self), geolocation=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
