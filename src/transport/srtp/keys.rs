//! Master keys from the DTLS export, and session keys from master keys.

use std::fmt;

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};

use super::{Inbound, Outbound, SrtpError};
use crate::message::SrtpProfile;

const KEY_LEN: usize = 16;
/// The salt of AES-CM: 112 bits. That of GCM is shorter and stands in front, zeros behind it.
const SALT_LEN: usize = 14;

/// The master key and salt of one direction.
#[derive(Clone)]
pub struct MasterKey {
    key: [u8; KEY_LEN],
    /// Right-padded with zeros for GCM, as its key derivation wants it (RFC 7714 section 11).
    salt: [u8; SALT_LEN],
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// A master key of `profile`.
    ///
    /// # Errors
    ///
    /// [`SrtpError::KeyLength`] unless the key has 16 bytes and the salt 14 (AES-CM) or 12 (GCM).
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let key = key.try_into().map_err(|_| SrtpError::KeyLength)?;
        if salt.len() != salt_len(profile) {
            return Err(SrtpError::KeyLength);
        }
        let mut padded = [0; SALT_LEN];
        for (to, from) in padded.iter_mut().zip(salt) {
            *to = *from;
        }
        Ok(Self { key, salt: padded })
    }

    /// The session key that `label` names (RFC 3711 section 4.3.1), with a key derivation rate of 0.
    pub(super) fn derive<const N: usize>(&self, label: Label) -> [u8; N] {
        let mut iv = [0; 16];
        for (to, from) in iv.iter_mut().zip(self.salt) {
            *to = from;
        }
        if let Some(byte) = iv.get_mut(7) {
            *byte ^= label as u8;
        }
        let mut derived = [0; N];
        Ctr128BE::<Aes128>::new(&self.key.into(), &iv.into()).apply_keystream(&mut derived);
        derived
    }
}

/// What a session key is for (RFC 3711 section 4.3.2).
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// The master keys of both directions, as DTLS exports them (RFC 5764 section 4.2).
#[derive(Clone, Debug)]
pub struct SrtpKeys {
    /// What the keys are for.
    pub profile: SrtpProfile,
    /// Seals what the DTLS client sends.
    pub client: MasterKey,
    /// Seals what the DTLS server sends.
    pub server: MasterKey,
}

impl SrtpKeys {
    /// How many bytes to export for `profile`.
    #[must_use]
    pub const fn export_len(profile: SrtpProfile) -> usize {
        2 * (KEY_LEN + salt_len(profile))
    }

    /// Splits the exported bytes: both keys, client's first, then both salts.
    ///
    /// # Errors
    ///
    /// [`SrtpError::KeyLength`] unless there are [`Self::export_len`] bytes.
    pub fn from_export(profile: SrtpProfile, exported: &[u8]) -> Result<Self, SrtpError> {
        let part = |at: usize, len: usize| exported.get(at..at + len).ok_or(SrtpError::KeyLength);
        if exported.len() != Self::export_len(profile) {
            return Err(SrtpError::KeyLength);
        }
        let salts = 2 * KEY_LEN;
        let salt_len = salt_len(profile);
        let client = MasterKey::new(profile, part(0, KEY_LEN)?, part(salts, salt_len)?)?;
        let server = MasterKey::new(profile, part(KEY_LEN, KEY_LEN)?, part(salts + salt_len, salt_len)?)?;
        Ok(Self { profile, client, server })
    }

    /// The two contexts of the DTLS server.
    ///
    /// # Errors
    ///
    /// [`SrtpError::KeyLength`] where the ciphers refuse the keys.
    pub fn server_contexts(&self) -> Result<(Outbound, Inbound), SrtpError> {
        Self::contexts(self.profile, &self.server, &self.client)
    }

    /// The two contexts of the DTLS client.
    ///
    /// # Errors
    ///
    /// [`SrtpError::KeyLength`] where the ciphers refuse the keys.
    pub fn client_contexts(&self) -> Result<(Outbound, Inbound), SrtpError> {
        Self::contexts(self.profile, &self.client, &self.server)
    }

    fn contexts(
        profile: SrtpProfile,
        ours: &MasterKey,
        theirs: &MasterKey,
    ) -> Result<(Outbound, Inbound), SrtpError> {
        Ok((Outbound::from_master(profile, ours)?, Inbound::from_master(profile, theirs)?))
    }
}

const fn salt_len(profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AeadAes128Gcm => 12,
        SrtpProfile::AesCm128HmacSha1_80 => SALT_LEN,
    }
}
