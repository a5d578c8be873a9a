//! The edge of the server: sockets, threads, clocks, wiring.
//!
//! - [`Engine`]: control, media workers and their sockets, without any door. An embedder opens
//!   links on it; so does the WebSocket.
//! - [`serve`]: an engine with the HTTP doors, as a configuration says.
#![expect(clippy::disallowed_methods, reason = "threads and tasks belong here")]

mod addresses;
mod control_loop;
mod engine;
mod fault;
mod gate;
mod http_listener;
mod keeper;
mod media_sender;
mod media_socket;
mod peers;
mod serve;
pub mod settings;
mod worker_counters;
mod worker_loop;
mod worker_set;

pub use crate::api::{EngineStopped, Link, LinkEnd};
pub use engine::{Engine, EngineFailed, NodeError};
pub use fault::{Fault, NoFault, Saboteur};
pub use serve::{Running, serve};
pub use worker_loop::WorkerFault;
