//! Single packets, as a browser sends them.

#![allow(dead_code, reason = "no bench uses all of it")]

use anteroom::base::Ssrc;
use anteroom::wire::rtp::RtpHeader;

/// The extension id of the audio level in [`dressed`].
pub(crate) const AUDIO_LEVEL: u8 = 1;

/// A VP8 payload descriptor with a picture id and the header of a keyframe.
pub(crate) const VP8_KEYFRAME: [u8; 15] =
    [0x90, 0xc0, 0x80, 0x01, 0x01, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01];

fn header(index: u64) -> RtpHeader {
    let sequence = u16::try_from(index & 0xffff).unwrap();
    RtpHeader { payload_type: 111, marker: false, sequence, timestamp: 960, ssrc: Ssrc(1) }
}

/// A packet of `len` bytes with nothing but a fixed header, and room for `room` bytes behind.
pub(crate) fn plain(len: usize, room: usize, index: u64) -> Vec<u8> {
    let mut packet = vec![0x5a; len + room];
    header(index).write(&[], &mut packet).unwrap();
    packet
}

/// A packet of `len` bytes with the extensions that browsers send with speech.
pub(crate) fn dressed(len: usize) -> Vec<u8> {
    let mut packet = vec![0x5a; len];
    let extensions: [(u8, &[u8]); 4] = [(4, b"0"), (AUDIO_LEVEL, &[0x94]), (2, &[1, 2, 3]), (3, &[0, 7])];
    header(7).write(&extensions, &mut packet).unwrap();
    packet
}
