//! AEAD_AES_128_GCM (RFC 7714), on `ring`.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};

use super::SrtpError;
use super::header::RTCP_HEADER;
use super::keys::{Label, MasterKey};

const SALT_LEN: usize = 12;
pub(super) const TAG: usize = 16;
/// The E flag and the index at the end of an SRTCP packet.
const WORD: usize = 4;
pub(super) const RTCP_OVERHEAD: usize = TAG + WORD;

/// The keys of one direction.
pub(super) struct Gcm {
    rtp: LessSafeKey,
    rtp_salt: [u8; SALT_LEN],
    rtcp: LessSafeKey,
    rtcp_salt: [u8; SALT_LEN],
}

impl Gcm {
    pub(super) fn new(master: &MasterKey) -> Result<Self, SrtpError> {
        Self::from_session(
            (&master.derive(Label::RtpEncryption), master.derive(Label::RtpSalt)),
            (&master.derive(Label::RtcpEncryption), master.derive(Label::RtcpSalt)),
        )
    }

    pub(super) fn from_session(
        (rtp, rtp_salt): (&[u8; 16], [u8; SALT_LEN]),
        (rtcp, rtcp_salt): (&[u8; 16], [u8; SALT_LEN]),
    ) -> Result<Self, SrtpError> {
        let prepared = |key: &[u8; 16]| match UnboundKey::new(&AES_128_GCM, key) {
            Ok(key) => Ok(LessSafeKey::new(key)),
            Err(_) => Err(SrtpError::KeyLength),
        };
        Ok(Self { rtp: prepared(rtp)?, rtp_salt, rtcp: prepared(rtcp)?, rtcp_salt })
    }

    /// Seals `packet`, whose last [`TAG`] bytes are room for the tag.
    pub(super) fn seal_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        let (header, rest) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::NoRoom)?;
        let (payload, room) = rest.split_last_chunk_mut::<TAG>().ok_or(SrtpError::NoRoom)?;
        let tag = self
            .rtp
            .seal_in_place_separate_tag(nonce(&self.rtp_salt, ssrc, index), Aad::from(&*header), payload)
            .map_err(|_| SrtpError::NoRoom)?;
        room.copy_from_slice(tag.as_ref());
        Ok(())
    }

    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let (header, sealed) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::Malformed)?;
        let payload = self
            .rtp
            .open_in_place(nonce(&self.rtp_salt, ssrc, index), Aad::from(&*header), sealed)
            .map_err(|_| SrtpError::Unauthentic)?;
        Ok(header_len + payload.len())
    }

    /// Seals `packet`, whose last [`RTCP_OVERHEAD`] bytes are room for the tag and the index.
    pub(super) fn seal_rtcp(&self, packet: &mut [u8], ssrc: u32, word: [u8; WORD]) -> Result<(), SrtpError> {
        let (packet, room) = packet.split_last_chunk_mut::<WORD>().ok_or(SrtpError::NoRoom)?;
        let (packet, tag_room) = packet.split_last_chunk_mut::<TAG>().ok_or(SrtpError::NoRoom)?;
        let (header, payload) = packet.split_first_chunk_mut::<RTCP_HEADER>().ok_or(SrtpError::Malformed)?;
        *room = word;
        let nonce = nonce(&self.rtcp_salt, ssrc, index_of(word));
        let tag = self
            .rtcp
            .seal_in_place_separate_tag(nonce, Aad::from(rtcp_aad(*header, word)), payload)
            .map_err(|_| SrtpError::NoRoom)?;
        tag_room.copy_from_slice(tag.as_ref());
        Ok(())
    }

    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        encrypted: bool,
    ) -> Result<usize, SrtpError> {
        let len = packet.len().checked_sub(RTCP_OVERHEAD).ok_or(SrtpError::Malformed)?;
        let word = *packet.last_chunk::<WORD>().ok_or(SrtpError::Malformed)?;
        let nonce = nonce(&self.rtcp_salt, ssrc, index_of(word));
        if !encrypted {
            return self.verify_plain_rtcp(packet, len, nonce);
        }
        let (sealed, _) = packet.split_last_chunk_mut::<WORD>().ok_or(SrtpError::Malformed)?;
        let (header, sealed) = sealed.split_first_chunk_mut::<RTCP_HEADER>().ok_or(SrtpError::Malformed)?;
        self.rtcp
            .open_in_place(nonce, Aad::from(rtcp_aad(*header, word)), sealed)
            .map_err(|_| SrtpError::Unauthentic)?;
        Ok(len)
    }

    /// A packet that is only authenticated (RFC 7714 section 9.3): all of it is associated data, then
    /// the word with the index, and the tag in between has to step aside.
    fn verify_plain_rtcp(&self, packet: &mut [u8], len: usize, nonce: Nonce) -> Result<usize, SrtpError> {
        let trailer = packet.get_mut(len..).ok_or(SrtpError::Malformed)?;
        let tag: [u8; TAG] = *trailer.first_chunk().ok_or(SrtpError::Malformed)?;
        trailer.copy_within(TAG.., 0);
        let authenticated = packet.get(..len + WORD).ok_or(SrtpError::Malformed)?;
        self.rtcp
            .open_in_place_separate_tag(nonce, Aad::from(authenticated), Tag::from(tag), &mut [], 0..)
            .map_err(|_| SrtpError::Unauthentic)?;
        Ok(len)
    }
}

/// The index of an SRTCP packet, from the word that follows it.
fn index_of(word: [u8; WORD]) -> u64 {
    u64::from(u32::from_be_bytes(word) & 0x7fff_ffff)
}

/// Header and word of an encrypted SRTCP packet (RFC 7714 section 9.2).
fn rtcp_aad(header: [u8; RTCP_HEADER], word: [u8; WORD]) -> [u8; RTCP_HEADER + WORD] {
    let [a, b, c, d, e, f, g, h] = header;
    let [w, x, y, z] = word;
    [a, b, c, d, e, f, g, h, w, x, y, z]
}

/// The initialization vector (RFC 7714 sections 8.1 and 9.1): the 48-bit index of SRTP is
/// `ROC || SEQ`, that of SRTCP has 31 bits and zeros in front, so one form serves both.
fn nonce(salt: &[u8; SALT_LEN], ssrc: u32, index: u64) -> Nonce {
    let vector = (u128::from(ssrc) << 48) | u128::from(index);
    let mut nonce = *salt;
    for (byte, mask) in nonce.iter_mut().rev().zip(vector.to_be_bytes().into_iter().rev()) {
        *byte ^= mask;
    }
    Nonce::assume_unique_for_key(nonce)
}
