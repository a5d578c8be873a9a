//! The list of targets.

use super::{
    dtls, handshake, meeting, payloads, rtcp, saved, sdp, session, signalling, srtp, store, token, wire,
};

/// One fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its corpus folder and of its file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// What is done with an input.
    pub body: fn(&[u8]),
    /// Its part of the runs, in 100,000ths: cheap targets run often.
    pub share: u64,
    /// The longest input that the mutator makes.
    pub longest: usize,
    /// What a run may allocate at its peak besides 64 bytes for each of the input, in KiB.
    pub memory: usize,
}

const fn cheap(name: &'static str, body: fn(&[u8]), share: u64) -> Target {
    Target { name, body, share, longest: 512, memory: 128 }
}

const fn heavy(name: &'static str, body: fn(&[u8]), share: u64, longest: usize, memory: usize) -> Target {
    Target { name, body, share, longest, memory }
}

/// All targets. Another one is a module in this folder, a line here, a corpus, and a file in
/// `fuzz/fuzz_targets`.
const TARGETS: &[Target] = &[
    cheap("stun", wire::stun, 8_000),
    cheap("ice", wire::ice, 2_000),
    cheap("rtp", wire::rtp, 9_000),
    cheap("extensions", wire::extensions, 8_000),
    cheap("rtcp", rtcp::compound, 11_000),
    cheap("dependency_descriptor", payloads::dependency_descriptor, 6_000),
    cheap("vp8", payloads::vp8, 10_000),
    cheap("vp9", payloads::vp9, 8_000),
    cheap("h264", payloads::h264, 8_000),
    cheap("av1", payloads::av1, 7_468),
    cheap("srtp", srtp::rtp, 500),
    cheap("srtcp", srtp::rtcp, 500),
    heavy("websocket", signalling::websocket, 6_000, 1_024, 512),
    heavy("request", signalling::request, 10_000, 1_024, 256),
    heavy("saved", saved::saved, 2_000, 1_024, 256),
    heavy("token", token::token, 1_000, 1_024, 256),
    heavy("dtls_hello", dtls::hello, 300, 2_048, 512),
    heavy("dtls_established", dtls::established, 1_000, 1_024, 1_024),
    heavy("config", signalling::config, 500, 2_048, 1_024),
    heavy("session", session::session, 100, 2_048, 8_192),
    heavy("sdp_offer", sdp::offer, 400, 8_192, 1_024),
    heavy("sdp_answer", sdp::answer, 200, 8_192, 1_024),
    heavy("store", store::store, 5, 64, 8_192),
    heavy("dtls_handshake", handshake::handshake, 20, 512, 4_096),
    heavy("meeting", meeting::meeting, 7, 4_096, 65_536),
];

/// All targets.
#[must_use]
pub const fn targets() -> &'static [Target] {
    TARGETS
}

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).unwrap_or_else(|| panic!("no target `{name}`"))
}
