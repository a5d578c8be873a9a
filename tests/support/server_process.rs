//! A server in a process of its own, of which one can see the memory and what it writes.

use std::net::SocketAddr;
use std::process::Stdio;

use anteroom::telemetry::resident_bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::http::PATIENCE;

pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
    _out: BufReader<ChildStdout>,
    errors: JoinHandle<String>,
    /// Where it runs: its configuration, and its store where nothing is said of that.
    _folder: tempfile::TempDir,
}

impl ServerProcess {
    /// With these arguments, and with this configuration where there is one.
    pub(crate) async fn start(arguments: &[&str], config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
        command.current_dir(folder.path()).arg("serve").args(arguments);
        if !config.is_empty() {
            let file = folder.path().join("anteroom.toml");
            std::fs::write(&file, config).unwrap();
            command.arg("--config").arg(file);
        }
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let errors = tokio::spawn(read_all(child.stderr.take().unwrap()));
        let mut greeting = String::new();
        timeout(PATIENCE, out.read_line(&mut greeting)).await.expect("a greeting in time").unwrap();
        let url = greeting.trim().rsplit_once("http://").expect("a greeting").1;
        let address = url.trim_end_matches('/').replace("localhost", "127.0.0.1").parse().unwrap();
        Self { child, address, _out: out, errors, _folder: folder }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Bytes of memory that it has.
    pub(crate) fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid()).unwrap()
    }

    /// Ends it; what it has written to its standard error.
    pub(crate) async fn stop(mut self) -> String {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
        self.errors.await.unwrap()
    }
}

async fn read_all(mut errors: ChildStderr) -> String {
    let mut bytes = Vec::new();
    errors.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
