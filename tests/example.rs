//! The example of the README runs and finds nothing wrong.

#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../examples/breakout_meeting.rs"]
#[allow(dead_code, reason = "its `main` is called below")]
mod breakout_meeting;

#[test]
fn a_breakout_meeting_goes_through_the_library() {
    breakout_meeting::main().unwrap();
}
