//! What a meeting means: rooms, roster, roles, breakout rooms, invitations, presenters, event log.
//!
//! Pure: fed with time and inputs, drained of outputs. docs/protocol.md is its contract.

pub mod settings;
mod view;

pub use view::{
    BreakoutState, InvitationView, MediaView, PlaceView, RoomView, SeatState, SeatView, SessionView, Totals,
};
