//! Packets to be opened: forged ones, and real ones that somebody touched.

use anteroom::message::SrtpProfile;
use anteroom::transport::srtp::{Inbound, OVERHEAD_RTCP, OVERHEAD_RTP, Outbound, SrtpError};
use anteroom::wire::rtp::RtpView;

use super::input::Input;

const KEY: [u8; 16] = [7; 16];

/// A sender and its receiver, by a choice of profile.
fn pair(choice: u8) -> (Outbound, Inbound) {
    let (profile, salt) = match choice & 1 {
        0 => (SrtpProfile::AeadAes128Gcm, &[9; 12][..]),
        _ => (SrtpProfile::AesCm128HmacSha1_80, &[9; 14][..]),
    };
    (Outbound::new(profile, &KEY, salt).unwrap(), Inbound::new(profile, &KEY, salt).unwrap())
}

/// A forged packet is refused and leaves nothing; a sealed one opens once, as it was, and never changed.
pub fn rtp(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let (at, flip) = (usize::from(input.u16()), input.u8());
    let plain = input.rest();
    let (mut sender, mut receiver) = pair(choice);
    assert!(receiver.open_rtp(&mut plain.to_vec()).is_err(), "nobody sealed this");
    assert_eq!(receiver.rtp_sources(), 0);
    let mut sealed = [plain, &[0; OVERHEAD_RTP]].concat();
    let Ok(view) = RtpView::parse_protected(plain) else {
        assert_eq!(sender.seal_rtp(&mut sealed, plain.len(), 0), Err(SrtpError::Malformed));
        return;
    };
    let index = u64::from(view.sequence());
    let len = sender.seal_rtp(&mut sealed, plain.len(), index).unwrap();
    sealed.truncate(len);
    let mut changed = sealed.clone();
    changed[at % len] ^= flip;
    if flip != 0 {
        assert!(receiver.open_rtp(&mut changed).is_err(), "byte {} of {len} was changed", at % len);
    }
    assert!(receiver.open_rtp(&mut sealed[..at % len].to_vec()).is_err(), "cut short");
    let mut opened = sealed.clone();
    let read = receiver.open_rtp(&mut opened).unwrap();
    assert_eq!((&opened[..read.len], read.index), (plain, index));
    assert_eq!(receiver.open_rtp(&mut sealed), Err(SrtpError::Replayed));
}

/// The same of control packets.
pub fn rtcp(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let (at, flip) = (usize::from(input.u16()), input.u8());
    let plain = input.rest();
    let (mut sender, mut receiver) = pair(choice);
    assert!(receiver.open_rtcp(&mut plain.to_vec()).is_err(), "nobody sealed this");
    let mut sealed = [plain, &[0; OVERHEAD_RTCP]].concat();
    let Ok(len) = sender.seal_rtcp(&mut sealed, plain.len()) else {
        assert!(plain.len() < 8 || plain[0] >> 6 != 2);
        return;
    };
    sealed.truncate(len);
    let mut changed = sealed.clone();
    changed[at % len] ^= flip;
    if flip != 0 {
        assert!(receiver.open_rtcp(&mut changed).is_err(), "byte {} of {len} was changed", at % len);
    }
    assert!(receiver.open_rtcp(&mut sealed[..at % len].to_vec()).is_err(), "cut short");
    let mut opened = sealed.clone();
    let read = receiver.open_rtcp(&mut opened).unwrap();
    assert_eq!(&opened[..read], plain);
    assert_eq!(receiver.open_rtcp(&mut sealed), Err(SrtpError::Replayed));
}
