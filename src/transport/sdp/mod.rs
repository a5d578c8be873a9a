//! SDP, one offer and one answer per connection (RFC 8829, RFC 3264).
//!
//! - [`Offer::parse`] checks what a client sent against our limits and reads what we know of it.
//! - [`negotiate`] decides what both ends do: where the client sends, which slots it has.
//! - [`write_answer`] says so in SDP.
//! - [`check_restart`] admits a later offer that renews ICE and changes nothing else.
//!
//! [`OfferBuilder`] and [`ServerAnswer`] are the other end of the same exchange, for a synthetic
//! participant; [`ServerOffer`] is for one that listens to a server which makes the offer.
//!
//! Nothing is ever renegotiated: every receive m-line has an SSRC for ever, and who is heard on it
//! changes without SDP. The client's candidates are not read at all: a lite agent sends no checks,
//! so it needs no address of the client, and never resolves a `.local` name.

mod answer;
mod client_offer;
mod extensions;
mod formats;
mod limits;
mod line;
mod negotiate;
mod offer;
mod restart;
mod security;
mod server_answer;
mod server_description;
mod server_offer;
mod sources;

pub use answer::{LocalDescription, write_answer};
pub use client_offer::{ClientCandidate, Numbering, OfferBuilder, OfferedSend};
pub use limits::{MAX_LINE_BYTES, MAX_LINES, MAX_MEDIA_LINES, MAX_OFFER_BYTES, MAX_RIDS};
pub use negotiate::negotiate;
pub use offer::Offer;
pub use restart::check_restart;
pub use server_answer::{AnswerError, AnsweredSend, ServerAnswer};
pub use server_offer::{ListenerDescription, ServerOffer};

use crate::message::SdpRefusal;

/// A refusal with this text.
fn refusal(reason: impl Into<String>) -> SdpRefusal {
    SdpRefusal { reason: reason.into() }
}
