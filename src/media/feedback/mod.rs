//! RTCP: what publishers and listeners are told, and what they tell.

mod keyframes;
mod lateness;
mod nack;
mod reports;

pub(super) use keyframes::KeyframeRequests;
pub(super) use nack::Missing;
pub(super) use reports::{Reception, RoundTrip, SenderClock, middle_of};
