//! The words every other folder uses: ids, time, kinds of media, deadlines, rates, randomness,
//! secrets, names.
//!
//! Nothing here does I/O, and nothing here imports another folder.

mod bucket;
mod deadlines;
mod ids;
mod kind;
pub mod plant;
mod random;
mod secret;
mod text;
mod time;

pub use bucket::Bucket;
pub use deadlines::Deadlines;
pub use ids::{
    BatchId, BreakoutId, ClientId, Epoch, GroupId, LinkId, Mid, ParseIdError, ParticipantId, Ssrc, WorkerId,
};
pub use kind::{Kind, KindSet};
pub use random::Random;
pub use secret::Secret;
pub use text::{MAX_NAME, is_name, is_showable};
pub use time::Time;
