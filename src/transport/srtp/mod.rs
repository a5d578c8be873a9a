//! SRTP and SRTCP, in place and without allocation: AEAD_AES_128_GCM (RFC 7714) and
//! AES128_CM_HMAC_SHA1_80 (RFC 3711).
//!
//! A packet is verified always, and nothing is remembered of one that fails. Whether an SRTCP packet
//! is encrypted (its E flag) says nothing about whether it is authenticated.

mod cipher;
mod cm;
mod error;
mod gcm;
mod header;
mod inbound;
mod keys;
mod outbound;
mod sources;
#[cfg(test)]
mod tests;
mod window;

pub use error::SrtpError;
pub use inbound::{Inbound, Opened};
pub use keys::{MasterKey, SrtpKeys};
pub use outbound::Outbound;

/// The most bytes that sealing adds to an RTP packet, under any profile.
pub const OVERHEAD_RTP: usize = 16;
/// The most bytes that sealing adds to a compound RTCP packet, under any profile.
pub const OVERHEAD_RTCP: usize = 20;
