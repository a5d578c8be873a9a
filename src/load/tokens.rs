//! What lets synthetic participants in.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

use super::dev_token::{TokenError, development_token};
use super::server_process::SECRET;
use crate::message::Role;
use crate::telemetry::wall_clock_seconds;

/// Where tokens come from.
pub(super) enum Tokens {
    /// Signed here, for a server that was started with [`SECRET`].
    Signed,
    /// From `/dev/token` of the server at this address.
    Development(String),
}

/// Valid for this many seconds: a server asks for no more than an hour.
const LIFETIME: u64 = 3_000;

impl Tokens {
    /// A token for a newcomer.
    ///
    /// # Errors
    /// Where a server gives none.
    pub(super) async fn token(&self, room: &str, name: &str, role: Role) -> Result<String, TokenError> {
        match self {
            Self::Development(address) => development_token(address, room, name, role).await,
            Self::Signed => {
                let exp = wall_clock_seconds() + LIFETIME;
                let claims = json!({"room": room, "name": name, "role": role, "exp": exp});
                let key = EncodingKey::from_secret(SECRET.as_bytes());
                encode(&Header::default(), &claims, &key).map_err(|error| TokenError::Http(error.to_string()))
            }
        }
    }
}
