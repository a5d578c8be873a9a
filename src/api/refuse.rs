//! How HTTP requests are refused.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// After how many seconds to ask again what is refused with 503.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// A refusal: a status, a stable name, and a text that a person can act on.
#[derive(Debug)]
pub(super) struct HttpRefusal {
    pub(super) status: StatusCode,
    pub(super) error: &'static str,
    pub(super) msg: String,
}

impl HttpRefusal {
    pub(super) fn new(status: StatusCode, error: &'static str, msg: impl Into<String>) -> Self {
        Self { status, error, msg: msg.into() }
    }

    pub(super) fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping; try again soon")
    }

    pub(super) fn full() -> Self {
        let msg = "the server has no memory for more people; try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "full", msg)
    }

    pub(super) fn overloaded() -> Self {
        let msg = "the server has too much to do to let anybody else in; try again soon";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", msg)
    }
}

impl IntoResponse for HttpRefusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({"error": self.error, "msg": self.msg}))).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}
