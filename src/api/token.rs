//! JSON Web Tokens (RFC 7519): one pinned algorithm, one key from the configuration.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::settings::TokenSettings;
use crate::base::{Random, Time, is_name};
use crate::message::{Claims, Role};

/// A token with all its claims at their limits is a quarter of this.
const MAX_TOKEN_BYTES: usize = 4_096;

/// How long, in seconds, a development token lasts.
const DEVELOPMENT_SECONDS: u64 = 3_600;

/// Why a token lets nobody in. Its text never contains the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// There is none, or more than one token can be long.
    #[error("a token is needed: /v1/ws?token=...")]
    Missing,
    /// Signature, algorithm, audience, or a claim that is missing or of the wrong type.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// Its time is over.
    #[error("the token has expired; get a new one")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet; is the clock of its signer right?")]
    NotYet,
    /// It would be valid for too long.
    #[error("the token expires more than {0} s from now; shorten it or raise `max_lifetime_seconds`")]
    TooLong(u32),
    /// A name that nobody could show or that is too long.
    #[error("the claim `{0}` has to have 1 to 128 characters, without characters that control or turn text")]
    BadName(&'static str),
}

/// What a token carries.
#[derive(Serialize, Deserialize)]
struct Wire {
    room: String,
    name: String,
    role: Role,
    #[serde(deserialize_with = "numeric_date")]
    exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_numeric_date")]
    nbf: Option<u64>,
    /// Where one is configured, checked by the library, which knows all forms that it may have.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "anything")]
    aud: Option<Value>,
}

/// Whole seconds of a NumericDate, which may have a fraction (RFC 7519 section 2).
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let floored = || number.as_f64().filter(|seconds| *seconds >= 0.0).map(f64::floor);
    let parsed = number.as_u64().or_else(|| format!("{:.0}", floored()?).parse().ok());
    parsed.ok_or_else(|| D::Error::custom("`exp` and `nbf` are seconds since 1970"))
}

fn optional_numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    numeric_date(deserializer).map(Some)
}

/// Also `null`: it is there.
fn anything<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Checks tokens and, on a developer's machine, makes them.
#[derive(Clone)]
pub struct TokenDoor {
    decoding: DecodingKey,
    validation: Validation,
    max_lifetime_seconds: u32,
    leeway_seconds: u8,
    audience: Option<String>,
    development: Option<EncodingKey>,
}

impl fmt::Debug for TokenDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenDoor").field("development", &self.development.is_some()).finish_non_exhaustive()
    }
}

impl TokenDoor {
    /// With the configured key, or with a random one and development tokens where none is set.
    #[must_use]
    pub fn new(settings: &TokenSettings, random: &mut Random) -> Self {
        let mut random_key = [0; 32];
        random.fill(&mut random_key);
        let is_development = settings.secret.is_empty();
        let key: &[u8] = if is_development { &random_key } else { settings.secret.reveal().as_bytes() };
        let audience = Some(settings.audience.clone()).filter(|audience| !audience.is_empty());
        Self {
            decoding: DecodingKey::from_secret(key),
            validation: validation(audience.as_deref()),
            max_lifetime_seconds: settings.max_lifetime_seconds,
            leeway_seconds: settings.leeway_seconds,
            audience,
            development: is_development.then(|| EncodingKey::from_secret(key)),
        }
    }

    /// What a token says, if it lets its bearer in at `now` (seconds since the Unix epoch).
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(&self, token: &str, now: u64) -> Result<Claims, TokenRefusal> {
        let wire = self.read(token)?;
        self.check_time(&wire, now)?;
        Ok(claims(wire, false))
    }

    /// What a token says that is over at `now` and that nothing else is wrong with. Its bearer may
    /// come back to the seat that was taken with it (docs/protocol.md, joining).
    #[must_use]
    pub fn lapsed(&self, token: &str, now: u64) -> Option<Claims> {
        let wire = self.read(token).ok()?;
        let is_over = self.check_time(&wire, now) == Err(TokenRefusal::Expired);
        is_over.then(|| claims(wire, true))
    }

    /// Everything but its time is checked.
    fn read(&self, token: &str) -> Result<Wire, TokenRefusal> {
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefusal::Missing);
        }
        let wire = decode::<Wire>(token, &self.decoding, &self.validation)
            .map_err(|error| TokenRefusal::Invalid(error.to_string()))?
            .claims;
        if has_critical(token) {
            return Err(TokenRefusal::Invalid(
                "its header has `crit`, of which this server knows nothing".to_owned(),
            ));
        }
        // The library takes a form that it does not know for none.
        if self.audience.is_none() && wire.aud.is_some() {
            return Err(TokenRefusal::Invalid(
                "it has `aud`, and the server has no `tokens.audience`".to_owned(),
            ));
        }
        check_text("room", &wire.room)?;
        check_text("name", &wire.name)?;
        Ok(wire)
    }

    fn check_time(&self, wire: &Wire, now: u64) -> Result<(), TokenRefusal> {
        let leeway = u64::from(self.leeway_seconds);
        if now >= wire.exp.saturating_add(leeway) {
            return Err(TokenRefusal::Expired);
        }
        if wire.nbf.is_some_and(|from| from > now.saturating_add(leeway)) {
            return Err(TokenRefusal::NotYet);
        }
        let latest = now.saturating_add(u64::from(self.max_lifetime_seconds)).saturating_add(leeway);
        if wire.exp > latest {
            return Err(TokenRefusal::TooLong(self.max_lifetime_seconds));
        }
        Ok(())
    }

    /// Whether this server hands tokens to whoever asks on this machine.
    #[must_use]
    pub const fn is_development(&self) -> bool {
        self.development.is_some()
    }

    /// A development token, or `None` where a secret is configured.
    ///
    /// # Errors
    /// When a claim is not allowed.
    pub fn development_token(
        &self,
        room: &str,
        name: &str,
        role: Role,
        now: u64,
    ) -> Option<Result<String, TokenRefusal>> {
        let key = self.development.as_ref()?;
        let lifetime = DEVELOPMENT_SECONDS.min(u64::from(self.max_lifetime_seconds));
        let wire = Wire {
            room: room.to_owned(),
            name: name.to_owned(),
            role,
            exp: now.saturating_add(lifetime),
            nbf: None,
            aud: self.audience.clone().map(Value::String),
        };
        let checked = check_text("room", room).and_then(|()| check_text("name", name));
        Some(checked.and_then(|()| {
            encode(&Header::new(Algorithm::HS256), &wire, key)
                .map_err(|error| TokenRefusal::Invalid(error.to_string()))
        }))
    }
}

fn claims(wire: Wire, lapsed: bool) -> Claims {
    let Wire { room, name, role, exp, .. } = wire;
    Claims { room, name, role, expires_at: Time::from_unix_seconds(exp), lapsed }
}

/// Times are checked by [`TokenDoor::check_time`], against a time that is handed in.
fn validation(audience: Option<&str>) -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.set_required_spec_claims(&["exp"]);
    if let Some(audience) = audience {
        validation.set_required_spec_claims(&["exp", "aud"]);
        validation.set_audience(&[audience]);
    }
    validation
}

/// Whether a token's header names extensions that have to be understood (RFC 7515 section 4.1.11). The library
/// passes over them.
fn has_critical(token: &str) -> bool {
    let header = token.split('.').next().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    let header = header.and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    header.is_some_and(|header| header.get("crit").is_some())
}

/// Whether a text can be shown to people and kept as a name.
pub(super) fn check_text(claim: &'static str, text: &str) -> Result<(), TokenRefusal> {
    if is_name(text) { Ok(()) } else { Err(TokenRefusal::BadName(claim)) }
}

#[cfg(test)]
mod tests;
