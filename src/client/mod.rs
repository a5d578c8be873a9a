//! A synthetic participant: it makes an offer, connects by ICE, DTLS and SRTP, publishes marked
//! packets and judges what it receives. Pure; the load tool and the tests give it sockets.

mod first_packet;
mod ice;
mod judge;
mod mark;
mod participant;
mod reception;
mod repair;
mod report;
mod resend;
mod seal;
mod seen_window;
mod settings;
mod source;
mod tally;
mod transport;

pub use judge::{Judge, Sent, SlotClaim, Verdict, Wrong};
pub use mark::{Mark, room_tag};
pub use participant::Participant;
pub use report::{Heard, ParticipantError, ParticipantReport};
pub use settings::{ParticipantSettings, ServerKind};
pub use source::{Labels, Pattern, Place, Source, StreamStart};

// What a driver of synthetic participants needs besides, so that it need not know `transport`.
pub use crate::transport::TimeAnchor;
pub use crate::transport::dtls::DtlsIdentity as ClientIdentity;
