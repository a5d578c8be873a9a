//! The opening handshake (RFC 6455 section 4.2), as far as it is HTTP.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A request that asks for a WebSocket as it should.
pub(in crate::api) struct Upgrade {
    on_upgrade: OnUpgrade,
    accept: HeaderValue,
}

/// Why a request is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::api) enum NoUpgrade {
    #[error("Request method must be `GET`")]
    Method,
    #[error("Connection header did not include 'upgrade'")]
    Connection,
    #[error("`Upgrade` header did not include 'websocket'")]
    Upgrade,
    #[error("`Sec-WebSocket-Key` header missing")]
    KeyMissing,
    #[error("`Sec-WebSocket-Key` header is not 16 bytes in base64")]
    Key,
    #[error("`Sec-WebSocket-Version` header did not include '13'")]
    Version,
    #[error("WebSocket request couldn't be upgraded since no upgrade state was present")]
    State,
}

impl IntoResponse for NoUpgrade {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::State => StatusCode::UPGRADE_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}

impl Upgrade {
    /// Reads a request, of which nothing is kept.
    pub(in crate::api) fn of(mut request: Request) -> Result<Self, NoUpgrade> {
        if request.method() != Method::GET {
            return Err(NoUpgrade::Method);
        }
        let accept = accept(request.headers())?;
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or(NoUpgrade::State)?;
        Ok(Self { on_upgrade, accept })
    }

    /// The answer to the request, and the connection once the answer has gone out.
    pub(in crate::api) fn accept(self) -> (Response, OnUpgrade) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        (response, self.on_upgrade)
    }
}

/// Checks what section 4.2.1 asks for, and answers the key as section 4.2.2 does.
fn accept(headers: &HeaderMap) -> Result<HeaderValue, NoUpgrade> {
    if !lists(headers, &CONNECTION, "upgrade") {
        return Err(NoUpgrade::Connection);
    }
    if !lists(headers, &UPGRADE, "websocket") {
        return Err(NoUpgrade::Upgrade);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(NoUpgrade::KeyMissing)?.as_bytes();
    if !is_key(key) {
        return Err(NoUpgrade::Key);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(NoUpgrade::Version);
    }
    HeaderValue::from_str(&derive_accept_key(key)).map_err(|_| NoUpgrade::Key)
}

/// Whether a header that is a list names this token, in whatever case.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut lists = headers.get_all(name).iter();
    lists.any(|list| {
        let mut tokens = list.as_bytes().split(|&byte| byte == b',');
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    })
}

/// Whether this is the base64 of 16 bytes: 22 characters and the filling.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==").is_some_and(|key| key.len() == 22 && key.iter().all(is_base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(HeaderName, &str); 4] = [
        (CONNECTION, "keep-alive, Upgrade"),
        (UPGRADE, "WebSocket"),
        (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        (SEC_WEBSOCKET_VERSION, "13"),
    ];

    fn headers(changed: Option<(HeaderName, &'static str)>) -> HeaderMap {
        let mut headers: HeaderMap =
            GOOD.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
        match changed {
            Some((name, "")) => drop(headers.remove(name)),
            Some((name, value)) => drop(headers.insert(name, HeaderValue::from_static(value))),
            None => {}
        }
        headers
    }

    #[test]
    fn the_key_is_answered_as_the_rfc_has_it() {
        assert_eq!(accept(&headers(None)).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_request_that_lacks_something_is_refused() {
        for (name, value, refusal) in [
            (CONNECTION, "", NoUpgrade::Connection),
            (CONNECTION, "keep-alive", NoUpgrade::Connection),
            (CONNECTION, "upgraded", NoUpgrade::Connection),
            (UPGRADE, "", NoUpgrade::Upgrade),
            (UPGRADE, "h2c", NoUpgrade::Upgrade),
            (SEC_WEBSOCKET_KEY, "", NoUpgrade::KeyMissing),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ", NoUpgrade::Key),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=", NoUpgrade::Key),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZ===", NoUpgrade::Key),
            (SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ==", NoUpgrade::Key),
            (SEC_WEBSOCKET_VERSION, "", NoUpgrade::Version),
            (SEC_WEBSOCKET_VERSION, "8", NoUpgrade::Version),
            (SEC_WEBSOCKET_VERSION, "13, 8", NoUpgrade::Version),
        ] {
            assert_eq!(accept(&headers(Some((name.clone(), value)))), Err(refusal), "{name}: {value}");
        }
    }

    #[test]
    fn a_request_that_no_connection_stands_behind_is_refused() {
        let mut request = Request::new(Body::empty());
        *request.headers_mut() = headers(None);
        assert_eq!(Upgrade::of(request).err(), Some(NoUpgrade::State));
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::HEAD;
        assert_eq!(Upgrade::of(request).err(), Some(NoUpgrade::Method));
    }
}
