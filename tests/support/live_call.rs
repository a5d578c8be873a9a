//! A meeting of synthetic people beside whatever a test does to the server, whose packets are judged.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::echo::Echo;
use crate::tally::Tally;

/// A meeting in a process of its own: what a test does does not slow its people down.
pub(crate) struct LiveCall {
    child: Child,
    echo: Echo,
    length: Duration,
}

/// What its people met with.
#[derive(Debug)]
pub(crate) struct CallReport(pub(crate) Value);

impl LiveCall {
    /// Six people, three of them talking at 50 packets a second. The server hands out development
    /// tokens. Its people connect first; the call then lasts so long.
    pub(crate) fn start(http: SocketAddr, length: Duration) -> Self {
        Self::start_with(http, length, &["--profile", "audio", "--participants", "6", "--talkers", "3"])
    }

    /// A run of `anteroom load` of one's own.
    pub(crate) fn start_with(http: SocketAddr, length: Duration, arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_anteroom"))
            .args(["load", "--json", "--server", &http.to_string()])
            .args(["--seconds", &length.as_secs().to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child, echo: Echo::start(), length }
    }

    /// Whether it is still going on: an attack that outlives the call has shown nothing.
    pub(crate) fn is_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> CallReport {
        let output = self.child.wait_with_output().await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let line = printed.lines().last().unwrap_or_else(|| panic!("{said}"));
        let mut report: Value = serde_json::from_str(line).unwrap();
        report["echo_us"] = self.echo.end(self.length);
        CallReport(report)
    }
}

impl CallReport {
    pub(crate) fn count(&self, key: &str) -> u64 {
        self.0[key].as_u64().unwrap_or_else(|| panic!("no count `{key}` in {}", self.0))
    }

    pub(crate) fn p99_us(&self) -> u64 {
        self.0["latency_us"]["p99"].as_u64().unwrap()
    }

    /// Half of the packets came at most 5 ms later than those of an echo without a server, and of a hundred all
    /// but one at most 20 ms later than five times the longest that the echo took meanwhile and what threads have
    /// waited for a processor: that is the machine's doing, and one such wait makes a percentile.
    fn assert_in_time(&self) {
        let of = |whose: &str, which: &str| self.0[whose][which].as_u64().unwrap();
        let median = of("echo_us", "p50") + 5_000;
        assert!(of("latency_us", "p50") <= median, "late: {}", self.0);
        let most = 5 * of("echo_us", "max") + of("echo_us", "waited") + 20_000;
        assert!(self.p99_us() <= most, "late: {}", self.0);
    }

    /// Nobody was thrown out, nobody heard what is not theirs, at most one packet in a thousand was lost, and
    /// what came came in time (I2, I16).
    pub(crate) fn assert_undisturbed(&self) {
        let mut tally = Tally::of("invariants", "I16");
        if self.count("wrong_group") > 0 {
            Tally::of("invariants", "I2").fail();
            panic!("packets in the wrong room: {}", self.0);
        }
        assert_eq!(self.count("cut_short"), 0, "thrown out: {}", self.0);
        assert_eq!((self.count("duplicated"), self.count("decrypt_failures")), (0, 0), "{}", self.0);
        let (received, lost) = (self.count("received"), self.count("lost"));
        assert!(received > 0 && lost * 1000 <= received, "lost {lost} of {received}: {}", self.0);
        self.assert_in_time();
        tally.count(received, "packets beside");
    }
}
