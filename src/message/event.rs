//! The events of the client protocol.

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {}
