//! A meeting of synthetic people beside whatever a test does to the server, whose packets are judged.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::echo::Echo;
use crate::tally::Tally;

/// A meeting in a process of its own: what a test does does not slow its people down.
pub(crate) struct LiveCall {
    child: Child,
    /// What it says of how it goes.
    progress: JoinHandle<String>,
    echo: Echo,
    /// For how long it is judged, at least where somebody hangs up.
    length: Duration,
    /// Since when it is judged, once it is.
    judged: watch::Receiver<Option<Instant>>,
}

/// What its people met with.
#[derive(Debug)]
pub(crate) struct CallReport(pub(crate) Value);

impl LiveCall {
    /// Longer than anything that goes on beside one.
    const OPEN_END: Duration = Duration::from_secs(3_000);
    /// Six people, three of them talking at 50 packets a second.
    const SIX: [&str; 6] = ["--profile", "audio", "--participants", "6", "--talkers", "3"];

    /// A call of six. The server hands out development tokens. Its people connect first; the call then lasts so
    /// long.
    pub(crate) fn start(http: SocketAddr, length: Duration) -> Self {
        Self::start_with(http, length, &Self::SIX)
    }

    /// The same until one hangs up, judged for at least so long.
    pub(crate) fn open(http: SocketAddr, least: Duration) -> Self {
        Self::open_with(http, least, &Self::SIX)
    }

    /// A run of `anteroom load` of one's own, until one hangs up.
    pub(crate) fn open_with(http: SocketAddr, least: Duration, arguments: &[&str]) -> Self {
        Self { length: least, ..Self::start_with(http, Self::OPEN_END, arguments) }
    }

    /// A run of `anteroom load` of one's own.
    pub(crate) fn start_with(http: SocketAddr, length: Duration, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_anteroom"))
            .args(["load", "--json", "--server", &http.to_string()])
            .args(["--seconds", &length.as_secs().to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (tell, judged) = watch::channel(None);
        let progress = tokio::spawn(follow(child.stderr.take().unwrap(), tell));
        Self { child, progress, echo: Echo::start(), length, judged }
    }

    /// Whether it is still going on: an attack that outlives the call has shown nothing.
    pub(crate) fn is_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns once its people are there and have warmed up, and it is judged.
    pub(crate) async fn is_judged(&mut self) -> Instant {
        let judged = self.judged.wait_for(Option::is_some).await.ok().and_then(|since| *since);
        match judged {
            Some(since) => since,
            None => panic!("the call ended before it began: {}", (&mut self.progress).await.unwrap()),
        }
    }

    /// Ends it, now that what went on beside it is over.
    pub(crate) async fn hang_up(mut self) -> CallReport {
        let judged = self.is_judged().await;
        sleep_until(judged + self.length).await;
        self.length = judged.elapsed();
        let pid = self.child.id().expect("the call is on").to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().await.unwrap().success());
        self.end().await
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> CallReport {
        let output = self.child.wait_with_output().await.unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let said = self.progress.await.unwrap();
        let line = printed.lines().last().unwrap_or_else(|| panic!("{said}"));
        let mut report: Value = serde_json::from_str(line).unwrap();
        report["echo_us"] = self.echo.end(self.length);
        CallReport(report)
    }
}

/// Reads what a call says, and tells when it says that it is judged.
async fn follow(errors: ChildStderr, tell: watch::Sender<Option<Instant>>) -> String {
    let (mut lines, mut said) = (BufReader::new(errors), String::new());
    while lines.read_line(&mut said).await.unwrap() > 0 {
        if tell.borrow().is_none() && said.contains("measuring for") {
            tell.send_replace(Some(Instant::now()));
        }
    }
    said
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
