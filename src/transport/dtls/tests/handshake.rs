//! Handshakes between honest ends.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::record::{HANDSHAKE, Record, fragments, records};
use super::pair::{fragmented, is_client_hello};
use super::*;

#[test]
fn the_server_prefers_gcm_to_what_the_client_lists_first() {
    let mut pair = Pair::new(&BROWSER);
    pair.run();
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
}

#[test]
fn a_client_that_has_only_cm_gets_cm() {
    let mut pair = Pair::new(&OLD_TOOL);
    pair.run();
    pair.assert_up(SrtpProfile::AesCm128HmacSha1_80);
}

#[test]
fn a_client_without_srtp_is_refused_with_the_reason() {
    let mut pair = Pair::new(&[]);
    pair.run();
    assert_eq!(pair.server_end.as_deref(), Some("NoSrtpProfile"));
    assert!(pair.server_keys.is_none() && pair.client_keys.is_none());
}

/// With a client that offers `suites` by their numbers instead of its own two: what the server chose.
fn chosen_of(suites: [[u8; 2]; 2]) -> (Pair, Option<[u8; 2]>) {
    let mut pair = Pair::new(&BROWSER);
    let mut chosen = None;
    pair.run_over(|from, mut datagram| {
        let first = fragments(records(&datagram).next().unwrap().body).and_then(|all| {
            // Of a hello: version, random, session, then in a client's the cookie and the suites, in a server's the suite.
            let body = all.first().filter(|one| one.message_type <= 2)?.body;
            Some((34 + 1 + usize::from(body[34]), body))
        });
        match (from, first) {
            (End::Server, Some((at, body))) => chosen = Some([body[at], body[at + 1]]),
            (End::Client, Some((at, body))) => {
                let at = 13 + 12 + at + 1 + usize::from(body[at]) + 2;
                datagram[at..at + 4].copy_from_slice(&suites.concat());
            }
            (_, None) => {}
        }
        vec![datagram]
    });
    (pair, chosen)
}

/// Numbers of RFC 5289 and RFC 7905, and of RFC 8422 what has CBC and SHA-1.
#[test]
fn what_is_not_authenticated_encryption_is_not_taken_though_a_client_prefers_it() {
    let (gcm, chacha, cbc) = ([0xc0, 0x2b], [0xcc, 0xa9], [0xc0, 0x0a]);
    assert_eq!(chosen_of([cbc, gcm]).1, Some(gcm));
    assert_eq!(chosen_of([cbc, chacha]).1, Some(chacha));
    let (pair, chosen) = chosen_of([cbc, [0xc0, 0x09]]);
    assert_eq!(chosen, None);
    assert!(pair.server_end.is_some() && pair.server_keys.is_none(), "{:?}", pair.server_end);
}

#[test]
fn a_client_with_another_certificate_gets_no_keys() {
    let [client, server, stranger] = [(); 3].map(|()| DtlsIdentity::generate().unwrap());
    let expected = [client.fingerprint().clone()];
    let mut pair = Pair::of(&stranger, &server, &expected, &[server.fingerprint().clone()], &BROWSER);
    pair.run();
    assert_eq!(pair.server_end.as_deref(), Some("Fingerprint"));
    assert!(pair.server_keys.is_none() && pair.client_keys.is_none());
}

#[test]
fn a_server_with_another_certificate_gets_no_keys() {
    let [client, server, stranger] = [(); 3].map(|()| DtlsIdentity::generate().unwrap());
    let expected = [server.fingerprint().clone()];
    let mut pair = Pair::of(&client, &stranger, &[client.fingerprint().clone()], &expected, &BROWSER);
    pair.run();
    assert_eq!(pair.client_end.as_deref(), Some("Fingerprint"));
    assert!(pair.server_keys.is_none() && pair.client_keys.is_none());
}

#[test]
fn one_of_several_fingerprints_is_enough() {
    let [client, server, other] = [(); 3].map(|()| DtlsIdentity::generate().unwrap());
    let expected = [other.fingerprint().clone(), client.fingerprint().clone()];
    let mut pair = Pair::of(&client, &server, &expected, &[server.fingerprint().clone()], &BROWSER);
    pair.run();
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
}

#[test]
fn a_client_hello_in_pieces_of_any_order_is_read() {
    for (cut, reverse) in [(100, false), (100, true), (40, false), (40, true), (1, false)] {
        let mut pair = Pair::new(&BROWSER);
        let mut pieces_seen = 0;
        pair.run_over(|from, datagram| {
            // Pieces of one byte are more than anybody needs: those are not put together.
            if from != End::Client || !is_client_hello(&datagram) || (cut == 1 && pieces_seen > 200) {
                return vec![datagram];
            }
            let mut pieces = fragmented(&datagram, cut);
            pieces_seen += pieces.len();
            if reverse {
                pieces.reverse();
            }
            // Twice, as if repeated.
            [pieces.clone(), pieces].concat()
        });
        assert!(pieces_seen > 2, "the hello was not cut");
        pair.assert_up(SrtpProfile::AeadAes128Gcm);
    }
}

/// Puts the messages of a client's last flight into two records: half of the certificate, then its
/// other half with all that follows, as some peers pack them.
fn packed(datagram: &[u8]) -> Vec<Vec<u8>> {
    let is_plain = |one: &&Record<'_>| one.epoch == 0 && one.content_type == HANDSHAKE;
    let all: Vec<_> = records(datagram).collect();
    let messages: Vec<u8> = all.iter().filter(is_plain).flat_map(|one| one.body).copied().collect();
    let pieces = fragmented(datagram, fragments(&messages).unwrap()[0].length.div_ceil(2));
    let (first, second) = (pieces[0].clone(), &pieces[1]);
    let certificate_len = 12 + fragments(&messages).unwrap()[0].length;
    let body = [&second[13..], &messages[certificate_len..]].concat();
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    let mut rest = [&second[..11], &len, &body].concat();
    for other in all.iter().filter(|one| !is_plain(one)) {
        rest.extend(other.whole);
    }
    vec![first, rest]
}

#[test]
fn messages_packed_into_records_at_odd_places_are_read() {
    let mut pair = Pair::new(&BROWSER);
    let mut repacked = 0;
    pair.run_over(|from, datagram| {
        let is_certificate = records(&datagram).next().is_some_and(|one| one.body[0] == 11);
        if from == End::Client && is_certificate {
            repacked += 1;
            return packed(&datagram);
        }
        vec![datagram]
    });
    assert_eq!(repacked, 1, "and once was enough");
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
}

/// RFC 6347 section 4.2.3: whoever repeats a flight may cut it elsewhere, so parts overlap.
#[test]
fn a_message_that_is_cut_elsewhere_when_repeated_is_read() {
    let mut pair = Pair::new(&BROWSER);
    let mut certificates = 0;
    let began = pair.now;
    pair.run_over(|_, datagram| {
        let mut sent = Vec::new();
        for record in records(&datagram) {
            let is_certificate = record.epoch == 0 && record.content_type == 22 && record.body[0] == 11;
            if !is_certificate {
                sent.push(record.whole.to_vec());
                continue;
            }
            certificates += 1;
            // Of each end's first certificate the rest is lost; the second is cut further back.
            let first = certificates <= 2;
            let mut pieces = fragmented(record.whole, if first { 100 } else { 150 });
            pieces.truncate(if first { 1 } else { pieces.len() });
            for piece in &mut pieces {
                piece[10] += if first { 0 } else { 100 };
            }
            sent.extend(pieces);
        }
        sent
    });
    assert!(certificates >= 4, "nothing was repeated");
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
    assert!(pair.now.since(began) < Duration::from_secs(2), "{:?}", pair.now.since(began));
}

#[test]
fn any_one_lost_datagram_delays_and_does_not_prevent() {
    let mut whole = Pair::new(&BROWSER);
    whole.run();
    for lost in 0..whole.sent {
        let mut pair = Pair::new(&BROWSER);
        let mut count = 0;
        let began = pair.now;
        pair.run_over(|_, datagram| {
            count += 1;
            if count == lost + 1 { vec![] } else { vec![datagram] }
        });
        pair.assert_up(SrtpProfile::AeadAes128Gcm);
        assert!(pair.now.since(began) < Duration::from_secs(2), "{lost}: {:?}", pair.now.since(began));
    }
}

#[test]
fn any_two_lost_datagrams_delay_and_do_not_prevent() {
    let (client, server) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
    let (of_client, of_server) = ([client.fingerprint().clone()], [server.fingerprint().clone()]);
    for (first, second) in (0..12).flat_map(|one| (one + 1..14).map(move |other| (one, other))) {
        let mut pair = Pair::of(&client, &server, &of_client, &of_server, &BROWSER);
        let mut count = 0;
        let began = pair.now;
        pair.run_over(|_, datagram| {
            count += 1;
            if count == first + 1 || count == second + 1 { vec![] } else { vec![datagram] }
        });
        pair.assert_up(SrtpProfile::AeadAes128Gcm);
        let took = pair.now.since(began);
        assert!(took < Duration::from_secs(3), "{first} and {second}: {took:?}");
    }
}

#[test]
fn a_lossy_wire_still_gets_there() {
    let mut random = crate::base::Random::from_number(5);
    for round in 0..20 {
        let mut pair = Pair::new(&BROWSER);
        pair.run_over(|_, datagram| match random.below(10) {
            0 | 1 => vec![],
            2 => vec![datagram.clone(), datagram],
            _ => vec![datagram],
        });
        assert!(pair.client_keys.is_some() && pair.server_keys.is_some(), "round {round}");
    }
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_10_seconds() {
    let mut pair = Pair::new(&BROWSER);
    let began = pair.now;
    let mut answers = 0;
    pair.run_over(|from, datagram| {
        if from == End::Server {
            answers += 1;
        }
        // Only the first hello arrives.
        if from == End::Client && answers == 0 { vec![datagram] } else { vec![] }
    });
    assert_eq!(pair.server_end.as_deref(), Some("Timeout"));
    assert_eq!(pair.client_end.as_deref(), Some("Timeout"));
    assert!(pair.now.since(began) <= Duration::from_millis(10_001));
    assert!(answers < 20, "{answers} datagrams for one");
    assert_eq!(pair.server.poll_timeout(), None);
}

#[test]
fn either_end_can_close() {
    for closer in [End::Client, End::Server] {
        let mut pair = Pair::new(&BROWSER);
        pair.run();
        match closer {
            End::Client => pair.client.close(pair.now),
            End::Server => pair.server.close(pair.now),
        }
        pair.deliver(&mut |_, datagram| vec![datagram]);
        let other = if closer == End::Client { &pair.server_end } else { &pair.client_end };
        assert_eq!(other.as_deref(), Some("Closed"), "{closer:?} closed");
        assert_eq!((pair.client.poll_timeout(), pair.server.poll_timeout()), (None, None));
    }
}

/// What nobody can repeat any more needs no endpoint; a goodbye works all the same.
#[test]
fn an_end_that_has_settled_can_close_and_be_closed() {
    for closer in [End::Client, End::Server] {
        for waits in [false, true] {
            let mut pair = Pair::new(&BROWSER);
            pair.run();
            assert_eq!(pair.client.poll_timeout(), None, "the server has spoken last");
            if waits {
                pair.now = pair.server.poll_timeout().unwrap();
                pair.server.handle_timeout(pair.now);
            } else {
                pair.server.settle();
            }
            assert!(pair.client.is_settled() && pair.server.is_settled());
            assert_eq!(pair.server.poll_timeout(), None);
            let mut goodbyes = BTreeSet::new();
            match closer {
                End::Client => pair.client.close(pair.now),
                End::Server => pair.server.close(pair.now),
            }
            pair.deliver(&mut |_, datagram| {
                goodbyes.extend(records(&datagram).map(|one| (one.epoch, one.number)));
                vec![datagram]
            });
            let other = if closer == End::Client { &pair.server_end } else { &pair.client_end };
            assert_eq!(other.as_deref(), Some("Closed"), "{closer:?} closed");
            // Both have numbered their Finished 0.
            assert!(goodbyes.iter().all(|(epoch, number)| *epoch == 1 && *number >= 1), "{goodbyes:?}");
        }
    }
}

#[test]
fn no_record_number_comes_twice_under_one_key() {
    let mut seen = BTreeSet::new();
    let mut pair = Pair::new(&BROWSER);
    let mut dropped = 0;
    let mut finished = 0;
    // The last flight of the server is lost again and again, so that both renew theirs.
    pair.run_over(|from, datagram| {
        for record in records(&datagram).filter(|one| one.epoch == 1) {
            let number = (from == End::Client, record.whole[3..11].to_vec());
            finished += 1;
            // A repeated record is the same record, byte for byte.
            seen.insert((number, record.whole.to_vec()));
        }
        if from == End::Server && dropped < 2 && records(&datagram).any(|one| one.epoch == 1) {
            dropped += 1;
            return vec![];
        }
        vec![datagram]
    });
    pair.assert_up(SrtpProfile::AeadAes128Gcm);
    let numbers: BTreeSet<_> = seen.iter().map(|(number, _)| number).collect();
    assert!(finished > 3, "nothing was renewed");
    assert_eq!(numbers.len(), seen.len(), "one number, two records");
}
