//! A synthetic participant, pure.
