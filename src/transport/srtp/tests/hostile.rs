//! Packets that somebody else made, changed or sent twice.

use super::*;

#[test]
fn a_sealed_packet_cut_short_anywhere_is_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let media = seal_rtp(&mut sender, &rtp(1, 9, b"hello"), 9);
        let control = seal_rtcp(&mut sender, &receiver_report(1));
        for len in 0..media.len() {
            assert!(receiver.open_rtp(&mut media[..len].to_vec()).is_err());
        }
        for len in 0..control.len() {
            assert!(receiver.open_rtcp(&mut control[..len].to_vec()).is_err());
        }
        assert!(receiver.open_rtp(&mut media.clone()).is_ok());
        assert!(receiver.open_rtcp(&mut control.clone()).is_ok());
    }
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let media = seal_rtp(&mut sender, &rtp(1, 9, b"hello"), 9);
        let control = seal_rtcp(&mut sender, &receiver_report(1));
        for bit in 0..8 * media.len() {
            let mut forged = media.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(receiver.open_rtp(&mut forged).is_err(), "{profile:?} RTP bit {bit}");
        }
        for bit in 0..8 * control.len() {
            let mut forged = control.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(receiver.open_rtcp(&mut forged).is_err(), "{profile:?} RTCP bit {bit}");
        }
        assert_eq!(receiver.rtp_sources(), 0, "forgeries leave nothing behind");
        assert!(receiver.open_rtp(&mut media.clone()).is_ok());
        assert!(receiver.open_rtcp(&mut control.clone()).is_ok());
    }
}

#[test]
fn a_forged_goodbye_with_a_clear_e_flag_is_refused() {
    for profile in PROFILES {
        let (_, mut receiver) = pair(profile);
        let mut goodbye = vec![0x81, 203, 0, 1, 0, 0, 0, 1];
        goodbye.extend([0; OVERHEAD_RTCP]);
        assert_eq!(receiver.open_rtcp(&mut goodbye), Err(SrtpError::Unauthentic), "{profile:?}");
    }
}

#[test]
fn a_replayed_packet_opens_once() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let media: Vec<_> =
            (100..200).map(|n| seal_rtp(&mut sender, &rtp(1, n, b"hello"), u64::from(n))).collect();
        let control: Vec<_> = (0..100).map(|_| seal_rtcp(&mut sender, &receiver_report(1))).collect();
        // Newest first: each is late, and still new.
        for (media, control) in media.iter().zip(&control).rev() {
            assert!(receiver.open_rtp(&mut media.clone()).is_ok());
            assert!(receiver.open_rtcp(&mut control.clone()).is_ok());
        }
        for (media, control) in media.iter().zip(&control) {
            assert_eq!(receiver.open_rtp(&mut media.clone()), Err(SrtpError::Replayed));
            assert_eq!(receiver.open_rtcp(&mut control.clone()), Err(SrtpError::Replayed));
        }
    }
}

#[test]
fn a_forgery_ahead_of_the_stream_does_not_move_the_window() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    assert!(receiver.open_rtp(&mut seal_rtp(&mut sender, &rtp(1, 100, b"a"), 100)).is_ok());
    let mut forged = rtp(1, 30_000, &[0; 40]);
    assert_eq!(receiver.open_rtp(&mut forged), Err(SrtpError::Unauthentic));
    let mut next = seal_rtp(&mut sender, &rtp(1, 101, b"b"), 101);
    assert_eq!(receiver.open_rtp(&mut next).unwrap().index, 101);
}

#[test]
fn sources_are_bounded_and_the_known_ones_go_on() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    let bound = u32::try_from(sources::MAX_SOURCES + sources::MAX_PAST).unwrap();
    for ssrc in 0..bound {
        assert!(receiver.open_rtp(&mut seal_rtp(&mut sender, &rtp(ssrc, 1, b"x"), 1)).is_ok());
        assert!(receiver.open_rtcp(&mut seal_rtcp(&mut sender, &receiver_report(ssrc))).is_ok());
    }
    let mut media = seal_rtp(&mut sender, &rtp(bound, 1, b"x"), 1);
    assert_eq!(receiver.open_rtp(&mut media), Err(SrtpError::TooManySources));
    let mut control = seal_rtcp(&mut sender, &receiver_report(bound));
    assert_eq!(receiver.open_rtcp(&mut control), Err(SrtpError::TooManySources));
    for ssrc in 0..bound {
        let mut media = seal_rtp(&mut sender, &rtp(ssrc, 2, b"x"), 2);
        assert!(receiver.open_rtp(&mut media.clone()).is_ok(), "source {ssrc} comes back");
        assert_eq!(receiver.open_rtp(&mut media), Err(SrtpError::Replayed));
    }
    assert_eq!(receiver.rtp_sources(), usize::try_from(bound).unwrap());
}

/// A client that restarts its tracks has other sources each time.
#[test]
fn nothing_of_a_source_of_long_ago_opens_twice() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile);
        let media: Vec<_> = (65_530..65_546_u64)
            .map(|n| seal_rtp(&mut sender, &rtp(7, u16::try_from(n % 65_536).unwrap(), b"hello"), n))
            .collect();
        let control: Vec<_> = (0..16).map(|_| seal_rtcp(&mut sender, &receiver_report(7))).collect();
        // The third last is lost.
        let (lost, newest) = (13, 15);
        for at in (0..newest).filter(|at| *at != lost) {
            assert!(receiver.open_rtp(&mut media[at].clone()).is_ok());
            assert!(receiver.open_rtcp(&mut control[at].clone()).is_ok());
        }
        for ssrc in 100..300 {
            assert!(receiver.open_rtp(&mut seal_rtp(&mut sender, &rtp(ssrc, 1, b"x"), 1)).is_ok());
            assert!(receiver.open_rtcp(&mut seal_rtcp(&mut sender, &receiver_report(ssrc))).is_ok());
        }
        let refuses_all = |receiver: &mut Inbound, count: usize| {
            for at in 0..count {
                assert_eq!(receiver.open_rtp(&mut media[at].clone()), Err(SrtpError::Replayed), "{at}");
                assert_eq!(receiver.open_rtcp(&mut control[at].clone()), Err(SrtpError::Replayed));
            }
        };
        refuses_all(&mut receiver, newest);
        // It comes back with what is new, in the count of rollovers that it had.
        assert_eq!(receiver.open_rtp(&mut media[newest].clone()).unwrap().index, 65_545);
        assert!(receiver.open_rtcp(&mut control[newest].clone()).is_ok());
        refuses_all(&mut receiver, newest + 1);
    }
}

#[test]
fn who_sends_is_not_who_is_forgotten() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
    let first = seal_rtp(&mut sender, &rtp(7, 1, b"x"), 1);
    for round in 0..200_u16 {
        let sequence = 3 + 2 * round;
        let mut media = seal_rtp(&mut sender, &rtp(7, sequence, b"x"), sequence.into());
        assert!(receiver.open_rtp(&mut media).is_ok());
        let ssrc = 100 + u32::from(round);
        assert!(receiver.open_rtp(&mut seal_rtp(&mut sender, &rtp(ssrc, 1, b"x"), 1)).is_ok());
    }
    assert!(receiver.open_rtp(&mut first.clone()).is_ok(), "it is late, and its window is still there");
}

#[test]
fn a_sender_never_uses_an_index_that_is_not_the_packets() {
    let (mut sender, _) = pair(SrtpProfile::AeadAes128Gcm);
    let mut buffer = rtp(1, 7, &[0; 40]);
    let len = buffer.len() - OVERHEAD_RTP;
    assert_eq!(sender.seal_rtp(&mut buffer, len, 8), Err(SrtpError::WrongIndex));
    assert_eq!(sender.seal_rtp(&mut buffer, len, (1 << 48) | 7), Err(SrtpError::Exhausted));
    assert_eq!(sender.seal_rtp(&mut buffer, 53, 7), Err(SrtpError::NoRoom));
    assert_eq!(sender.seal_rtp(&mut buffer, 40, 7), Err(SrtpError::NoRoom));
    assert_eq!(buffer, rtp(1, 7, &[0; 40]), "a refused packet is unchanged");
    assert_eq!(sender.seal_rtp(&mut buffer, len, 0x5_0007), Ok(buffer.len()));
}

#[test]
fn srtcp_indices_count_and_end() {
    for profile in PROFILES {
        let (mut sender, _) = pair(profile);
        let mut seen = std::collections::BTreeSet::new();
        for ssrc in 0..200 {
            let sealed = seal_rtcp(&mut sender, &receiver_report(ssrc % 3));
            let at = sealed.len() - if profile == SrtpProfile::AeadAes128Gcm { 4 } else { 14 };
            assert!(seen.insert(sealed[at..at + 4].to_vec()), "an index came twice");
        }
        let (key, salt) = master(profile);
        let master = MasterKey::new(profile, &key, &salt).unwrap();
        let last = (1 << 31) - 1;
        let mut sender = Outbound::with_cipher(cipher::Cipher::new(profile, &master).unwrap(), last);
        seal_rtcp(&mut sender, &receiver_report(1));
        let mut buffer = [receiver_report(1), vec![0; OVERHEAD_RTCP]].concat();
        assert_eq!(sender.seal_rtcp(&mut buffer, 8), Err(SrtpError::Exhausted));
    }
}

#[test]
fn keys_of_the_wrong_length_are_refused() {
    for profile in PROFILES {
        let (key, salt) = master(profile);
        assert_eq!(Inbound::new(profile, &key[1..], &salt).unwrap_err(), SrtpError::KeyLength);
        assert_eq!(Outbound::new(profile, &key, &salt[1..]).unwrap_err(), SrtpError::KeyLength);
        let exported = vec![7; SrtpKeys::export_len(profile) - 1];
        assert_eq!(SrtpKeys::from_export(profile, &exported).unwrap_err(), SrtpError::KeyLength);
    }
}

#[test]
fn the_export_is_cut_so_that_client_and_server_meet() {
    for profile in PROFILES {
        let exported: Vec<u8> = (0..).take(SrtpKeys::export_len(profile)).collect();
        let keys = SrtpKeys::from_export(profile, &exported).unwrap();
        let (mut client, mut at_client) = keys.client_contexts().unwrap();
        let (mut server, mut at_server) = keys.server_contexts().unwrap();
        let up = seal_rtp(&mut client, &rtp(1, 1, b"up"), 1);
        let down = seal_rtp(&mut server, &rtp(1, 1, b"down"), 1);
        assert!(at_client.open_rtp(&mut up.clone()).is_err(), "each direction has its own keys");
        assert!(at_server.open_rtp(&mut up.clone()).is_ok());
        assert!(at_client.open_rtp(&mut down.clone()).is_ok());
    }
}
