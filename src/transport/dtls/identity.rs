//! Our certificate.

use std::fmt;
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rtc_crypto::RTCCryptoProvider;
use rtc_dtls::crypto::Certificate;

use super::DtlsSetupError;
use crate::transport::Fingerprint;

/// A self-signed certificate (ECDSA, P-256) and its key; one per worker. Cheap to clone.
#[derive(Clone)]
pub struct DtlsIdentity(Arc<Identity>);

struct Identity {
    certificate: Certificate,
    provider: Arc<dyn RTCCryptoProvider>,
    fingerprint: Fingerprint,
}

impl fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsIdentity").field("fingerprint", &self.0.fingerprint).finish_non_exhaustive()
    }
}

impl DtlsIdentity {
    /// Makes a key and a certificate for it.
    ///
    /// The key, as every ephemeral key of a handshake, comes from the operating system: neither
    /// follows from a seed.
    ///
    /// # Errors
    ///
    /// The system has no randomness to give.
    pub fn generate() -> Result<Self, DtlsSetupError> {
        let provider = rtc_crypto::default_provider().map_err(|error| DtlsSetupError(error.to_string()))?;
        // The name means nothing: peers know the certificate by its fingerprint.
        let certificate =
            Certificate::generate_self_signed(vec!["anteroom.invalid".to_owned()], provider.crypto())
                .map_err(|error| DtlsSetupError(error.to_string()))?;
        let Some(der) = certificate.certificate.first() else {
            return Err(DtlsSetupError("no certificate was made".to_owned()));
        };
        let hash = digest(&SHA256, der.as_ref()).as_ref().to_vec();
        let fingerprint = Fingerprint { algorithm: "sha-256".to_owned(), hash };
        Ok(Self(Arc::new(Identity { certificate, provider, fingerprint })))
    }

    /// The SHA-256 fingerprint, for the `a=fingerprint` line.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    pub(super) fn certificate(&self) -> Certificate {
        self.0.certificate.clone()
    }

    pub(super) fn provider(&self) -> Arc<dyn RTCCryptoProvider> {
        Arc::clone(&self.0.provider)
    }
}
