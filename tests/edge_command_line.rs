//! The command line: what is printed, refused, logged, and how a stop ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may fail loudly"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const SECRET: &str = "planted-secret-planted-secret-32";

fn anteroom(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anteroom")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn file(content: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    file
}

/// Starts a server and answers its address once it is open.
fn serve(arguments: &[&str]) -> (Child, BufReader<std::process::ChildStdout>, String) {
    serve_logging(arguments, Stdio::piped())
}

fn serve_logging(arguments: &[&str], log: Stdio) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
    greeted(command.arg("serve").args(arguments).stdout(Stdio::piped()).stderr(log))
}

/// Starts a server and waits until it says where it is.
fn greeted(command: &mut Command) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut server = command.spawn().unwrap();
    let mut out = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let address = line.trim().rsplit_once("http://").unwrap().1.trim_end_matches('/').to_owned();
    (server, out, address)
}

fn ask(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Sends SIGTERM and answers the exit status and what was logged.
fn terminate(server: Child) -> (Option<i32>, String) {
    end_by("TERM", server)
}

fn end_by(signal: &str, mut server: Child) -> (Option<i32>, String) {
    let id = server.id().to_string();
    assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    let status = server.wait().unwrap();
    let mut log = String::new();
    if let Some(mut stderr) = server.stderr.take() {
        stderr.read_to_string(&mut log).unwrap();
    }
    (status.code(), log)
}

#[test]
fn a_configuration_is_checked() {
    let deployed = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/anteroom.toml");
    let good = anteroom(&["check-config", deployed]);
    assert_eq!((good.status.code(), text(&good.stdout)), (Some(0), "ok\n"));
    let slip = file("[listen]\nprot = 1\n");
    let bad = anteroom(&["check-config", slip.path().to_str().unwrap()]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("line 2: unknown setting `prot` in [listen]; did you mean `port`?"));
    assert_eq!(anteroom(&["check-config", "/no/such/file"]).status.code(), Some(1));
}

#[test]
fn a_server_without_a_secret_refuses_to_be_open_to_others() {
    for key in ["http", "media"] {
        let open = file(&format!("[listen]\n{key} = [\"0.0.0.0\"]\n"));
        let refused = anteroom(&["serve", "--config", open.path().to_str().unwrap()]);
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused.stderr);
        assert!(said.contains("line 2") && said.contains("`secret` in [tokens]"), "{said}");
    }
}

#[test]
fn a_level_of_the_log_that_is_misspelt_is_refused() {
    let slip = file("[log]\nfilter = \"inof\"\n");
    let config = ["check-config", slip.path().to_str().unwrap()];
    for arguments in [&["serve", "--port", "0", "--log", "inof"][..], &config[..]] {
        let refused = anteroom(arguments);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).contains("`inof` is no level"), "{}", text(&refused.stderr));
    }
}

#[test]
fn a_server_without_files_for_anybody_does_not_start() {
    let config = file(
        "[listen]\nport = 0\nmetrics = \"127.0.0.1:0\"\n[node]\nworkers = 1\n[store]\nenabled = false\n",
    );
    let few = "ulimit -n 100; exec \"$0\" serve --config \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", few, env!("CARGO_BIN_EXE_anteroom")]).arg(config.path());
    let refused = shell.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("raise LimitNOFILE"), "{}", text(&refused.stderr));
}

#[test]
fn help_names_every_command() {
    let help = anteroom(&["--help"]);
    for command in ["serve", "check-config", "demo"] {
        assert!(text(&help.stdout).contains(command));
    }
    assert!(text(&anteroom(&["--version"]).stdout).starts_with("anteroom "));
}

#[test]
fn a_server_tells_where_it_is_logs_no_token_and_stops_when_asked() {
    let (server, mut out, address) = serve(&["--port", "0", "--log", "trace"]);
    let answer = ask(&address, "/dev/token?room=planted-room&name=planted-name&role=moderator");
    let token = answer.rsplit('"').nth(1).unwrap().to_owned();
    assert!(token.split('.').count() == 3, "{answer}");
    assert!(ask(&address, &format!("/v1/ws?token={token}")).starts_with("HTTP/1.1 4"));
    assert!(ask(&address, "/v1/ws?token=a-wrong-token").starts_with("HTTP/1.1 401"));
    let mut rest = String::new();
    let (code, log) = terminate(server);
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(rest.contains("No token secret is configured"), "{rest}");
    assert!(log.contains(&address), "{log}");
    for planted in [&token[..], "a-wrong-token", "planted"] {
        assert!(!log.contains(planted), "{planted} in {log}");
    }
}

#[test]
fn a_terminal_that_is_closed_stops_a_server_that_nobody_keeps() {
    let (server, _out, _) = serve(&["--port", "0"]);
    assert_eq!(end_by("HUP", server).0, Some(0));
    let mut kept = Command::new("nohup");
    kept.arg(env!("CARGO_BIN_EXE_anteroom")).args(["serve", "--port", "0"]).stdout(Stdio::piped());
    let (server, _out, address) = greeted(kept.stdin(Stdio::null()).stderr(Stdio::null()));
    let hung_up = Command::new("kill").args(["-s", "HUP", &server.id().to_string()]).status();
    assert!(hung_up.unwrap().success());
    assert!(ask(&address, "/livez").starts_with("HTTP/1.1 200"));
    // Not only that it has not come to it yet: nothing is called for the first of all signals.
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    assert_eq!(u64::from_str_radix(caught.trim(), 16).unwrap() & 1, 0, "{caught}");
    assert_eq!(terminate(server).0, Some(0));
}

/// Whoever should read is there and does not: neither the door nor the end waits for it, and it is told afterwards.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let (mut server, _out, address) = serve(&["--port", "0", "--log", "debug"]);
    let refuse = || assert!(ask(&address, "/v1/ws?token=bad").starts_with("HTTP/1.1 401"));
    // A pipe holds 64 KiB, and a line is longer than 64 bytes.
    (0..1_100).for_each(|_| refuse());
    assert!(ask(&address, "/livez").starts_with("HTTP/1.1 200"));
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    for _ in 0..200 {
        log.read_line(&mut line).unwrap();
    }
    refuse();
    assert_eq!(terminate(server).0, Some(0));
    log.read_to_string(&mut line).unwrap();
    assert!(line.contains(" log lines were dropped: standard error was full"), "{line}");
    assert!(line.contains("stopping"), "{line}");
}

#[test]
fn a_log_and_a_greeting_that_nobody_can_write_stop_nothing() {
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let (server, _out, address) = serve_logging(&["--port", "0", "--log", "trace"], full());
    assert!(ask(&address, "/livez").starts_with("HTTP/1.1 200"));
    let token = ask(&address, "/dev/token?room=daily&name=Mia&role=moderator");
    let token = token.rsplit_once("token\":\"").unwrap().1.split('"').next().unwrap();
    // Control takes this link, and closes it at the end.
    let mut link = TcpStream::connect(&address).unwrap();
    write!(
        link,
        "GET /v1/ws?token={token} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    .unwrap();
    let mut line = String::new();
    BufReader::new(&link).read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 101"), "{line}");
    assert_eq!(terminate(server).0, Some(0));
    let mut greeted = Command::new(env!("CARGO_BIN_EXE_anteroom"))
        .args(["serve", "--port", "0", "--log", "info"])
        .stdout(full())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(greeted.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = log.find_map(|line| Some(line.split_once("http listens address=")?.1.to_owned()));
    assert!(ask(&address.unwrap(), "/livez").starts_with("HTTP/1.1 200"));
    assert_eq!(terminate(greeted).0, Some(0));
}

#[test]
fn secrets_of_the_configuration_stay_out_of_the_logs() {
    let toml = format!(
        "[listen]\nport = 0\nmetrics = \"127.0.0.1:0\"\n[tokens]\nsecret = \"{SECRET}\"\n\
         [store]\nenabled = false\n\
         [admin]\nkey = \"planted-admin-key\"\n[log]\nfilter = \"trace\"\n"
    );
    let config = file(&toml);
    let (server, _out, address) = serve(&["--config", config.path().to_str().unwrap()]);
    assert!(ask(&address, "/dev/token?room=a&name=b").starts_with("HTTP/1.1 404"));
    assert!(ask(&address, "/v1/rooms").starts_with("HTTP/1.1 403"));
    let (code, log) = terminate(server);
    assert_eq!(code, Some(0));
    assert!(!log.contains("planted"), "{log}");
}

#[test]
fn a_taken_port_is_named() {
    let (server, _out, address) = serve(&["--port", "0"]);
    let port = address.rsplit(':').next().unwrap().to_owned();
    let second = anteroom(&["serve", "--port", &port]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains(&address), "{}", text(&second.stderr));
    assert_eq!(terminate(server).0, Some(0));
}
