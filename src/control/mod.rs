//! What a meeting means: rooms, roster, roles, breakout rooms, invitations, presenters, event log.
//!
//! Pure: [`Control`] is fed with time and inputs and drained of outputs. docs/protocol.md is its
//! contract. One feature of a meeting is one file; requests.rs leads to each.

pub mod settings;

mod answers;
mod breakout;
mod clear_destroy;
mod connect;
mod context;
#[expect(clippy::module_inception, reason = "the folder is named after the plane, the file after its owner")]
mod control;
mod create;
mod deadline;
mod denied;
mod disconnect;
mod flags;
mod force;
mod held;
mod inspect;
mod invite;
mod join;
mod kept;
mod leave;
mod log;
mod moves;
mod params;
mod presenting;
mod publish;
mod reconnect;
mod replica;
mod reply;
mod requests;
mod roster;
mod save;
mod seat;
mod session;
mod snapshot;
mod spread;
mod tell;
mod view;

pub use control::Control;
pub use log::{Audience, LoggedEvent};
pub use replica::{EventGap, Replica};
pub use save::Misfit;
pub use settings::ControlSettings;
pub use view::{
    BreakoutState, InvitationView, MediaView, PlaceView, RoomView, SeatState, SeatView, SessionView, Totals,
};
