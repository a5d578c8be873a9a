//! The user name fragment and password of one agent.

use std::fmt;

use crate::base::Random;

/// Eight characters are 48 bits; RFC 8445 section 5.3 asks for 24.
const UFRAG_LEN: usize = 8;
/// 32 characters are 192 bits; RFC 8445 section 5.3 asks for 128.
const PWD_LEN: usize = 32;
/// The ice-chars of RFC 8839 section 5.4; 64 of them, so that six random bits choose one fairly.
const ICE_CHARS: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What one agent's checks are authenticated with (RFC 8445 section 5.3). The password is not shown
/// by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// User name fragment; 4 to 256 ice-chars.
    pub ufrag: String,
    /// Password; 22 to 256 ice-chars.
    pub pwd: String,
}

impl IceCredentials {
    /// Fresh credentials. A fragment may come twice: whoever finds agents by it checks, and draws
    /// again.
    #[must_use]
    pub fn random(random: &mut Random) -> Self {
        Self { ufrag: ice_chars(UFRAG_LEN, random), pwd: ice_chars(PWD_LEN, random) }
    }
}

fn ice_chars(len: usize, random: &mut Random) -> String {
    let mut bytes = [0; PWD_LEN];
    random.fill(&mut bytes);
    let chars = bytes.iter().take(len).filter_map(|byte| ICE_CHARS.get(usize::from(byte & 63)));
    chars.map(|byte| char::from(*byte)).collect()
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}
