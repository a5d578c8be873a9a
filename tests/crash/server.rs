//! A server in a process of its own, that can be killed, and its store.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const SECRET: &str = "a secret of these tests, long enough";
const ADMIN_KEY: &str = "a key of these tests";

/// The release binary, where `tests/run.sh` names one. Without it servers are of the tests' own build, which is
/// slower.
pub(crate) fn released() -> Option<OsString> {
    std::env::var_os("ANTEROOM_RELEASE")
}

/// The folder of a server: its configuration, its store, its log.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    secret: &'static str,
    extra: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// With more settings of `[store]`.
    pub(crate) fn with(extra: &str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), secret: SECRET, extra: extra.to_owned() }
    }

    /// Of a server that hands out tokens itself.
    pub(crate) fn of_developer() -> Self {
        Self { secret: "", ..Self::new() }
    }

    /// Where the store is. Its name is no plain one.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("Räume ✓.store")
    }

    pub(crate) fn config(&self) -> PathBuf {
        let path = self.folder.path().join("anteroom.toml");
        let store = self.store();
        let text = format!(
            "[listen]\nhttp = [\"127.0.0.1\"]\nport = 0\nmetrics = \"127.0.0.1:0\"\nmedia = [\"127.0.0.1\"]\n\
             [tokens]\nsecret = \"{}\"\n[admin]\nkey = \"{ADMIN_KEY}\"\n\
             [rooms]\nmax_participants = 400\n[log]\ncolor = \"never\"\n\
             [store]\npath = {store:?}\n{}\n",
            self.secret, self.extra
        );
        fs::write(&path, text).unwrap();
        path
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What all servers of this home have said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The folders beside the store that were set aside.
    pub(crate) fn set_aside(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(released().unwrap_or_else(|| env!("CARGO_BIN_EXE_anteroom").into()));
        command.arg("serve").arg("--config").arg(self.config());
        command
    }

    pub(crate) fn start(&self) -> Server {
        self.start_by(self.command())
    }

    pub(crate) fn start_by(&self, mut command: Command) -> Server {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).unwrap();
        let began = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let ready = began.elapsed();
        let address = line.trim().rsplit_once("http://").map(|(_, rest)| rest.trim_end_matches('/'));
        let Some(address) = address else { panic!("the server did not start: {}", self.said()) };
        Server { child, http: address.parse().unwrap(), ready, _out: out }
    }

    /// Starts a server that must not start; answers its exit code and what it said.
    pub(crate) fn start_refused(&self) -> (Option<i32>, String) {
        let output = self.command().output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    /// From the start of the process until its door was open.
    pub(crate) ready: Duration,
    /// It has more to say, and ends where nobody listens.
    _out: BufReader<ChildStdout>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.pid().to_string()).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    /// Asks something as an operator; answers status and body.
    pub(crate) fn admin(&self, line: &str, body: &str) -> (u16, String) {
        ask(self.http, line, &format!("Authorization: Bearer {ADMIN_KEY}\r\n"), body)
    }

    pub(crate) fn is_ready(&self) -> bool {
        ask(self.http, "GET /readyz", "", "").0 == 200
    }

    pub(crate) fn rooms(&self) -> Vec<String> {
        let (status, body) = self.admin("GET /v1/rooms", "");
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let name = |room: &Value| room["name"].as_str().unwrap().to_owned();
        body["rooms"].as_array().unwrap().iter().map(name).collect()
    }
}

pub(crate) fn ask(address: SocketAddr, line: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub(crate) fn token(room: &str, name: &str, role: &str) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = json!({"room": room, "name": name, "role": role, "exp": now + 3_000});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
}

/// Copies a folder of files.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
