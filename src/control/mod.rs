//! What a meeting means.
