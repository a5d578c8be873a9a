//! What reads the bytes of clients, by itself: for whoever has bytes and no connection, as fuzz targets do.

pub use super::inbound::read_request;
pub use super::websocket::{FrameReader, Incoming, Violation};
