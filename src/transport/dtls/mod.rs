//! DTLS 1.2 with SRTP keys (RFC 6347, RFC 5764), behind a small trait of our own.
//!
//! [`RtcDtls`] puts the crate that speaks DTLS behind a gate: it never sees a record that it need not,
//! and whatever it says about one, an established session stays. The server chooses the SRTP profile,
//! so it reads the ClientHello before the crate does.

mod client_hello;
mod identity;
mod message;
mod packed_state;
mod peer_check;
mod record;
mod record_gate;
mod rtc_dtls;
#[cfg(test)]
pub(in crate::transport) mod tests;

pub use identity::DtlsIdentity;
pub use rtc_dtls::RtcDtls;

use crate::base::Time;
use crate::transport::srtp::SrtpKeys;

/// The largest datagram that DTLS sends, in bytes: fits every path that carries RTP.
pub const MAX_DATAGRAM: usize = 1200;

/// One DTLS association.
pub trait Dtls {
    /// Takes a datagram in.
    fn handle_datagram(&mut self, now: Time, datagram: &[u8]);

    /// The next datagram to send, at most [`MAX_DATAGRAM`] bytes.
    fn poll_transmit(&mut self) -> Option<Vec<u8>>;

    /// What has happened, once each.
    fn poll_event(&mut self) -> Option<DtlsEvent>;

    /// When [`Self::handle_timeout`] is to be called.
    fn poll_timeout(&self) -> Option<Time>;

    /// Sends again what was not answered, and gives up in time.
    fn handle_timeout(&mut self, now: Time);

    /// Notes that the peer uses the keys: it has got all of the handshake and will not repeat its own
    /// part.
    fn settle(&mut self);

    /// Ends the association; tells the peer if it is established.
    fn close(&mut self, now: Time);
}

/// What happens to an association.
#[derive(Debug)]
pub enum DtlsEvent {
    /// The handshake is done and the peer has shown a certificate of its offer.
    Connected(SrtpKeys),
    /// There will be no handshake. The last event.
    Failed(DtlsFailure),
    /// The peer has closed. The last event.
    Closed,
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DtlsFailure {
    /// The peer's: its certificate has none of the expected fingerprints.
    #[error("the peer's certificate has another fingerprint than its description says")]
    Fingerprint,
    /// The peer's: it offers no SRTP profile that we have.
    #[error("the peer offers neither AEAD_AES_128_GCM nor AES128_CM_HMAC_SHA1_80")]
    NoSrtpProfile,
    /// The peer's: the handshake took longer than 10 s.
    #[error("the handshake was not done in time")]
    Timeout,
    /// The peer's or ours: the handshake cannot go on; the text says why.
    #[error("the handshake failed: {0}")]
    Handshake(String),
}

/// Our own keys or configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DTLS cannot be set up: {0}")]
pub struct DtlsSetupError(pub(super) String);
