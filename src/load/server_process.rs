//! A server of the load tool's own, as a process beside it.

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::options::LoadOptions;

/// A server that ends with its handle.
pub(super) struct ServerProcess {
    child: Child,
    /// Its HTTP door, `host:port`.
    pub(super) http_address: String,
    config: std::path::PathBuf,
}

/// The secret of tokens, for a server that only this process talks to.
pub(super) const SECRET: &str = "the secret of a server that is there for one load test";

impl ServerProcess {
    /// Starts `anteroom serve` from the same binary, on loopback and free ports, with limits that the
    /// test cannot hit.
    ///
    /// # Errors
    /// Where it does not start; the text says what it printed.
    pub(super) fn start(options: &LoadOptions, processor: Option<usize>) -> io::Result<Self> {
        let config = std::env::temp_dir().join(format!("anteroom-load-{}.toml", std::process::id()));
        std::fs::write(&config, configuration(options))?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(processor) = processor
            && let Ok(pid) = i32::try_from(child.id())
        {
            let mut set = CpuSet::new();
            // Before it has made its threads, so that they inherit it. Works unpinned as well.
            let _ = set.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(pid), &set));
        }
        let mut greeting = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut greeting)?;
        }
        let address =
            greeting.split("http://").nth(1).map(|rest| rest.trim().trim_end_matches('/').to_owned());
        let process = Self { child, http_address: address.clone().unwrap_or_default(), config };
        match address {
            Some(_) => Ok(process),
            None => Err(io::Error::other("the server did not start; see what it printed above")),
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.config);
    }
}

fn configuration(options: &LoadOptions) -> String {
    let people = options.participants + options.publishers() + 16;
    let a_room = people.div_ceil(options.rooms) + 16;
    let (workers, talkers) = (options.workers, options.talkers.clamp(1, 16));
    format!(
        "[listen]\nhttp = [\"127.0.0.1\"]\nport = 0\nmetrics = \"127.0.0.1:0\"\nmedia = [\"127.0.0.1\"]\n\
         [http]\nmax_connections = {}\n[tokens]\nsecret = \"{SECRET}\"\n\
         [rooms]\nmax_participants = {a_room}\nmax_active_talkers = {}\n\
         [media]\nhold_ms = {}\n[node]\nworkers = {workers}\nmax_rooms = {}\n[log]\nfilter = \"warn\"\n",
        people + 64,
        talkers.max(6),
        options.hold_ms,
        options.rooms + 16,
    )
}
