//! The same packets through `rtc-srtp`, both ways.

use proptest::prelude::*;
use rtc::srtp::context::Context;
use rtc::srtp::protection_profile::ProtectionProfile;

use super::*;

fn oracle(profile: SrtpProfile) -> Context {
    let (key, salt) = master(profile);
    let theirs = match profile {
        SrtpProfile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProfile::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let provider = rtc::crypto::default_provider().unwrap();
    Context::new(&key, &salt, theirs, None, None, provider.crypto()).unwrap()
}

/// A packet with everything that a header can have.
fn rich_rtp(sequence: u16, sources: u8, extension_words: Option<u8>, payload: &[u8], padding: u8) -> Vec<u8> {
    let mut packet = rtp(0xcafe_f00d, sequence, &[]);
    packet[0] |= sources;
    for source in 0..sources {
        packet.extend(u32::from(source).to_be_bytes());
    }
    if let Some(words) = extension_words {
        packet[0] |= 0x10;
        packet.extend([0xbe, 0xde, 0, words]);
        packet.extend(std::iter::repeat_n([0x10, 0xaa, 0, 0], usize::from(words)).flatten());
    }
    packet.extend(payload);
    if padding > 0 {
        packet[0] |= 0x20;
        packet.extend(std::iter::repeat_n(0, usize::from(padding) - 1));
        packet.push(padding);
    }
    packet
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_packet_is_sealed_and_opened_alike(
        profile in prop::sample::select(&PROFILES[..]),
        sequence in 0..0x8000_u16,
        sources in 0..16_u8,
        extension_words in prop::option::of(0..8_u8),
        payload in prop::collection::vec(any::<u8>(), 0..1200),
        padding in 0..=255_u8,
    ) {
        let plain = rich_rtp(sequence, sources, extension_words, &payload, padding);
        let (mut sender, mut receiver) = pair(profile);

        let ours = seal_rtp(&mut sender, &plain, u64::from(sequence));
        let theirs = oracle(profile).encrypt_rtp(&plain).unwrap();
        prop_assert_eq!(&ours[..], &theirs[..]);
        prop_assert_eq!(&oracle(profile).decrypt_rtp(&ours).unwrap()[..], &plain[..]);

        let mut packet = theirs.to_vec();
        let opened = receiver.open_rtp(&mut packet).unwrap();
        prop_assert_eq!(opened.index, u64::from(sequence));
        prop_assert_eq!(&packet[..opened.len], &plain[..]);
    }

    #[test]
    fn any_compound_rtcp_is_sealed_and_opened_alike(
        profile in prop::sample::select(&PROFILES[..]),
        ssrc in any::<u32>(),
        tail in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut plain = receiver_report(ssrc);
        plain.extend(&tail);
        let (mut sender, mut receiver) = pair(profile);

        let ours = seal_rtcp(&mut sender, &plain);
        let theirs = oracle(profile).encrypt_rtcp(&plain).unwrap();
        prop_assert_eq!(&oracle(profile).decrypt_rtcp(&ours).unwrap()[..], &plain[..]);

        let mut packet = theirs.to_vec();
        let len = receiver.open_rtcp(&mut packet).unwrap();
        prop_assert_eq!(&packet[..len], &plain[..]);
    }
}

#[test]
fn both_roll_over_at_the_same_packet() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let (mut their_sender, mut their_receiver) = (oracle(profile), oracle(profile));
        // Every 97th packet, so that three rollovers are cheap and never fall on a round number.
        for index in (32_000..200_000_u64).step_by(97) {
            let sequence = u16::try_from(index & 0xffff).unwrap();
            let plain = rtp(7, sequence, b"over and over");
            let ours = seal_rtp(&mut sender, &plain, index);
            let theirs = their_sender.encrypt_rtp(&plain).unwrap();
            assert_eq!(ours[..], theirs[..], "{profile:?} {index}");
            assert_eq!(their_receiver.decrypt_rtp(&ours).unwrap()[..], plain[..], "{profile:?} {index}");
            assert_eq!(receiver.open_rtp(&mut theirs.to_vec()).unwrap().index, index);
        }
    }
}
