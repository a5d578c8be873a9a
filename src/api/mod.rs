//! The doors: HTTP, WebSocket, tokens, the web page.
//!
//! A door turns what comes in from outside into [`crate::message::Request`] and back. It reaches the
//! engine through a [`Doorway`], like any embedder.

#![expect(clippy::disallowed_types, reason = "links that closed are noted from any thread")]

mod admin_door;
mod doorway;
mod embedded_page;
mod inbound;
mod link;
mod origin;
mod rate;
pub mod readers;
mod refuse;
mod router;
pub mod settings;
mod socket;
mod token;
mod websocket;

pub use doorway::{DoorInput, DoorReceiver, Doorway, EngineStopped};
pub use link::{Link, LinkEnd, Outbox, OutboxFull};
pub use router::{DoorSettings, metrics_router, public_router};
pub use socket::ConnectionSeat;
pub use token::{TokenDoor, TokenRefusal};
