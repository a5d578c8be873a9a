//! A server of the load tool's own, as a process beside it.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::IpAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use super::options::LoadOptions;
use super::scenario::Scenario;

/// A process that ends with its handle.
pub(super) struct ServerProcess {
    child: Child,
    leftovers: PathBuf,
}

/// How a server is started.
pub(super) struct Launch<'a> {
    pub(super) command: Command,
    /// The network namespace that it runs in, instead of this process's.
    pub(super) netns: Option<&'a str>,
    /// Where its output goes.
    pub(super) stdout: Stdio,
    /// The processor that it stays on.
    pub(super) processor: Option<usize>,
    /// The folder that goes when the server does.
    pub(super) leftovers: PathBuf,
}

impl Launch<'_> {
    /// Starts it.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn start(self) -> io::Result<ServerProcess> {
        let Self { command, netns, stdout, processor, leftovers } = self;
        // From here on the folder goes whatever happens.
        // Its standard input ends with this process, however that ends: a server may go by that.
        // What a terminal tells this process when somebody interrupts it is not for the server.
        let mut command = within(netns, command);
        let spawned = command.process_group(0).stdin(Stdio::piped()).stdout(stdout).spawn();
        let child = spawned.inspect_err(|_| _ = fs::remove_dir_all(&leftovers))?;
        if let Some(processor) = processor
            && let Ok(pid) = i32::try_from(child.id())
        {
            let mut set = CpuSet::new();
            // Before it has made its threads, so that they inherit it. Works unpinned as well.
            let _ = set.set(processor).and_then(|()| sched_setaffinity(Pid::from_raw(pid), &set));
        }
        Ok(ServerProcess { child, leftovers })
    }
}

/// The command in a network namespace. `ip` becomes the command, and so keeps its process id.
fn within(netns: Option<&str>, command: Command) -> Command {
    let Some(netns) = netns else { return command };
    let mut wrapped = Command::new("ip");
    wrapped.args(["netns", "exec", netns]).arg(command.get_program()).args(command.get_args());
    wrapped
}

impl ServerProcess {
    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn first_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if let Some(stdout) = self.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        Ok(line)
    }
}

impl ServerProcess {
    fn remove_leftovers(&self) {
        let _ = fs::remove_dir_all(&self.leftovers);
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.remove_leftovers();
    }
}

/// The secret of tokens, for a server that only this process talks to.
pub(super) const SECRET: &str = "the secret of a server that is there for one load test";

/// A server of this binary.
pub(super) struct SpawnedServer {
    pub(super) process: ServerProcess,
    /// Its HTTP door, `host:port`.
    pub(super) http_address: String,
}

impl SpawnedServer {
    /// Starts `anteroom serve` from the same binary, on free ports, with limits that the test cannot
    /// hit.
    ///
    /// # Errors
    /// Where it does not start; the text says what it printed.
    pub(super) fn start(
        options: &LoadOptions,
        limits: &Limits,
        processor: Option<usize>,
    ) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("anteroom-load-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let config = folder.join("anteroom.toml");
        fs::write(&config, configuration(options, limits))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--until-stdin-closes").arg("--config").arg(&config);
        let netns = options.netns.as_deref();
        let mut process =
            Launch { command, netns, stdout: Stdio::piped(), processor, leftovers: folder }.start()?;
        let greeting = process.first_line()?;
        // It has read its settings, and this process may be killed before it can tidy up.
        process.remove_leftovers();
        let address = greeting.split("http://").nth(1).map(|rest| rest.trim().trim_end_matches('/'));
        match address {
            Some(address) => Ok(Self { process, http_address: address.to_owned() }),
            None => Err(io::Error::other("the server did not start; see what it printed above")),
        }
    }
}

/// The settings of a server that a test would run into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    connections: usize,
    seats_per_room: usize,
    rooms: usize,
    active_talkers: usize,
}

impl Limits {
    /// What a scenario needs, and some more.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let rooms = scenario.people.rooms.max(1);
        let people = scenario.people.participants + scenario.publishers() + scenario.newcomers_at_once();
        Self {
            // Newcomers come before the connections of those who have left are closed.
            connections: people + scenario.newcomers_at_once() + 64,
            seats_per_room: (people.div_ceil(rooms) + 32).min(MOST_SEATS),
            rooms: rooms + 16,
            active_talkers: scenario.active_talkers(),
        }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, seats_per_room, rooms, active_talkers } = self;
        write!(
            f,
            "its limits at what the test needs: max_connections {connections}, max_participants \
             {seats_per_room}, max_rooms {rooms}, max_active_talkers {active_talkers}"
        )
    }
}

/// The most that `max_participants` can be.
const MOST_SEATS: usize = 5_000;

fn configuration(options: &LoadOptions, limits: &Limits) -> String {
    let Limits { connections, seats_per_room, rooms, active_talkers } = limits;
    let LoadOptions { workers, hold_ms, seats_per_worker, .. } = options;
    let ip: IpAddr = options.interface_address;
    format!(
        "[listen]\nhttp = [\"{ip}\"]\nport = 0\nmetrics = \"127.0.0.1:0\"\nmedia = [\"{ip}\"]\n\
         [http]\nmax_connections = {connections}\n[tokens]\nsecret = \"{SECRET}\"\n\
         [rooms]\nmax_participants = {seats_per_room}\nmax_active_talkers = {active_talkers}\n\
         [media]\nhold_ms = {hold_ms}\npublisher_kbps = 10000000\n\
         [node]\nworkers = {workers}\nseats_per_worker = {seats_per_worker}\nmax_rooms = {rooms}\n\
         [store]\nenabled = false\n\
         [log]\nfilter = \"warn\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_goes_into_a_namespace_whole() {
        let mut command = Command::new("janus");
        command.args(["--config", "a b"]);
        let wrapped = within(Some("there"), command);
        let words: Vec<_> = wrapped.get_args().collect();
        assert_eq!(
            (wrapped.get_program(), words),
            (
                "ip".as_ref(),
                vec![
                    "netns".as_ref(),
                    "exec".as_ref(),
                    "there".as_ref(),
                    "janus".as_ref(),
                    "--config".as_ref(),
                    "a b".as_ref(),
                ] as Vec<&std::ffi::OsStr>
            )
        );
    }
}
