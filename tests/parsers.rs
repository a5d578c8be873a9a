//! Properties of every reader of foreign bytes, besides those that stand beside the readers in `src/wire`:
//! what is written reads back, and reading takes little memory, whatever the bytes are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]

#[path = "parsers/memory.rs"]
mod memory;
#[path = "fuzz/mutator.rs"]
mod mutator;
#[path = "parsers/read_back.rs"]
mod read_back;
