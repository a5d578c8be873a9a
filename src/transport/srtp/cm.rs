//! AES128_CM_HMAC_SHA1_80 (RFC 3711), for clients that have no GCM.

use aes::Aes128;
use ctr::CtrCore;
use ctr::cipher::{InnerIvInit, KeyInit, StreamCipherCore};
use ctr::flavors::Ctr128BE;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::SrtpError;
use super::header::RTCP_HEADER;
use super::keys::{Label, MasterKey};

const SALT_LEN: usize = 14;
const AUTHENTICATION_KEY: usize = 20;
pub(super) const TAG: usize = 10;
const WORD: usize = 4;
pub(super) const RTCP_OVERHEAD: usize = WORD + TAG;

/// One key schedule, one salt and one HMAC that has already taken its key in.
struct Half {
    aes: Aes128,
    salt: [u8; SALT_LEN],
    hmac: Hmac<Sha1>,
}

/// The keys of one direction.
pub(super) struct Cm {
    rtp: Half,
    rtcp: Half,
}

impl Cm {
    pub(super) fn new(master: &MasterKey) -> Result<Self, SrtpError> {
        let half = |encryption, authentication, salt| {
            let key: [u8; 16] = master.derive(encryption);
            let hmac_key: [u8; AUTHENTICATION_KEY] = master.derive(authentication);
            let hmac = <Hmac<Sha1> as Mac>::new_from_slice(&hmac_key).map_err(|_| SrtpError::KeyLength)?;
            Ok(Half { aes: Aes128::new(&key.into()), salt: master.derive(salt), hmac })
        };
        Ok(Self {
            rtp: half(Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt)?,
            rtcp: half(Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt)?,
        })
    }

    /// Seals `packet`, whose last [`TAG`] bytes are room for the tag.
    pub(super) fn seal_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        let (packet, room) = packet.split_last_chunk_mut::<TAG>().ok_or(SrtpError::NoRoom)?;
        let payload = packet.get_mut(header_len..).ok_or(SrtpError::Malformed)?;
        self.rtp.apply_keystream(payload, ssrc, index)?;
        *room = self.rtp.tag(packet, &rollovers(index));
        Ok(())
    }

    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let (packet, tag) = packet.split_last_chunk_mut::<TAG>().ok_or(SrtpError::Malformed)?;
        self.rtp.verify(packet, &rollovers(index), tag)?;
        let payload = packet.get_mut(header_len..).ok_or(SrtpError::Malformed)?;
        self.rtp.apply_keystream(payload, ssrc, index)?;
        Ok(packet.len())
    }

    /// Seals `packet`, whose last [`RTCP_OVERHEAD`] bytes are room for the index and the tag.
    pub(super) fn seal_rtcp(&self, packet: &mut [u8], ssrc: u32, word: [u8; WORD]) -> Result<(), SrtpError> {
        let (authenticated, room) = packet.split_last_chunk_mut::<TAG>().ok_or(SrtpError::NoRoom)?;
        let (packet, word_room) = authenticated.split_last_chunk_mut::<WORD>().ok_or(SrtpError::NoRoom)?;
        *word_room = word;
        let payload = packet.get_mut(RTCP_HEADER..).ok_or(SrtpError::Malformed)?;
        self.rtcp.apply_keystream(payload, ssrc, index_of(word))?;
        *room = self.rtcp.tag(authenticated, &[]);
        Ok(())
    }

    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        encrypted: bool,
    ) -> Result<usize, SrtpError> {
        let (authenticated, tag) = packet.split_last_chunk_mut::<TAG>().ok_or(SrtpError::Malformed)?;
        self.rtcp.verify(authenticated, &[], tag)?;
        let (packet, word) = authenticated.split_last_chunk_mut::<WORD>().ok_or(SrtpError::Malformed)?;
        if encrypted {
            let payload = packet.get_mut(RTCP_HEADER..).ok_or(SrtpError::Malformed)?;
            self.rtcp.apply_keystream(payload, ssrc, index_of(*word))?;
        }
        Ok(packet.len())
    }
}

impl Half {
    fn apply_keystream(&self, payload: &mut [u8], ssrc: u32, index: u64) -> Result<(), SrtpError> {
        let counter = counter(&self.salt, ssrc, index).into();
        CtrCore::<&Aes128, Ctr128BE>::inner_iv_init(&self.aes, &counter)
            .try_apply_keystream_partial(payload.into())
            .map_err(|_| SrtpError::Malformed)
    }

    fn tag(&self, authenticated: &[u8], suffix: &[u8]) -> [u8; TAG] {
        let mut hmac = self.hmac.clone();
        hmac.update(authenticated);
        hmac.update(suffix);
        let whole: [u8; 20] = hmac.finalize().into_bytes().into();
        let mut tag = [0; TAG];
        for (to, from) in tag.iter_mut().zip(whole) {
            *to = from;
        }
        tag
    }

    fn verify(&self, authenticated: &[u8], suffix: &[u8], tag: &[u8; TAG]) -> Result<(), SrtpError> {
        let equal = self.tag(authenticated, suffix).ct_eq(tag);
        if bool::from(equal) { Ok(()) } else { Err(SrtpError::Unauthentic) }
    }
}

/// The rollover counter, which is authenticated but not sent (RFC 3711 section 4.2).
fn rollovers(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

fn index_of(word: [u8; WORD]) -> u64 {
    u64::from(u32::from_be_bytes(word) & 0x7fff_ffff)
}

/// The first counter block (RFC 3711 section 4.1.1): `(salt * 2^16) ^ (SSRC * 2^64) ^ (index * 2^16)`.
pub(super) fn counter(salt: &[u8; SALT_LEN], ssrc: u32, index: u64) -> [u8; 16] {
    let mask = (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
    let mut counter = mask.to_be_bytes();
    for (byte, salt) in counter.iter_mut().zip(salt) {
        *byte ^= salt;
    }
    counter
}
