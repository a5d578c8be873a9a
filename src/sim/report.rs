//! What a simulation found.

use std::collections::BTreeMap;

use serde::Serialize;

use super::violation::Violation;

/// What a simulation found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SimulationReport {
    /// Whether nothing was violated, and the run came to its end.
    pub ok: bool,
    /// Placements that the media plane applied by moves.
    pub moves: u64,
    /// Packets that reached somebody who was not in the group that they were sent into.
    pub wrong_group_packets: u64,
    /// Violations of all invariants.
    pub violations: u64,
    /// Simulated seconds for each second that it took; the caller's clock says it.
    pub speedup: f64,
    /// How long the meeting was.
    pub simulated_seconds: f64,
    /// Media packets that left the server.
    pub forwarded_packets: u64,
    /// People.
    pub participants: usize,
    /// Media workers.
    pub workers: u16,
    /// The seed.
    pub seed: u64,
    /// Packets that were decrypted and judged.
    pub judged_packets: u64,
    /// Requests that were made, and those of them that were refused.
    pub requests: u64,
    /// Requests that were refused.
    pub refusals: u64,
    /// Connections that came up.
    pub connections: u64,
    /// Packets that people got without having been told whose they are: of rooms that they gave up.
    pub untold_packets: u64,
    /// Media workers that crashed.
    pub crashes: u64,
    /// Media workers that were stuck, and those of them that were fenced before they woke up.
    pub stuck: u64,
    /// Media workers that were fenced.
    pub fenced: u64,
    /// Datagrams that were forged.
    pub forged: u64,
    /// Packets that were sent again because they were asked for.
    pub repaired_packets: u64,
    /// Packets that people, at the end, had never got though later ones came; those that the network took
    /// are among them.
    pub missed_packets: u64,
    /// Packets that people, at the end, had not been able to decrypt: most of them came before the end of
    /// the handshake.
    pub undecrypted_packets: u64,
    /// Stands for everything that happened: the same for the same seed and options.
    pub trace_hash: String,
    /// Violations by invariant.
    pub by_invariant: BTreeMap<String, u64>,
    /// How often each invariant was looked at.
    pub checks: BTreeMap<String, u64>,
    /// The first violations.
    #[serde(skip)]
    pub examples: Vec<Violation>,
}
