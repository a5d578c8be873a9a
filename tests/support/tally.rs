//! What a test did, for the summary that `tests/run.sh` prints.

use std::fs::OpenOptions;
use std::io::Write;
use std::thread::panicking;

/// One line of the summary. It is written when it is dropped, so that it is there only for what ran,
/// with the verdict of the test that holds it.
pub(crate) struct Tally {
    class: &'static str,
    number: String,
    count: u64,
    unit: &'static str,
    has_failed: bool,
}

impl Tally {
    /// `class` is a heading of the summary, such as "attacks"; `number` names one of it, such as "A7".
    pub(crate) fn of(class: &'static str, number: impl Into<String>) -> Self {
        Self { class, number: number.into(), count: 1, unit: "runs", has_failed: false }
    }

    /// How much was done, such as 100,000 "packets". One run, if nothing is said.
    pub(crate) fn count(&mut self, count: u64, unit: &'static str) {
        (self.count, self.unit) = (count, unit);
    }

    /// Says that it failed, where no panic within its life does.
    #[allow(dead_code, reason = "most tests panic while they hold it")]
    pub(crate) fn fail(&mut self) {
        self.has_failed = true;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let verdict = if self.has_failed || panicking() { "FAILED" } else { "ok" };
        let line = format!("{}\t{}\t{}\t{}\t{verdict}\n", self.class, self.number, self.count, self.unit);
        let Some(path) = std::env::var_os("ANTEROOM_TALLY") else { return };
        // A failed write leaves the line out, and the summary then misses it.
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}
