//! The edge of the server: sockets, threads, clocks, wiring.

pub mod settings;
