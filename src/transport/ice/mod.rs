//! The ICE-lite side of a connection (RFC 8445): it answers checks and sends none of its own.

mod credentials;
mod lite;
mod paths;

pub use crate::wire::stun::local_ufrag;
pub use credentials::IceCredentials;
pub use lite::{Accepted, CONSENT, FORSAKEN, IceDrop, IceLite, IceOutcome, MAX_REPLY, MAX_REQUEST};
pub use paths::MAX_PATHS;

#[cfg(test)]
mod tests;
