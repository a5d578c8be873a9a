//! The bodies of the targets, which `cargo test --test fuzz` runs as well.

#[path = "../../tests/fuzz/bodies/mod.rs"]
pub mod bodies;
