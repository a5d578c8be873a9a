//! How HTTP requests are refused.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

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
}

impl IntoResponse for HttpRefusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.error, "msg": self.msg}))).into_response()
    }
}
