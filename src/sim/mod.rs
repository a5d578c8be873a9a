//! The simulated world: a whole server and synthetic participants in one thread, in virtual time, on a
//! network that a seed makes; and a judge of every packet.
//!
//! Pure like what it drives: time is the queue's, randomness is the seed's. What a seed does it does
//! again, but for the keys and certificates of DTLS, which draw their own randomness: so nothing here
//! depends on a datagram's bytes or exact length.

mod agreement;
mod by_id;
mod egress;
mod event;
mod hang;
mod homecoming;
mod intruder;
mod judge;
mod listening;
mod network;
mod options;
mod person;
mod placements;
mod queue;
mod register;
mod report;
mod server;
mod signalling;
mod storm;
mod story;
mod trace;
mod trouble;
mod violation;
mod world;

pub use options::SimulationOptions;
pub use report::SimulationReport;
pub use violation::{Invariant, Violation};
pub use world::{Simulation, SimulationError};
