//! SRTP as a whole: the vectors of the RFCs, another implementation, and hostile packets.

mod differential;
mod hostile;
mod vectors;

use super::*;
use crate::message::SrtpProfile;

const PROFILES: [SrtpProfile; 2] = [SrtpProfile::AeadAes128Gcm, SrtpProfile::AesCm128HmacSha1_80];

/// Bytes from hexadecimal digits; white space is ignored.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn master(profile: SrtpProfile) -> (Vec<u8>, Vec<u8>) {
    let salt = hex("0ec675ad498afeebb6960b3aabe6");
    let salt_len = if profile == SrtpProfile::AeadAes128Gcm { 12 } else { 14 };
    (hex("e1f97a0d3e018be0d64fa32c06de4139"), salt[..salt_len].to_vec())
}

/// A sender and the receiver that shares its key.
fn pair(profile: SrtpProfile) -> (Outbound, Inbound) {
    let (key, salt) = master(profile);
    (Outbound::new(profile, &key, &salt).unwrap(), Inbound::new(profile, &key, &salt).unwrap())
}

/// An RTP packet: plain header, `payload` bytes.
fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A receiver report without blocks.
fn receiver_report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet
}

fn seal_rtp(sender: &mut Outbound, packet: &[u8], index: u64) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + OVERHEAD_RTP, 0);
    let len = sender.seal_rtp(&mut buffer, packet.len(), index).unwrap();
    buffer.truncate(len);
    buffer
}

fn seal_rtcp(sender: &mut Outbound, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + OVERHEAD_RTCP, 0);
    let len = sender.seal_rtcp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(len);
    buffer
}
