//! What each fuzz target does with its bytes: feeds them to a reader and checks what has to hold, whatever
//! they are. Plain functions, for `cargo test` as for libFuzzer (`fuzz/`).

mod dtls;
mod handshake;
mod input;
mod list;
mod meeting;
mod payloads;
mod rtcp;
mod saved;
mod sdp;
mod session;
mod signalling;
mod srtp;
mod store;
pub(crate) mod token;
mod wire;

pub use list::{Target, target, targets};
pub use meeting::heard;
