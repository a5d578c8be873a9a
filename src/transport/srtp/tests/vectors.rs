//! RFC 3711 appendix B, RFC 7714 sections 16 and 17.

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};

use super::super::cipher::Cipher;
use super::super::cm;
use super::super::gcm::Gcm;
use super::super::keys::{Label, MasterKey};
use super::*;

const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
    69736120 696e2070 61727465 73207472 6573";
const SEALED_RTP: &str = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
    0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce";
const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef";
const SEALED_RTCP: &str = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
    c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
const TAGGED_RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4";

/// The vectors of RFC 7714 give session keys, not master keys.
fn rfc7714() -> Cipher {
    let key: [u8; 16] = hex("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
    let salt: [u8; 12] = hex("51756964 2070726f 2071756f").try_into().unwrap();
    Cipher::Gcm(Box::new(Gcm::from_session((&key, salt), (&key, salt)).unwrap()))
}

#[test]
fn rfc3711_b2_keystream_of_aes_cm() {
    let key: [u8; 16] = hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
    let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let counter = cm::counter(&salt, 0, 0);
    let mut keystream = vec![0; 16 * 0xff02];
    Ctr128BE::<Aes128>::new(&key.into(), &counter.into()).apply_keystream(&mut keystream);
    for (block, expected) in [
        (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ] {
        assert_eq!(keystream[16 * block..16 * block + 16], hex(expected), "block {block:x}");
    }
}

#[test]
fn rfc3711_b3_key_derivation() {
    let (key, salt) = master(SrtpProfile::AesCm128HmacSha1_80);
    let master = MasterKey::new(SrtpProfile::AesCm128HmacSha1_80, &key, &salt).unwrap();
    assert_eq!(master.derive::<16>(Label::RtpEncryption)[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(master.derive::<14>(Label::RtpSalt)[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(
        master.derive::<94>(Label::RtpAuthentication)[..],
        hex("CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
             E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
             6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2")
    );
}

#[test]
fn rfc7714_16_1_srtp() {
    let mut sender = Outbound::with_cipher(rfc7714(), 1);
    let mut packet = seal_rtp(&mut sender, &hex(RTP), 0xf17b);
    assert_eq!(packet, hex(SEALED_RTP));
    let opened = Inbound::with_cipher(rfc7714()).open_rtp(&mut packet).unwrap();
    assert_eq!(opened, Opened { len: hex(RTP).len(), index: 0xf17b });
    assert_eq!(packet[..opened.len], hex(RTP));
}

#[test]
fn rfc7714_17_1_srtcp() {
    let mut sender = Outbound::with_cipher(rfc7714(), 0x5d4);
    let mut packet = seal_rtcp(&mut sender, &hex(RTCP));
    assert_eq!(packet, hex(SEALED_RTCP));
    let len = Inbound::with_cipher(rfc7714()).open_rtcp(&mut packet).unwrap();
    assert_eq!(packet[..len], hex(RTCP));
}

#[test]
fn rfc7714_17_3_srtcp_that_is_only_authenticated() {
    let mut packet = hex(TAGGED_RTCP);
    let len = Inbound::with_cipher(rfc7714()).open_rtcp(&mut packet).unwrap();
    assert_eq!(packet[..len], hex(RTCP));

    for bit in 0..TAGGED_RTCP.len() {
        let mut forged = hex(TAGGED_RTCP);
        let Some(byte) = forged.get_mut(bit / 8) else { break };
        *byte ^= 1 << (bit % 8);
        assert!(Inbound::with_cipher(rfc7714()).open_rtcp(&mut forged).is_err(), "bit {bit}");
    }
}
