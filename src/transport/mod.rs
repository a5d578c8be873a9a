//! One participant's connection: ICE-lite, DTLS, SRTP/SRTCP, SDP.

mod negotiated;

pub use negotiated::{Codec, CodecLine, ExtensionIds, Fingerprint, Negotiated, SendLine, Slot};
