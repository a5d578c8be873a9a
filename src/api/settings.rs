//! `[http]`, `[tokens]` and `[admin]`: who may come in.

use serde::{Deserialize, Serialize};

use crate::base::Secret;

/// A key of a section and what is wrong with its value.
type Fault = (&'static str, String);

/// RFC 7518 section 3.2: a key of the size of the hash output or larger.
const LEAST_SECRET_BYTES: usize = 32;

/// What a guesser on the network has no hope with.
const LEAST_ADMIN_KEY_BYTES: usize = 16;

/// The HTTP door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Origins of other sites' pages that may open a WebSocket, such as `https://meet.example`.
    /// Pages of the server's own origin always may.
    pub allowed_origins: Vec<String>,
    /// Open TCP connections; more are refused with 503.
    pub max_connections: u32,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { allowed_origins: Vec::new(), max_connections: 10_000 }
    }
}

impl HttpSettings {
    /// The key and the fault of a setting that cannot be had.
    ///
    /// # Errors
    /// For something that is no origin, and for a number out of its range.
    pub fn check(&self) -> Result<(), Fault> {
        if let Some(wrong) = self.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            let message = format!(
                "{wrong:?} is no origin as browsers write it; write scheme and host, such as \
                 \"https://meet.example\", letters that are not ASCII as xn--, and a port only where it \
                 is not the scheme's own"
            );
            return Err(("allowed_origins", message));
        }
        if self.max_connections == 0 {
            return Err(("max_connections", "0 would let nobody in".to_owned()));
        }
        Ok(())
    }
}

/// Scheme, host and port, and nothing after it (RFC 6454 section 6.2). Browsers leave out the port that
/// the scheme has anyway, and write hosts in ASCII.
fn is_origin(text: &str) -> bool {
    let secure = text.strip_prefix("https://").map(|host| (host, ":443"));
    let host = secure.or_else(|| text.strip_prefix("http://").map(|host| (host, ":80")));
    host.is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains(['/', '*', '?', '#', '@'])
            && host.bytes().all(|byte| byte.is_ascii_graphic())
            && !host.ends_with(port)
    })
}

/// The tokens that let clients in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// The HS256 key, 32 bytes or more. Empty: a random one, and `/dev/token` hands out tokens.
    pub secret: Secret,
    /// The audience that a token must name; empty: a token must name none.
    pub audience: String,
    /// How far ahead, in seconds, a token may expire.
    pub max_lifetime_seconds: u32,
    /// How wrong, in seconds, the clocks of signer and server may be; at most 60.
    pub leeway_seconds: u8,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            secret: Secret::default(),
            audience: String::new(),
            max_lifetime_seconds: 3_600,
            leeway_seconds: 30,
        }
    }
}

impl TokenSettings {
    /// The key and the fault of a setting that cannot be had.
    ///
    /// # Errors
    /// For a secret that is too short, and for a number out of its range.
    pub fn check(&self) -> Result<(), Fault> {
        let bytes = self.secret.reveal().len();
        if bytes != 0 && bytes < LEAST_SECRET_BYTES {
            let message = format!("it has {bytes} bytes, at least {LEAST_SECRET_BYTES} are needed");
            return Err(("secret", message));
        }
        if self.leeway_seconds > 60 {
            return Err(("leeway_seconds", format!("{} is above 60", self.leeway_seconds)));
        }
        if self.max_lifetime_seconds == 0 {
            return Err(("max_lifetime_seconds", "0 would refuse every token".to_owned()));
        }
        Ok(())
    }
}

/// The operator's own requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// The key of `/v1/rooms`, 16 bytes or more. Empty: nobody may use it.
    pub key: Secret,
}

impl AdminSettings {
    /// The key and the fault of a setting that cannot be had.
    ///
    /// # Errors
    /// For a key that is too short, or that no header can carry.
    pub fn check(&self) -> Result<(), Fault> {
        let key = self.key.reveal();
        if !key.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) || key.trim() != key {
            let message = "a header cannot carry it: use ASCII letters, digits and signs, no outer blanks";
            return Err(("key", message.to_owned()));
        }
        let bytes = key.len();
        if bytes != 0 && bytes < LEAST_ADMIN_KEY_BYTES {
            let message = format!("it has {bytes} bytes, at least {LEAST_ADMIN_KEY_BYTES} are needed");
            return Err(("key", message));
        }
        Ok(())
    }
}
