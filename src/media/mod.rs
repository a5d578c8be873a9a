//! One media worker: groups, slots, fan-out.
//!
//! A packet's way: `Worker::handle_datagram` (worker.rs) -> `handle_rtp` and `forward` (ingress.rs)
//! -> the stream's ring (ring.rs) and its listeners' queues (outbox.rs) -> `poll_transmit` ->
//! `next_run` (fan_out.rs), which places it (rewrite/mapping.rs), writes it (rewrite/packet.rs) and
//! seals it. A move's way: `move_batch` -> `revoke` -> `grant` (moves.rs) -> `refresh` (bindings.rs).

mod bindings;
mod commands;
mod congestion;
mod connect;
mod demux;
mod fan_out;
mod feedback;
mod group;
mod handover;
mod handshakes;
mod ingress;
mod intake;
mod leg;
mod mirror;
mod moves;
mod outbox;
mod overload;
mod pace;
mod participant;
mod rewrite;
mod ring;
mod rtcp_in;
mod rtcp_out;
mod session;
pub mod settings;
mod silence;
mod slab;
mod slot;
mod source;
mod statistics;
mod stream;
mod talkers;
#[cfg(test)]
mod tests;
mod timers;
mod video_choice;
mod wheel;
mod worker;

pub use handover::Handover;
pub use statistics::{DropReason, Drops, WorkerStatistics};
pub use worker::{Transmit, Worker, WorkerError, WorkerSettings};
