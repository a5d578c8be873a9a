//! Checked views and writers of what is on the wire.
//!
//! A view borrows the bytes it was made from, is checked once when it is made and allocates nothing;
//! no input can make it panic. A writer fills a slice that it is handed and answers the length.

mod bytes;
mod error;
mod rtp_header;

pub mod av1;
pub mod demux;
pub mod dependency_descriptor;
pub mod extension;
pub mod h264;
pub mod rtcp;
pub mod rtp;
pub mod sequence;
pub mod stun;
pub mod vp8;
pub mod vp9;

pub use error::WireError;
