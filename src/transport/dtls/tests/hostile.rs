//! Records from somebody who has no keys, or from a peer that misuses them.

use super::super::record_gate::RecordGate;
use super::*;
use crate::base::Random;

fn record(content_type: u8, epoch: u8, number: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let header = [content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, number, len[0], len[1]];
    [&header[..], body].concat()
}

/// A handshake fragment: type, message length, message number, offset, bytes.
fn fragment(kind: u8, length: u16, sequence: u8, offset: u16, body: &[u8]) -> Vec<u8> {
    let ([l1, l2], [o1, o2]) = (length.to_be_bytes(), offset.to_be_bytes());
    let [f1, f2] = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, 0, l1, l2, 0, sequence, 0, o1, o2, 0, f1, f2][..], body].concat()
}

#[test]
fn nothing_unauthenticated_touches_an_established_session() {
    for (victim, is_settled) in [(End::Client, true), (End::Server, false), (End::Server, true)] {
        let mut pair = Pair::new(&BROWSER);
        pair.run();
        if is_settled {
            pair.server.settle();
        }
        let mut random = Random::from_number(9);
        for round in 0..2_000_u16 {
            let number = random.next_u32().to_be_bytes()[0];
            let mut body = vec![0; usize::from(round % 300)];
            random.fill(&mut body);
            let kind = u8::try_from(19 + round % 6).unwrap();
            let datagram = match round % 5 {
                0 => record(21, 0, number, &[2, 40]),
                1 => record(23, 0, number, b"plaintext"),
                2 => record(22, 0, number, &fragment(1, 300, number % 20, 0, &body)),
                _ => record(kind, u8::try_from(round % 3).unwrap(), number, &body),
            };
            match victim {
                End::Client => pair.client.handle_datagram(pair.now, &datagram),
                End::Server => pair.server.handle_datagram(pair.now, &datagram),
            }
        }
        assert!(pair.client.poll_transmit().is_none() && pair.server.poll_transmit().is_none());
        pair.take_events();
        assert_eq!((&pair.client_end, &pair.server_end), (&None, &None));
    }
}

#[test]
fn forged_records_do_not_make_a_session_deaf_to_a_goodbye() {
    for is_settled in [false, true] {
        let mut pair = Pair::new(&BROWSER);
        pair.run();
        if is_settled {
            pair.server.settle();
        }
        for number in 0..200 {
            pair.server.handle_datagram(pair.now, &record(22, 1, number, &[0; 48]));
            assert_eq!(pair.server.is_settled(), is_settled, "a handshake record needs no endpoint");
        }
        for number in 0..200 {
            pair.server.handle_datagram(pair.now, &record(21, 1, number, &[0; 26]));
        }
        pair.client.close(pair.now);
        pair.deliver(&mut |_, datagram| vec![datagram]);
        assert_eq!(pair.server_end.as_deref(), Some("Closed"));
    }
}

#[test]
fn a_plaintext_alert_does_not_stop_a_handshake() {
    let mut pair = Pair::new(&BROWSER);
    pair.run_over(|_, datagram| vec![record(21, 0, 200, &[2, 40]), datagram]);
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
}

#[test]
fn junk_before_the_hello_does_not_keep_it_out() {
    let mut pair = Pair::new(&BROWSER);
    for n in 0..100 {
        let part = fragment(1, 15_000, 0, 200 * n, &[0; 90]);
        pair.server.handle_datagram(pair.now, &record(22, 0, 1, &part));
        pair.server.handle_datagram(pair.now, &record(22, 0, 1, &fragment(1, 50, 0, 0, &[0; 50])));
        pair.server.handle_datagram(pair.now, b"no record at all");
    }
    pair.run();
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
}

#[test]
fn a_handshake_has_a_budget() {
    let numbered = |mut record: Vec<u8>, number: u16| {
        record[9..11].copy_from_slice(&number.to_be_bytes());
        record
    };
    let mut gate = RecordGate::new();
    let long = record(22, 0, 0, &fragment(15, 1_000, 2, 0, &[0; 1_000]));
    let passed: usize = (0..10_000).map(|n| gate.during_handshake(&numbered(long.clone(), n)).len()).sum();
    assert!((60_000..=68_000).contains(&passed), "{passed} bytes");

    let mut gate = RecordGate::new();
    let mut passed = 0;
    for number in 0..10_000_u16 {
        let message = numbered(record(22, 0, 0, &fragment(14, 0, 5, 0, &[])), number);
        passed += usize::from(!gate.during_handshake(&message).is_empty());
        assert!(gate.during_handshake(&message).is_empty(), "a repeated record");
    }
    assert_eq!(passed, 256);

    let sealed = record(22, 1, 7, &[0; 40]);
    let mut gate = RecordGate::new();
    let passed = (0..10_000).filter(|_| !gate.during_handshake(&sealed).is_empty()).count();
    assert_eq!(passed, 32, "each may hold 8 fragments");
    let passed = (0..10_000).filter(|_| !gate.after_handshake(&sealed).is_empty()).count();
    assert_eq!(passed, 64);
}

#[test]
fn what_no_handshake_needs_does_not_pass() {
    let passes = |datagram: &[u8]| !RecordGate::new().during_handshake(datagram).is_empty();
    assert!(passes(&record(22, 0, 1, &fragment(14, 0, 5, 0, &[]))), "an empty message");
    assert!(passes(&record(22, 0, 1, &fragment(15, 20, 1, 0, &[0; 20]))), "a message");
    assert!(passes(&record(20, 0, 1, &[1])), "change of keys");
    assert!(!passes(&record(20, 0, 1, &[2])));
    assert!(!passes(&record(22, 0, 1, &fragment(11, 20, 1, 0, &[0; 10]))), "a part alone");
    assert!(!passes(&record(22, 2, 1, &[0; 40])), "an epoch that never comes");
    assert!(!passes(&record(23, 1, 1, &[0; 40])), "application data");
    assert!(!passes(&record(22, 0, 1, &fragment(11, 20, 1, 15, &[0; 10]))), "beyond its end");
    assert!(!passes(&record(22, 0, 1, &fragment(11, 20, 1, 5, &[]))), "a part of nothing");
    assert!(!passes(&record(22, 0, 1, &fragment(11, 20_000, 1, 0, &[0; 10]))), "too long");
    assert!(!passes(&record(22, 0, 1, &fragment(11, 20, 16, 0, &[0; 20]))), "too many messages");
}

/// The crate makes room for what a certificate claims to be before it reads it: 16 MB for 10 bytes.
#[test]
fn a_certificate_that_claims_more_than_it_has_does_not_pass() {
    let passes = |body: &[u8]| {
        let len = u16::try_from(body.len()).unwrap();
        let message = record(22, 0, 1, &fragment(11, len, 1, 0, body));
        !RecordGate::new().during_handshake(&message).is_empty()
    };
    assert!(passes(&[0, 0, 0]), "no certificate");
    assert!(passes(&[0, 0, 9, 0, 0, 2, 7, 7, 0, 0, 1, 7]), "two");
    assert!(!passes(&[0, 0, 7, 0xff, 0xff, 0xff, 7, 7, 7, 7]), "16 MB");
    assert!(!passes(&[0, 0, 5, 0, 0, 3, 7, 7]), "one byte is missing");
    assert!(!passes(&[0, 0, 5, 0, 0, 1, 7, 7]), "half a length is behind it");
    assert!(!passes(&[0, 0, 6, 0, 0, 2, 7, 7]), "a list that is shorter than it claims");
    assert!(!passes(&[0, 0, 4, 0, 0, 2, 7, 7]), "and one that is longer");
    assert!(!passes(&[0, 0]));
}

/// A peer with the keys could fill an encrypted record with thousands of tiny fragments, which the
/// crate joins by recursion: a stack overflow ends the process.
#[test]
fn an_encrypted_record_longer_than_a_finished_does_not_pass() {
    for kind in [21, 22] {
        let long = record(kind, 1, 1, &[0; 129]);
        assert!(RecordGate::new().during_handshake(&long).is_empty());
        assert!(RecordGate::new().after_handshake(&long).is_empty());
        assert!(!RecordGate::new().after_handshake(&record(kind, 1, 1, &[0; 64])).is_empty());
    }
}

#[test]
fn an_empty_encrypted_record_does_not_stop_a_handshake() {
    let mut pair = Pair::new(&BROWSER);
    pair.run_over(|_, datagram| vec![record(22, 1, 200, &[]), record(21, 1, 200, &[]), datagram]);
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
}

/// The crate's window against replays would move up to the forged number and leave all others behind.
#[test]
fn a_forged_record_number_does_not_stop_a_handshake() {
    let mut pair = Pair::new(&BROWSER);
    pair.run_over(|_, datagram| {
        let mut forged = record(22, 0, 9, &fragment(14, 0, 15, 0, &[]));
        forged[5] = 0x7f;
        vec![forged, datagram]
    });
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
}

/// Whatever is done to the datagrams of a handshake: no panic, and keys only where both ends agree.
#[test]
fn changed_handshakes_end_in_agreement_or_not_at_all() {
    let mut random = Random::from_number(11);
    let (client, server) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let (of_client, of_server) = ([client.fingerprint().clone()], [server.fingerprint().clone()]);
    for round in 0..300 {
        let mut pair = Pair::of(&client, &server, &of_client, &of_server, &BROWSER);
        pair.run_over(|_, mut datagram| {
            if random.below(3) == 0 {
                change(&mut random, &mut datagram);
            }
            vec![datagram]
        });
        if let (Some(client), Some(server)) = (&pair.client_keys, &pair.server_keys) {
            assert_eq!(client.profile, server.profile, "round {round}");
            pair.assert_up(client.profile);
        }
    }
}

fn change(random: &mut Random, datagram: &mut Vec<u8>) {
    let at = usize::try_from(random.below(datagram.len() as u64)).unwrap();
    match random.below(4) {
        0 => datagram[at] ^= 1 << random.below(8),
        1 => datagram[at] = random.next_u32().to_be_bytes()[0],
        2 => datagram.truncate(at),
        _ => {
            let tail = datagram[at..].to_vec();
            datagram.extend(tail);
        }
    }
}
