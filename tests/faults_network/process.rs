//! A server of its own process.

use std::net::SocketAddr;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

const SETTINGS: &str = "[listen]\nhttp = [\"127.0.0.1\"]\nport = 0\nmetrics = \"127.0.0.1:0\"\n\
                        media = [\"127.0.0.1\"]\n[store]\nenabled = false\n[log]\nfilter = \"warn\"\n";

pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it says further is not read, but a closed pipe would end it.
    _greetings: BufReader<ChildStdout>,
    _folder: TempDir,
}

impl ServerProcess {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("anteroom.toml");
        std::fs::write(&file, SETTINGS).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_anteroom"))
            .args(["serve", "--config"])
            .arg(&file)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        let mut greetings = BufReader::new(child.stdout.take().unwrap());
        greetings.read_line(&mut greeting).await.unwrap();
        let address = greeting.split("http://").nth(1).map(|rest| rest.trim().trim_end_matches('/'));
        let address = address.and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{greeting}"));
        Self { child, address, _greetings: greetings, _folder: folder }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Lets it go on if it was stopped.
    pub(crate) fn go_on(&self) {
        let sent = std::process::Command::new("kill").args(["-CONT", &self.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}
