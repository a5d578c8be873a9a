//! Plain data that crosses a boundary.
//!
//! - [`Request`], [`Frame`], [`Event`], [`Refusal`]: the client protocol (docs/protocol.md).
//! - [`ControlInput`], [`ControlOutput`]: between the edge and the control plane.
//! - [`MediaCommand`], [`MediaReport`]: between the control plane and a media worker. Control and
//!   media know each other by these alone.

mod event;
mod event_body;
mod event_data;
mod frame;
mod media;
mod method;
mod refusal;
mod room_settings;
pub mod saved;
mod signal;
mod size;

pub use event::{
    BreakoutDetails, ConnectedBreakoutRoom, DisconnectedBreakoutRoom, EndReason, Event, EventName,
    Invitation, LeaveReason, Member, ParentFlags, Person, Presentation, RejectReason, ReturnReason, RoomRef,
    SlotState, WithdrawReason,
};
pub use event_body::EventBody;
pub use frame::{AckName, Frame, Request, named_room};
pub use media::{
    Answer, Connect, GroupSettings, LossReason, MediaCommand, MediaReport, Moved, Placement, SdpRefusal,
    SlotBinding, SlotLine, SlotReason, SrtpProfile, Talker, Tracks,
};
pub use method::Method;
pub use refusal::Refusal;
pub use room_settings::{Role, RoomMode, RoomSettings};
pub use signal::{AdminReply, AdminRequest, Claims, CloseReason, ControlInput, ControlOutput, Intake};
pub use size::json_size;
