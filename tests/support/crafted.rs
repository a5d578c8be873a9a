//! Datagrams that nobody should believe, and bodies of packets that somebody does.

use std::net::SocketAddr;

use anteroom::base::{Random, Ssrc};
use anteroom::transport::sdp::AnsweredSend;
use anteroom::wire::rtp::RtpHeader;
use anteroom::wire::stun::{Class, METHOD_BINDING, StunWriter};

pub(crate) fn noise(random: &mut Random, least: u64, most: u64) -> Vec<u8> {
    let len = least + random.below(most - least + 1);
    let mut bytes = vec![0; len as usize];
    random.fill(&mut bytes);
    bytes
}

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.below(choices.len() as u64) as usize]
}

/// A ClientHello that asks for cipher suites without a cipher, as in CVE-2023-49786's race.
pub(crate) fn client_hello(random: &mut Random) -> Vec<u8> {
    hello(random, &[0xc0, 0x06, 0xc0, 0x10, 0x00, 0x3b, 0x00, 0x02], &[])
}

/// One of DTLS 1.3: it says so in an extension (RFC 9147 section 5.3).
pub(crate) fn client_hello_13(random: &mut Random) -> Vec<u8> {
    hello(random, &[0x13, 0x01, 0x13, 0x02], &[0, 43, 0, 3, 2, 0xfe, 0xfc])
}

fn hello(random: &mut Random, suites: &[u8], more: &[u8]) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend(noise(random, 32, 32));
    body.extend([0, 0]);
    body.extend((suites.len() as u16).to_be_bytes());
    body.extend_from_slice(suites);
    body.extend([1, 0]);
    // use_srtp with AEAD_AES_128_GCM (RFC 5764 section 4.1.1).
    let mut extensions = vec![0, 14, 0, 5, 0, 2, 0, 7, 0];
    extensions.extend_from_slice(more);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    fragment(1, 0, body.len(), 0, &body)
}

/// A plaintext record with one handshake fragment.
pub(crate) fn fragment(kind: u8, number: u16, whole: usize, offset: usize, part: &[u8]) -> Vec<u8> {
    let mut body = vec![kind];
    body.extend_from_slice(&(whole as u32).to_be_bytes()[1..]);
    body.extend(number.to_be_bytes());
    body.extend_from_slice(&(offset as u32).to_be_bytes()[1..]);
    body.extend_from_slice(&(part.len() as u32).to_be_bytes()[1..]);
    body.extend_from_slice(part);
    record(22, 0, u64::from(number) << 8 | offset as u64 & 0xff, &body)
}

/// A DTLS 1.2 record.
pub(crate) fn record(kind: u8, epoch: u16, number: u64, body: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 0xfe, 0xfd];
    record.extend(epoch.to_be_bytes());
    record.extend_from_slice(&number.to_be_bytes()[2..]);
    record.extend((body.len() as u16).to_be_bytes());
    record.extend_from_slice(body);
    record
}

/// Something like DTLS 1.2: a good header around noise, or a lie about lengths.
pub(crate) fn dtls_12(random: &mut Random) -> Vec<u8> {
    match random.below(5) {
        0 => client_hello(random),
        1 => {
            let part = noise(random, 0, 60);
            let (whole, offset) = (random.below(1 << 24) as usize, random.below(1 << 24) as usize);
            fragment(random.below(25) as u8, random.below(20) as u16, whole, offset, &part)
        }
        2 => {
            let (kind, epoch) = (20 + random.below(6) as u8, random.below(3) as u16);
            record(kind, epoch, random.next_u64(), &noise(random, 0, 150))
        }
        3 => {
            let mut lie = record(22, 0, 1, &noise(random, 0, 100));
            let at = random.below(lie.len() as u64) as usize;
            lie[at] ^= 1 << random.below(8);
            lie
        }
        _ => starting_with(random, 20, 63, 0, 300),
    }
}

/// Something like DTLS 1.3: unified headers (RFC 9147 section 4), ACKs, hellos.
pub(crate) fn dtls_13(random: &mut Random) -> Vec<u8> {
    match random.below(3) {
        0 => client_hello_13(random),
        1 => record(26, 0, random.next_u64(), &noise(random, 0, 64)),
        _ => starting_with(random, 0x20, 0x3f, 1, 200),
    }
}

fn starting_with(random: &mut Random, least: u8, most: u8, shortest: u64, longest: u64) -> Vec<u8> {
    let first = least + random.below(u64::from(most - least) + 1) as u8;
    let mut bytes = vec![first];
    bytes.extend(noise(random, shortest, longest));
    bytes
}

/// Something like RTP under SRTP.
pub(crate) fn srtp(random: &mut Random, ssrc: Ssrc) -> Vec<u8> {
    let mut bytes = noise(random, 12, 300);
    bytes[0] = 0x80 | random.below(64) as u8;
    bytes[1] = one_of(random, &[0, 8, 96, 100, 101, 111, 127]) | (random.below(2) as u8) << 7;
    if random.below(2) == 0 {
        bytes[0] = 0x80;
        bytes[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
    }
    bytes
}

/// Something like a compound packet under SRTCP, with and without the bit that says so.
pub(crate) fn srtcp(random: &mut Random, ssrc: Ssrc) -> Vec<u8> {
    let mut bytes = noise(random, 8, 300);
    bytes[0] = 0x80 | random.below(64) as u8;
    bytes[1] = 192 + random.below(32) as u8;
    if random.below(2) == 0 {
        bytes[4..8].copy_from_slice(&ssrc.0.to_be_bytes());
    }
    bytes
}

/// A check as ICE makes it; without a password it bears no integrity.
pub(crate) fn check(username: &str, pwd: Option<&str>, random: &mut Random) -> Vec<u8> {
    let mut id = [0; 12];
    random.fill(&mut id);
    let mut out = [0; 512];
    let mut writer = StunWriter::new(Class::Request, METHOD_BINDING, id, &mut out).unwrap();
    writer = writer.username(username).unwrap().priority(1).unwrap();
    writer = writer.ice_controlling(7).unwrap().use_candidate().unwrap();
    if let Some(pwd) = pwd {
        writer = writer.integrity(pwd.as_bytes()).unwrap();
    }
    let len = writer.fingerprint().unwrap().finish();
    out[..len].to_vec()
}

/// Something like STUN: of other methods and classes, with attributes that lie about their length.
pub(crate) fn stun(random: &mut Random, username: &str) -> Vec<u8> {
    match random.below(4) {
        0 => check(username, None, random),
        1 => check("nobody:knows", Some("a password of nobody's"), random),
        2 => {
            let mut message = check(username, Some("a wrong password, long enough"), random);
            let at = random.below(message.len() as u64) as usize;
            message[at] ^= 1 << random.below(8);
            message
        }
        _ => {
            let mut message = noise(random, 20, 200);
            message[0] = random.below(4) as u8;
            message[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
            if random.below(2) == 0 {
                let len = (message.len() - 20) as u16;
                message[2..4].copy_from_slice(&len.to_be_bytes());
            }
            message
        }
    }
}

/// A request of TURN (RFC 8656), for each of its methods.
pub(crate) fn turn(method: u16, peer: SocketAddr, username: &str, pwd: &str) -> Vec<u8> {
    const REQUESTED_TRANSPORT: u16 = 0x0019;
    const CHANNEL_NUMBER: u16 = 0x000c;
    const XOR_PEER_ADDRESS: u16 = 0x0012;
    let mut out = [0; 512];
    let mut writer = StunWriter::new(Class::Request, method, [9; 12], &mut out).unwrap();
    writer = writer.username(username).unwrap();
    writer = writer.attribute(REQUESTED_TRANSPORT, &[17, 0, 0, 0]).unwrap();
    writer = writer.attribute(CHANNEL_NUMBER, &[0x40, 0, 0, 0]).unwrap();
    writer = writer.attribute(XOR_PEER_ADDRESS, &peer_address(peer)).unwrap();
    let len = writer.integrity(pwd.as_bytes()).unwrap().fingerprint().unwrap().finish();
    out[..len].to_vec()
}

fn peer_address(peer: SocketAddr) -> Vec<u8> {
    let cookie = [0x21, 0x12, 0xa4, 0x42];
    let mut value = vec![0, if peer.is_ipv4() { 1 } else { 2 }];
    value.extend((peer.port() ^ 0x2112).to_be_bytes());
    let key: Vec<u8> = cookie.into_iter().chain([9; 12]).collect();
    let octets = match peer.ip() {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    value.extend(octets.iter().zip(key).map(|(octet, key)| octet ^ key));
    value
}

/// A packet of an m-line, in plaintext.
pub(crate) fn media(
    line: &AnsweredSend,
    ssrc: Ssrc,
    index: u64,
    extensions: &[(u8, &[u8])],
    payload: &[u8],
) -> Vec<u8> {
    let header = RtpHeader {
        payload_type: line.codecs[0].payload_type,
        marker: true,
        sequence: (index & 0xffff) as u16,
        timestamp: (index as u32).wrapping_mul(960),
        ssrc,
    };
    let mut packet = vec![0; 1_800];
    let len = header.write(extensions, &mut packet).unwrap();
    packet.truncate(len);
    packet.extend_from_slice(payload);
    packet
}
