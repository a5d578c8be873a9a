//! STUN and RTP.

use anteroom::base::Time;
use anteroom::transport::Path;
use anteroom::transport::ice::{IceCredentials, IceLite, IceOutcome, MAX_REPLY, local_ufrag};
use anteroom::wire::extension::{AbsSendTime, AudioLevel, read_mid, read_transport_cc, write_transport_cc};
use anteroom::wire::rtp::{FIXED_HEADER, RtpHeader, RtpView, pad};
use anteroom::wire::stun::{StunView, StunWriter};

use super::input::Input;

/// The password under which the checks of the corpus are signed.
pub(super) const PASSWORD: &str = "passwordOfTwentyTwoBytes";
/// The fragments of their user name: the server's and the client's.
pub(super) const FRAGMENTS: (&str, &str) = ("serv", "clnt");

/// Any message is read or refused; an address reads back as it was read.
pub fn stun(data: &[u8]) {
    let name = local_ufrag(data);
    assert!(name.is_none_or(|name| name.len() <= data.len()));
    let Ok(view) = StunView::parse(data) else { return };
    assert!(data.len() >= 20 && data.len().is_multiple_of(4));
    assert!(view.unknown_attributes().count() <= data.len() / 2);
    assert!(view.unknown_comprehension_required().count() <= data.len() / 4);
    assert!(view.error_code().is_none_or(|code| (300..=699).contains(&code)));
    let _ = (view.ice_controlled(), view.ice_controlling(), view.priority(), view.use_candidate());
    let _ = view.check_integrity(PASSWORD.as_bytes());
    assert!(!view.check_integrity(b"another password"), "nothing here is signed with it");
    if let Some(username) = view.username() {
        assert!(username.len() <= data.len());
    }
    if let Some(address) = view.xor_mapped_address() {
        let mut out = [0; 64];
        let writer = StunWriter::new(view.class(), view.method(), view.transaction_id(), &mut out).unwrap();
        let len = writer.xor_mapped_address(address).unwrap().fingerprint().unwrap().finish();
        let again = StunView::parse(&out[..len]).unwrap();
        assert_eq!((again.class(), again.method()), (view.class(), view.method()));
        assert_eq!(again.xor_mapped_address(), Some(address));
    }
}

/// Only a signed check of a known user name is answered, shortly; anything else leaves no path behind.
pub fn ice(data: &[u8]) {
    let credentials = |ufrag: &str| IceCredentials { ufrag: ufrag.to_owned(), pwd: PASSWORD.to_owned() };
    let mut agent = IceLite::new(credentials(FRAGMENTS.0), credentials(FRAGMENTS.1));
    let mut input = Input::new(data);
    let mut now = Time::from_unix_seconds(1_700_000_000);
    while !input.is_empty() {
        let port = 1_000 + u16::from(input.u8());
        let path = Path::new(([192, 0, 2, 1], port).into(), None);
        let message = input.long_piece();
        let mut out = [0; MAX_REPLY];
        let outcome = agent.handle_request(now, path, message, &mut out);
        assert!(outcome.reply_len().is_none_or(|len| len <= MAX_REPLY));
        if agent.is_validated(path) && !matches!(outcome, IceOutcome::Dropped(_)) {
            let view = StunView::parse(message).unwrap();
            assert!(view.check_integrity(PASSWORD.as_bytes()));
        }
        assert!(agent.paths().count() <= anteroom::transport::ice::MAX_PATHS);
        now = now + std::time::Duration::from_millis(7);
        agent.handle_timeout(now);
    }
}

/// The parts of a packet add up; its header and extensions read back as they were read.
pub fn rtp(data: &[u8]) {
    let protected = RtpView::parse_protected(data);
    let Ok(view) = RtpView::parse(data) else { return };
    let protected = protected.unwrap();
    assert_eq!(view.header_len() + view.payload().len() + view.padding_len(), data.len());
    assert_eq!(protected.header_len(), view.header_len());
    assert!(view.header_len() >= FIXED_HEADER && view.payload_type() <= 0x7f);
    let found: Vec<(u8, &[u8])> = view.extensions().collect();
    for (id, data) in &found {
        assert!(view.extension(*id).is_some() && data.len() <= 255);
    }
    let mut out = vec![0; data.len() * 2 + 600];
    let len = view.header().write(&found, &mut out).unwrap();
    out[len..len + view.payload().len()].copy_from_slice(view.payload());
    let plain = len + view.payload().len();
    let padded = plain + data.len() % 256;
    pad(&mut out, plain, padded).unwrap();
    let again = RtpView::parse(&out[..padded]).unwrap();
    assert_eq!((again.header(), again.payload()), (view.header(), view.payload()));
    assert_eq!(again.padding_len(), padded - plain);
    assert!(again.extensions().eq(found));
}

/// A packet with these bytes as its extension block, and what the extensions say.
pub fn extensions(data: &[u8]) {
    let mut input = Input::new(data);
    let profile = match input.u8() {
        0..=127 => 0xbede,
        128..=239 => 0x1000,
        _ => input.u16(),
    };
    let block = input.rest();
    let block = &block[..block.len() - block.len() % 4];
    let header = RtpHeader {
        payload_type: 96,
        marker: false,
        sequence: 1,
        timestamp: 2,
        ssrc: anteroom::base::Ssrc(3),
    };
    let mut packet = vec![0; FIXED_HEADER];
    header.write(&[], &mut packet).unwrap();
    packet[0] |= 0x10;
    packet.extend(profile.to_be_bytes());
    packet.extend(u16::try_from(block.len() / 4).unwrap().to_be_bytes());
    packet.extend(block);
    packet.extend(b"payload");
    let view = RtpView::parse(&packet).unwrap();
    assert_eq!(view.payload(), b"payload");
    let mut bytes = 0;
    for (id, data) in view.extensions() {
        assert!(id != 0 && (profile != 0xbede || id < 15 && (1..=16).contains(&data.len())));
        bytes += 1 + data.len();
        read_each(data);
    }
    assert!(bytes <= block.len());
}

fn read_each(data: &[u8]) {
    if let Ok(level) = AudioLevel::read(data) {
        assert_eq!(level.write(), data);
    }
    if let Ok(sent) = AbsSendTime::read(data) {
        assert_eq!(sent.write(), data);
        let near = Time::from_unix_seconds(1_700_000_000);
        let at = sent.to_time(near);
        assert!(at.as_micros().abs_diff(near.as_micros()) <= 32_000_001);
        assert_eq!(AbsSendTime::from_time(at), sent);
    }
    if let Ok(number) = read_transport_cc(data) {
        assert_eq!(write_transport_cc(number), data);
    }
    if let Ok(mid) = read_mid(data) {
        assert_eq!(mid.as_bytes(), data);
    }
}
