//! Whether the peer's certificate is one that its description names.

use std::sync::{Arc, OnceLock};

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

use crate::base::plant::{self, Plant};
use crate::transport::Fingerprint;

/// The check and its verdict, shared between the handshake and us.
#[derive(Clone)]
pub(super) struct PeerCheck {
    expected: Arc<[Fingerprint]>,
    matched: Arc<OnceLock<bool>>,
}

impl PeerCheck {
    pub(super) fn new(expected: &[Fingerprint]) -> Self {
        Self { expected: expected.into(), matched: Arc::new(OnceLock::new()) }
    }

    /// Judges the certificate with which the peer has just signed. The first verdict stays.
    pub(super) fn judge(&self, certificate: Option<&[u8]>) -> bool {
        let is_expected = |der| self.expected.iter().any(|one| one.is_of(der));
        let matches = certificate.is_some_and(is_expected) || plant::is(Plant::FingerprintIgnored);
        // Set already if the handshake looks twice; a second look must not turn a "no" around.
        let _ = self.matched.set(matches);
        matches && self.has_matched()
    }

    /// Whether the peer has shown the right certificate. False before it has shown any.
    pub(super) fn has_matched(&self) -> bool {
        self.matched.get() == Some(&true)
    }

    /// Whether the peer has shown a wrong certificate.
    pub(super) fn has_failed(&self) -> bool {
        self.matched.get() == Some(&false)
    }
}

impl Fingerprint {
    /// Whether this is the fingerprint of a certificate (RFC 8122 section 5). A hash function that we
    /// do not trust matches nothing.
    fn is_of(&self, certificate: &[u8]) -> bool {
        let algorithm: &Algorithm = match self.algorithm.as_str() {
            "sha-256" => &SHA256,
            "sha-384" => &SHA384,
            "sha-512" => &SHA512,
            _ => return false,
        };
        digest(algorithm, certificate).as_ref() == self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(name: &str, algorithm: &'static Algorithm, certificate: &[u8]) -> Fingerprint {
        Fingerprint { algorithm: name.to_owned(), hash: digest(algorithm, certificate).as_ref().to_vec() }
    }

    #[test]
    fn any_of_the_named_fingerprints_will_do() {
        let expected = [
            fingerprint("sha-256", &SHA256, b"another certificate"),
            fingerprint("sha-384", &SHA384, b"mine"),
            fingerprint("sha-512", &SHA512, b"my other one"),
        ];
        assert!(PeerCheck::new(&expected).judge(Some(b"mine")));
        assert!(PeerCheck::new(&expected).judge(Some(b"my other one")));
        assert!(!PeerCheck::new(&expected).judge(Some(b"somebody else's")));
        assert!(!PeerCheck::new(&expected).judge(None));
        assert!(!PeerCheck::new(&[]).judge(Some(b"mine")));
    }

    #[test]
    fn an_unknown_hash_function_matches_nothing() {
        let expected =
            [fingerprint("sha-1", &SHA256, b"mine"), Fingerprint { algorithm: "md5".into(), hash: vec![] }];
        assert!(!PeerCheck::new(&expected).judge(Some(b"mine")));
    }

    #[test]
    fn a_refused_peer_does_not_get_a_second_try() {
        let check = PeerCheck::new(&[fingerprint("sha-256", &SHA256, b"mine")]);
        assert!(!check.has_matched() && !check.has_failed());
        assert!(!check.judge(Some(b"wrong")));
        assert!(!check.judge(Some(b"mine")));
        assert!(check.has_failed() && !check.has_matched());
    }
}
