//! What a simulation is like.

/// What a simulation is like.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulationOptions {
    /// All randomness follows from it.
    pub seed: u64,
    /// How many moves are made before everybody is brought back.
    pub moves: u64,
    /// How many people meet, 4 to 200; the first three are moderators.
    pub participants: usize,
    /// How many media workers the server has, 1 to 8.
    pub workers: u16,
    /// The share of datagrams that the network loses, 0 to 0.5.
    pub loss: f64,
    /// Whether there are intruders, impostors, stuck workers, slow readers and late commands as well.
    pub trouble: bool,
    /// For how many milliseconds workers hold packets, 0 to 20.
    pub hold_ms: u64,
    /// Whether streams begin right before their numbers wrap.
    pub wraps: bool,
    /// Whether people send nothing before they ask for a move, on networks where a third of all that is sent takes
    /// much longer than the rest: so nobody knows how late what they send first is.
    pub first_words: bool,
    /// Whether some who ask for a move ask for another media connection before they know what became of it.
    pub reconnects: bool,
    /// Whether the lines of the trace are kept for [`super::Simulation::take_trace`].
    pub trace: bool,
}

impl Default for SimulationOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            moves: 1_000,
            participants: 50,
            workers: 1,
            loss: 0.005,
            trouble: true,
            hold_ms: 0,
            wraps: false,
            first_words: false,
            reconnects: false,
            trace: false,
        }
    }
}

impl SimulationOptions {
    /// Checks the numbers; the error names the one that is out of its bounds.
    ///
    /// # Errors
    /// A text for people.
    pub fn check(&self) -> Result<(), String> {
        if !(4..=200).contains(&self.participants) {
            return Err("--participants has to be from 4 to 200".to_owned());
        }
        if !(1..=8).contains(&self.workers) {
            return Err("--workers has to be from 1 to 8".to_owned());
        }
        if !(0.0..=0.5).contains(&self.loss) {
            return Err("--loss has to be from 0 to 0.5".to_owned());
        }
        Ok(())
    }
}
