//! The attributes that secure a transport: ICE credentials, certificate fingerprints, DTLS role.

use rtc_sdp::description::common::Attribute;

use super::refusal;
use crate::message::SdpRefusal;
use crate::transport::Fingerprint;

/// The most fingerprints kept of one level. A client has one certificate; a few hash functions for
/// it are sensible.
const MAX_FINGERPRINTS: usize = 8;

/// Who opens the DTLS connection (RFC 4145 section 4, RFC 5763 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Active,
    ActPass,
    Passive,
    HoldConnection,
    Unknown,
}

/// What one level (the session or one m-line) says about its transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Security {
    ufrag: Option<String>,
    pwd: Option<String>,
    fingerprints: Vec<Fingerprint>,
    /// A fingerprint line was there, but none that we can use.
    weak_fingerprint: bool,
    malformed_fingerprint: bool,
    setup: Option<Setup>,
}

/// What is agreed with the client about its transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) ufrag: String,
    pub(super) pwd: String,
    pub(super) fingerprints: Vec<Fingerprint>,
}

impl Security {
    /// Takes one attribute, if it is one of ours.
    pub(super) fn read(&mut self, attribute: &Attribute) {
        let Some(value) = attribute.value.as_deref() else { return };
        match attribute.key.as_str() {
            "ice-ufrag" => self.ufrag = Some(value.to_owned()),
            "ice-pwd" => self.pwd = Some(value.to_owned()),
            "setup" => self.setup = Some(setup(value)),
            "fingerprint" => self.read_fingerprint(value),
            _ => {}
        }
    }

    fn read_fingerprint(&mut self, value: &str) {
        match parse_fingerprint(value) {
            Some(Some(fingerprint)) if self.fingerprints.len() < MAX_FINGERPRINTS => {
                self.fingerprints.push(fingerprint);
            }
            Some(Some(_)) => {}
            Some(None) => self.weak_fingerprint = true,
            None => self.malformed_fingerprint = true,
        }
    }

    /// What an offer says for an m-line: its own word first, then the session's.
    pub(super) fn resolve(&self, session: &Self) -> Result<Peer, SdpRefusal> {
        let peer = self.peer(session)?;
        check_setup(self.setup.or(session.setup))?;
        Ok(peer)
    }

    /// Whether the other end waits for us to open DTLS.
    pub(super) fn is_passive(&self, session: &Self) -> bool {
        self.setup.or(session.setup) == Some(Setup::Passive)
    }

    /// Whether the other end lets us open DTLS.
    pub(super) fn lets_open(&self, session: &Self) -> bool {
        matches!(self.setup.or(session.setup), Some(Setup::Passive | Setup::ActPass))
    }

    /// Credentials and fingerprints, whoever opens DTLS.
    pub(super) fn peer(&self, session: &Self) -> Result<Peer, SdpRefusal> {
        // Both come from one level: a fragment of one level with a password of the other would
        // belong to no agent.
        let own = self.ufrag.is_some() || self.pwd.is_some();
        let level = if own { self } else { session };
        let ufrag = ice_text(level.ufrag.as_deref(), "ice-ufrag", 4)?;
        let pwd = ice_text(level.pwd.as_deref(), "ice-pwd", 22)?;
        let fingerprints = if self.has_fingerprint() { self } else { session }.usable_fingerprints()?;
        Ok(Peer { ufrag, pwd, fingerprints })
    }

    fn has_fingerprint(&self) -> bool {
        !self.fingerprints.is_empty() || self.weak_fingerprint || self.malformed_fingerprint
    }

    fn usable_fingerprints(&self) -> Result<Vec<Fingerprint>, SdpRefusal> {
        if self.malformed_fingerprint {
            return Err(refusal(
                "An a=fingerprint line is malformed. Write the hash function, a space, and the hash as \
                 pairs of hexadecimal digits with colons between (RFC 8122 section 5).",
            ));
        }
        if !self.fingerprints.is_empty() {
            return Ok(self.fingerprints.clone());
        }
        Err(refusal(if self.weak_fingerprint {
            "The certificate fingerprint uses a hash function that is not accepted. Use sha-256, \
             sha-384 or sha-512."
        } else {
            "There is no a=fingerprint: media is carried over DTLS-SRTP only."
        }))
    }
}

fn setup(value: &str) -> Setup {
    match value {
        "active" => Setup::Active,
        "actpass" => Setup::ActPass,
        "passive" => Setup::Passive,
        "holdconn" => Setup::HoldConnection,
        _ => Setup::Unknown,
    }
}

fn check_setup(setup: Option<Setup>) -> Result<(), SdpRefusal> {
    match setup {
        Some(Setup::ActPass | Setup::Active) => Ok(()),
        Some(Setup::Passive) => {
            Err(refusal("The offer says a=setup:passive, and so does the server. Offer a=setup:actpass."))
        }
        Some(Setup::HoldConnection | Setup::Unknown) => {
            Err(refusal("The offer's a=setup is neither actpass nor active. Offer a=setup:actpass."))
        }
        None => Err(refusal("The offer has no a=setup. Offer a=setup:actpass.")),
    }
}

/// An ICE credential of `least..=256` ICE characters (RFC 8839 section 5.4).
fn ice_text(text: Option<&str>, name: &str, least: usize) -> Result<String, SdpRefusal> {
    let Some(text) = text else {
        return Err(refusal(format!("The first m-line in use has no a={name}. ICE is required.")));
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    if !(least..=256).contains(&text.len()) || !text.bytes().all(allowed) {
        return Err(refusal(format!(
            "a={name} must have {least} to 256 characters, letters, digits, + and / only (RFC 8839)."
        )));
    }
    Ok(text.to_owned())
}

/// `None` if malformed, `Some(None)` if well-formed but of a hash function that is not accepted.
pub(super) fn parse_fingerprint(value: &str) -> Option<Option<Fingerprint>> {
    let mut words = value.split_ascii_whitespace();
    let (algorithm, digits) = (words.next()?.to_ascii_lowercase(), words.next()?);
    if words.next().is_some() {
        return None;
    }
    let length = match algorithm.as_str() {
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => return Some(None),
    };
    let hash = digits.split(':').map(byte).collect::<Option<Vec<u8>>>()?;
    (hash.len() == length).then_some(Some(Fingerprint { algorithm, hash }))
}

fn byte(pair: &str) -> Option<u8> {
    let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
}

/// A fingerprint as an `a=fingerprint` line has it.
pub(super) fn fingerprint_text(fingerprint: &Fingerprint) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| DIGITS.get(usize::from(half & 0xf)).map_or('0', |digit| char::from(*digit));
    let mut text = String::with_capacity(fingerprint.algorithm.len() + 3 * fingerprint.hash.len());
    text.push_str(&fingerprint.algorithm);
    // Each m-line has one, so this is written a dozen times for every join.
    for (byte, separator) in fingerprint.hash.iter().zip(std::iter::once(' ').chain(std::iter::repeat(':'))) {
        text.extend([separator, digit(byte >> 4), digit(*byte)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn security(lines: &[(&str, &str)]) -> Security {
        let mut security = Security::default();
        for (key, value) in lines {
            security.read(&Attribute::new((*key).to_owned(), Some((*value).to_owned())));
        }
        security
    }

    fn sha256() -> String {
        format!("sha-256 {}", vec!["aB"; 32].join(":"))
    }

    fn good() -> Vec<(&'static str, String)> {
        vec![
            ("ice-ufrag", "abcd".to_owned()),
            ("ice-pwd", "p".repeat(22)),
            ("fingerprint", sha256()),
            ("setup", "actpass".to_owned()),
        ]
    }

    fn with(key: &str, value: &str) -> Result<Peer, SdpRefusal> {
        let mut lines = good();
        lines.retain(|(name, _)| *name != key);
        let mut lines: Vec<(&str, &str)> = lines.iter().map(|(k, v)| (*k, v.as_str())).collect();
        if !value.is_empty() {
            lines.push((key, value));
        }
        security(&lines).resolve(&Security::default())
    }

    #[test]
    fn credentials_have_the_lengths_and_letters_of_rfc_8839() {
        assert!(with("ice-ufrag", &"u".repeat(256)).is_ok());
        for wrong in ["", "abc", "ab d", "abc=", &"u".repeat(257)] {
            assert!(with("ice-ufrag", wrong).unwrap_err().reason.contains("ice-ufrag"), "{wrong}");
        }
        for wrong in ["", "p", &"p".repeat(21), &"p".repeat(257)] {
            assert!(with("ice-pwd", wrong).unwrap_err().reason.contains("ice-pwd"), "{wrong}");
        }
    }

    #[test]
    fn the_client_must_be_able_to_open_dtls() {
        assert!(with("setup", "active").is_ok());
        assert!(with("setup", "passive").unwrap_err().reason.contains("passive"));
        for wrong in ["", "holdconn", "ACTPASS"] {
            assert!(with("setup", wrong).unwrap_err().reason.contains("a=setup"), "{wrong}");
        }
    }

    #[test]
    fn a_weak_fingerprint_alone_is_refused_and_beside_a_strong_one_left_out() {
        let sha1 = format!("sha-1 {}", vec!["00"; 20].join(":"));
        assert!(with("fingerprint", &sha1).unwrap_err().reason.contains("sha-256"));
        let mut both = security(&[("fingerprint", &sha1), ("fingerprint", &sha256())]);
        both.setup = Some(Setup::Active);
        both.ufrag = Some("abcd".to_owned());
        both.pwd = Some("p".repeat(22));
        assert_eq!(both.resolve(&Security::default()).unwrap().fingerprints.len(), 1);
    }

    #[test]
    fn a_fingerprint_is_read_exactly() {
        assert_eq!(parse_fingerprint(&sha256()).unwrap().unwrap().hash, vec![0xab; 32]);
        for wrong in ["", "sha-256", "sha-256 AB", "sha-256 +1:00", &format!("{} x", sha256())] {
            assert_eq!(parse_fingerprint(wrong), None, "{wrong}");
        }
        let read = parse_fingerprint(&sha256()).unwrap().unwrap();
        assert_eq!(fingerprint_text(&read), sha256().replace("aB", "AB"));
    }

    #[test]
    fn the_line_speaks_before_the_session() {
        let session: Vec<(&str, String)> = good();
        let session: Vec<(&str, &str)> = session.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let pwd = "q".repeat(30);
        let line = security(&[("ice-ufrag", "line"), ("ice-pwd", &pwd)]);
        let peer = line.resolve(&security(&session)).unwrap();
        assert_eq!((peer.ufrag.as_str(), peer.pwd.as_str()), ("line", pwd.as_str()));
        let half = security(&[("ice-ufrag", "line")]);
        assert!(half.resolve(&security(&session)).unwrap_err().reason.contains("ice-pwd"));
    }
}
