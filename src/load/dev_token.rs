//! Development tokens from `GET /dev/token` of a server on this machine.

use axum::body::{Body, to_bytes};
use hyper::Request;
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::message::Role;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The server cannot be reached.
    #[error("no connection to the server: {0}")]
    Connect(#[from] std::io::Error),
    /// The server does not speak HTTP as expected.
    #[error("HTTP: {0}")]
    Http(String),
    /// The server gives no token, and says why.
    #[error("the server gives no development token: {0}")]
    Refused(String),
}

#[derive(Deserialize)]
struct Answer {
    token: String,
}

/// A token is a few hundred bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// Asks the server at `http_address` (`host:port`) for a token.
///
/// # Errors
/// Where the server cannot be reached or gives none: it has a secret configured.
pub(super) async fn development_token(
    http_address: &str,
    room: &str,
    name: &str,
    role: Role,
) -> Result<String, TokenError> {
    let http = |error: &dyn std::fmt::Display| TokenError::Http(error.to_string());
    let stream = TcpStream::connect(http_address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| http(&e))?;
    tokio::spawn(connection);
    let role = match role {
        Role::Moderator => "moderator",
        Role::Participant => "participant",
    };
    let query = [("room", room), ("name", name), ("role", role)]
        .map(|(key, value)| format!("{key}={}", escape(value)));
    let request = Request::get(format!("/dev/token?{}", query.join("&")))
        .header(HOST, http_address)
        .body(Body::empty())
        .map_err(|e| http(&e))?;
    let response = sender.send_request(request).await.map_err(|e| http(&e))?;
    let succeeded = response.status().is_success();
    let bytes = to_bytes(Body::new(response.into_body()), MAX_ANSWER_BYTES).await.map_err(|e| http(&e))?;
    if !succeeded {
        return Err(TokenError::Refused(String::from_utf8_lossy(&bytes).into_owned()));
    }
    serde_json::from_slice(&bytes).map(|answer: Answer| answer.token).map_err(|e| http(&e))
}

/// Percent-encodes all but letters, digits and `-._~` (RFC 3986 section 2.3).
fn escape(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn names_are_escaped_byte_by_byte() {
        assert_eq!(escape("Zoë & co"), "Zo%C3%AB%20%26%20co");
    }
}
