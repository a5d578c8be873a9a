//! RTCP: what publishers and listeners are told, and what they tell.

mod keyframes;
mod lateness;
mod nack;
mod publisher_clock;
mod reports;

pub(super) use keyframes::KeyframeRequests;
pub(super) use lateness::Late;
pub(super) use nack::Missing;
pub(super) use publisher_clock::{ClockDistance, SenderClock};
pub(super) use reports::{Reception, RoundTrip, middle_of};
