//! A Janus of the load tool's own: the Debian package's binary with a configuration for one test.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::options::LoadOptions;
use super::super::server_process::{Launch, ServerProcess};

/// What the package brings and the test has no use for.
const IDLE_PLUGINS: &str = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,\
     libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,\
     libjanus_videocall.so,libjanus_voicemail.so";
const IDLE_TRANSPORTS: &str = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,\
     libjanus_rabbitmq.so";

/// Starts it; answers the address of its WebSocket.
///
/// # Errors
/// Where it cannot be started: `janus` is not there, or the folder cannot be written.
pub(super) fn start(options: &LoadOptions, processor: Option<usize>) -> io::Result<(ServerProcess, String)> {
    let folder = std::env::temp_dir().join(format!("anteroom-load-janus-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let ip = options.interface_address;
    let port = free_port()?;
    for (name, text) in [
        ("janus.jcfg", core(options, &folder)),
        ("janus.transport.websockets.jcfg", websockets(&ip.to_string(), port)),
        ("janus.plugin.videoroom.jcfg", "general: {\n}\n".to_owned()),
    ] {
        fs::write(folder.join(name), text)?;
    }
    let mut command = Command::new("janus");
    command.arg("--configs-folder").arg(&folder).arg("--config").arg(folder.join("janus.jcfg"));
    command.arg("--disable-stdout").arg("--log-file").arg(folder.join("janus.log"));
    let launch = Launch {
        command,
        netns: options.netns.as_deref(),
        stdout: Stdio::null(),
        // With several event loops it has what it is given.
        processor: processor.filter(|_| options.event_loops == 1),
        leftovers: folder,
    };
    let process = launch.start().map_err(|error| io::Error::other(format!("janus: {error}")))?;
    Ok((process, format!("ws://{ip}:{port}")))
}

/// A port that is free now, where this process is: in another network namespace all are.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn core(options: &LoadOptions, folder: &Path) -> String {
    let installed = |what: &str| {
        installed(what).map_or(String::new(), |path| format!("\t{what}_folder = \"{}\"\n", path.display()))
    };
    let loops = match options.event_loops {
        0 => String::new(),
        loops => format!("\tevent_loops = {loops}\n"),
    };
    format!(
        "general: {{\n\tconfigs_folder = \"{}\"\n{}{}\tdebug_level = 2\n{loops}}}\n\
         nat: {{\n\tice_lite = true\n\tice_tcp = false\n\tice_enforce_list = \"{}\"\n}}\n\
         plugins: {{\n\tdisable = \"{IDLE_PLUGINS}\"\n}}\n\
         transports: {{\n\tdisable = \"{IDLE_TRANSPORTS}\"\n}}\n\
         loggers: {{\n\tdisable = \"libjanus_jsonlog.so\"\n}}\n",
        folder.display(),
        installed("plugins"),
        installed("transports"),
        options.interface_address,
    )
}

fn websockets(ip: &str, port: u16) -> String {
    format!(
        "general: {{\n\tjson = \"compact\"\n\tws = true\n\tws_port = {port}\n\tws_ip = \"{ip}\"\n\twss = false\n}}\n"
    )
}

/// Where the package has put its plugins or transports: a folder that is named after the processor.
fn installed(what: &str) -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("janus").join(what)).find(|path| path.is_dir())
}
