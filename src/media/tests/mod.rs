//! The worker as a whole, over plaintext legs and in virtual time.

mod congestion;
mod feedback;
mod flags;
mod groups;
mod held;
mod isolation;
mod pair;
mod runs;
mod video;
mod world;
