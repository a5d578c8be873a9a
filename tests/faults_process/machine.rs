//! A server in a process of its own, and what the system knows of it.

use std::fs;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anteroom::telemetry::resident_bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};

use crate::http::{ask, get};

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The operator's key of these servers.
pub(crate) const ADMIN_KEY: &str = "an operator's own key";

/// `anteroom serve`, which is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    stdin: ChildStdin,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) http: SocketAddr,
    pub(crate) metrics: SocketAddr,
    /// Configuration and store.
    folder: tempfile::TempDir,
}

/// What an idle server holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) files: usize,
    pub(crate) threads: usize,
}

impl Server {
    /// With these sections of the configuration, on free ports.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_by(config, Command::new(env!("CARGO_BIN_EXE_anteroom"))).await
    }

    /// The command becomes the server: `serve` and its options are added to it.
    pub(crate) async fn start_by(config: &str, command: Command) -> Self {
        Self::launch(config, command, &["127.0.0.1"]).await
    }

    /// With media on these addresses.
    pub(crate) async fn start_on(config: &str, media: &[&str]) -> Self {
        Self::launch(config, Command::new(env!("CARGO_BIN_EXE_anteroom")), media).await
    }

    async fn launch(config: &str, command: Command, media: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("anteroom.toml");
        let store = folder.path().join("store");
        let listen = "[listen]\nport = 0\nmetrics = \"127.0.0.1:0\"\nhttp = [\"127.0.0.1\"]\n";
        let text = format!(
            "{listen}media = {media:?}\n[admin]\nkey = \"{ADMIN_KEY}\"\n\
             [store]\npath = {store:?}\n{config}"
        );
        fs::write(&file, text).unwrap();
        Self::launch_in(folder, command).await
    }

    /// Another process on the configuration and the store of this one, which has to have ended.
    pub(crate) async fn start_again(self) -> Self {
        Self::launch_in(self.folder, Command::new(env!("CARGO_BIN_EXE_anteroom"))).await
    }

    async fn launch_in(folder: tempfile::TempDir, mut command: Command) -> Self {
        let mut child = command
            .args(["serve", "--faults-from-stdin", "--config"])
            .arg(folder.path().join("anteroom.toml"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        follow(child.stderr.take().unwrap(), Arc::clone(&log));
        let mut greeting = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        timeout(PATIENCE, out.read_line(&mut greeting)).await.expect("a greeting").unwrap();
        let http = greeting.trim().rsplit_once("http://");
        let http = http.unwrap_or_else(|| panic!("no address: {greeting:?} {:?}", log.lock())).1;
        let http = http.trim_end_matches('/').parse().unwrap();
        // It says more; that nobody listens would be an error to it.
        follow(out, Arc::default());
        let metrics = within("the metrics' address", || address_in(&log.lock())).await;
        let stdin = child.stdin.take().unwrap();
        Self { child, stdin, log, http, metrics, folder }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it is running")
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Makes a part of it fail.
    pub(crate) async fn fault(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().clone()
    }

    pub(crate) fn logged(&self, text: &str) -> usize {
        self.log().iter().filter(|line| line.contains(text)).count()
    }

    /// The sum over all labels of a metric that are named so far.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        sum_of(&get(self.metrics, "/metrics").await.body, name)
    }

    pub(crate) fn holdings(&self) -> Holdings {
        let count = |what| fs::read_dir(format!("/proc/{}/{what}", self.pid())).unwrap().count();
        Holdings { files: count("fd"), threads: count("task") }
    }

    /// How many of its threads have a name.
    pub(crate) fn threads_named(&self, name: &str) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let named = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        named.filter(|found| found.trim_end() == name).count()
    }

    /// Processor time used so far, of user and system.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let ticks = after_name.split_whitespace().skip(11).take(2).map(|word| word.parse::<u64>().unwrap());
        // Linux tells these in hundredths of a second.
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// Processor time that it uses in a time.
    pub(crate) async fn cpu_over(&self, time: Duration) -> Duration {
        let before = self.cpu();
        sleep(time).await;
        self.cpu() - before
    }

    pub(crate) fn resident_kib(&self) -> u64 {
        resident_bytes(self.pid()).unwrap() / 1_024
    }

    /// Ends all rooms, as an operator.
    pub(crate) async fn end_rooms(&self) {
        let headers = format!("Authorization: Bearer {ADMIN_KEY}\r\n");
        let rooms = ask(self.http, "GET /v1/rooms", &headers, "").await.json();
        for room in rooms["rooms"].as_array().unwrap() {
            let path = format!("DELETE /v1/rooms/{}", room["name"].as_str().unwrap());
            // One that has ended meanwhile is as good.
            ask(self.http, &path, &headers, "").await;
        }
    }

    /// Waits until nobody is left and it holds what it held.
    pub(crate) async fn is_as_before(&self, before: Holdings) {
        self.end_rooms().await;
        for name in ["anteroom_rooms", "anteroom_participants", "anteroom_links"] {
            eventually(name, async || self.metric(name).await == 0.0).await;
        }
        eventually("no more files and threads than before", async || {
            let now = self.holdings();
            // Its runtime starts threads for what blocks and ends them when it pleases.
            now.files <= before.files && now.threads <= before.threads + 1
        })
        .await;
    }
}

fn follow(output: impl AsyncRead + Unpin + Send + 'static, log: Arc<Mutex<Vec<String>>>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.lock().push(line);
        }
    });
}

fn address_in(log: &[String]) -> Option<SocketAddr> {
    let line = log.iter().find(|line| line.contains("metrics listens"))?;
    line.rsplit_once("address=")?.1.trim().parse().ok()
}

/// The sum over all labels of a metric in the text of a scrape.
pub(crate) fn sum_of(text: &str, name: &str) -> f64 {
    let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    text.lines().filter(is_it).map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until something is there.
pub(crate) async fn within<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
