//! One participant's connection: ICE-lite, DTLS, SRTP/SRTCP, SDP.

mod connection;
pub mod dtls;
pub mod ice;
mod negotiated;
mod path;
pub mod sdp;
pub mod srtp;
mod time_anchor;

pub use connection::{CONNECT_TIMEOUT, Connection, ConnectionEvent, MediaError};
pub use negotiated::{Codec, CodecLine, ExtensionIds, Fingerprint, Negotiated, SendLine, Slot, h264_profile};
pub use path::Path;
pub use time_anchor::TimeAnchor;
