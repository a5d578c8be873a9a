//! The command line.

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anteroom::config::Config;
use anteroom::load::{self, DemoOptions, LoadOptions};
use anteroom::node::{Saboteur, serve};
use anteroom::telemetry::set_up_logs;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// A participant's join takes ten times what the participant then takes. The system's allocator keeps
/// that, in pieces between what stays; this one gives it back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(feature = "sim")]
mod simulate;

/// A WebRTC SFU whose rooms split and rejoin: moving between rooms is one message, not a reconnect.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server. Without a configuration it listens on loopback only and lets everybody on
    /// this machine in.
    Serve(ServeArguments),
    /// Say `ok`, or the line of a configuration file at which something is wrong, and what.
    CheckConfig {
        /// The file, in TOML; deploy/anteroom.toml shows every setting.
        file: PathBuf,
    },
    /// Play a meeting with synthetic participants on a server of its own, and say whether everybody
    /// heard their own room and nobody another.
    Demo(DemoArguments),
    /// Put synthetic participants on a server, and say what reached them, how late, and what it cost
    /// the server beside a raw sender.
    Load(Box<LoadOptions>),
    /// The raw sender of a load run in another network namespace: a job as JSON in, the cost out.
    #[command(hide = true)]
    RawSender,
    /// Run a whole server with people around it in virtual time, on a network that a seed makes, and
    /// judge every packet.
    #[cfg(feature = "sim")]
    Simulate(simulate::SimulateArguments),
}

#[derive(Args)]
struct DemoArguments {
    /// How many people meet, 4 to 200; the first is the moderator.
    #[arg(long, value_name = "N", default_value_t = 12)]
    participants: usize,
    /// How many breakout rooms there are at once, 1 to 10.
    #[arg(long, value_name = "N", default_value_t = 3)]
    breakouts: usize,
    /// How long the meeting goes on, 1 to 3600; a round that has begun is finished.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// Print the outcome as one JSON object, in the last line.
    #[arg(long)]
    json: bool,
    /// Go on serving afterwards, so that you can hold a meeting of your own.
    #[arg(long)]
    keep: bool,
    /// The HTTP port. A free one by default; 8080 with --keep.
    #[arg(long)]
    port: Option<u16>,
}

#[derive(Args)]
struct ServeArguments {
    /// The configuration file, in TOML; deploy/anteroom.toml shows every setting.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The HTTP port, instead of the configured one (8080). 0 takes a free one; without a
    /// configuration file it does so for metrics, too, and keeps nothing for after a crash.
    #[arg(long)]
    port: Option<u16>,
    /// What is logged, instead of what is configured: `error`, `warn`, `info`, `debug`, `trace`, or
    /// with targets, such as `info,anteroom::node=debug`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Stops when its standard input ends, as it does with whoever started it.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    /// Each line of its standard input names something that is to fail, for tests.
    #[arg(long, hide = true, conflicts_with = "until_stdin_closes")]
    faults_from_stdin: bool,
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Serve(arguments) => run_server(&arguments).map(|()| true),
        Command::CheckConfig { file } => check_config(&file).map(|()| true),
        Command::Demo(arguments) => run_demo(&arguments),
        Command::Load(options) => run_load(&options),
        Command::RawSender => run_raw_sender().map(|()| true),
        #[cfg(feature = "sim")]
        Command::Simulate(arguments) => simulate::run(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            // Without a standard error there is nobody to tell.
            let _ = writeln!(io::stderr(), "anteroom: {message}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(file: &Path) -> Result<(), String> {
    read_config(file)?;
    say("ok")
}

fn read_config(file: &Path) -> Result<Config, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Config::from_toml(&text).map_err(|error| format!("{}: {error}", file.display()))
}

fn settings(arguments: &ServeArguments) -> Result<Config, String> {
    let mut config = match &arguments.config {
        Some(file) => read_config(file)?,
        None => Config::default(),
    };
    if let Some(port) = arguments.port {
        config.listen.port = port;
        if port == 0 && arguments.config.is_none() {
            config.listen.metrics.set_port(0);
            // Nobody would find the rooms again.
            config.store.enabled = false;
        }
    }
    if let Some(filter) = &arguments.log {
        config.log.filter.clone_from(filter);
    }
    config.check().map_err(|error| error.to_string())?;
    Ok(config)
}

fn run_server(arguments: &ServeArguments) -> Result<(), String> {
    let config = settings(arguments)?;
    set_up_logs(&config.log).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let done = runtime.block_on(async {
        // Listened for before the server is up, so that none is missed.
        let signal = stop_signal()?;
        outlive_file_size_limit()?;
        let orphaned = arguments.until_stdin_closes.then(stdin_end).transpose()?;
        let running = serve(&config).await.map_err(|error| error.to_string())?;
        if arguments.faults_from_stdin {
            take_faults(running.engine().saboteur())?;
        }
        greet(&running);
        let stop = async {
            match orphaned {
                Some(orphaned) => tokio::select! {
                    () = signal => {}
                    _ = orphaned => {}
                },
                None => signal.await,
            }
        };
        running.run_until(stop).await.map_err(|error| error.to_string())
    });
    // Dropped, it would wait for threads that hang.
    runtime.shutdown_background();
    done
}

/// Waits for SIGTERM, SIGINT or SIGHUP; they are noticed from this call on.
fn stop_signal() -> Result<impl Future<Output = ()>, String> {
    stop_signals(1)
}

/// Waits until so many of them have come.
fn stop_signals(count: usize) -> Result<impl Future<Output = ()>, String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    // A terminal that is closed ends what was started in it, but not what `nohup` has started.
    let hangup = (!ignores_hangup()).then(|| signal(SignalKind::hangup())).transpose();
    let mut hangup = hangup.map_err(|error| error.to_string())?;
    Ok(async move {
        for _ in 0..count {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hung_up => {}
            }
        }
    })
}

/// Whether whoever started this process has it ignore SIGHUP (proc(5), `SigIgn`).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 != 0)
}

/// What is written beyond the limit of a file's size fails, as on a full disk, instead of ending the process.
fn outlive_file_size_limit() -> Result<(), String> {
    // It stays caught from now on.
    signal(SignalKind::from_raw(nix::libc::SIGXFSZ)).map(drop).map_err(|error| error.to_string())
}

/// Told when standard input ends. The runtime's own reader of it would hold up a stop by signal.
fn stdin_end() -> Result<oneshot::Receiver<()>, String> {
    let (told, ended) = oneshot::channel();
    let wait = move || {
        // What is written there is for nobody.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = told.send(());
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(wait).map_err(|error| error.to_string())?;
    Ok(ended)
}

/// Makes fail what the lines of standard input name.
fn take_faults(saboteur: Saboteur) -> Result<(), String> {
    let runtime = tokio::runtime::Handle::current();
    let read = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match line.parse() {
                Ok(fault) => runtime.block_on(saboteur.fail(fault)),
                Err(error) => _ = writeln!(io::stderr(), "anteroom: {line:?}: {error}"),
            }
        }
    };
    std::thread::Builder::new().name("faults".to_owned()).spawn(read).map_err(|error| error.to_string())?;
    Ok(())
}

/// Answers whether all was well.
fn run_demo(arguments: &DemoArguments) -> Result<bool, String> {
    let mut config = Config::default();
    config.listen.port = arguments.port.unwrap_or(if arguments.keep { 8080 } else { 0 });
    config.listen.metrics.set_port(0);
    config.store.enabled = false;
    "warn".clone_into(&mut config.log.filter);
    set_up_logs(&config.log).map_err(|error| error.to_string())?;
    let options = DemoOptions {
        participants: arguments.participants,
        breakouts: arguments.breakouts,
        seconds: arguments.seconds,
        live: !arguments.json,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let running = serve(&config).await.map_err(|error| error.to_string())?;
        let address = running.http_addresses().first().map(ToString::to_string).unwrap_or_default();
        let report = load::run_demo(&options, &address).await.map_err(|error| error.to_string())?;
        if arguments.json {
            for problem in &report.problems {
                let _ = writeln!(io::stderr(), "problem: {problem}");
            }
            say(&serde_json::to_string(&report).map_err(|error| error.to_string())?)?;
        } else {
            say(&report.text())?;
        }
        if arguments.keep {
            greet(&running);
            running.run_until(stop_signal()?).await.map_err(|error| error.to_string())?;
        } else {
            running.stop().await;
        }
        Ok(report.ok)
    })
}

fn run_raw_sender() -> Result<(), String> {
    let job = io::read_to_string(io::stdin()).map_err(|error| error.to_string())?;
    say(&load::run_raw_sender(&job).map_err(|error| error.to_string())?)
}

/// Answers whether all was well.
fn run_load(options: &LoadOptions) -> Result<bool, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let report = runtime.block_on(async {
        // The first ends the measurement. A run that is left behind takes its server with it.
        let (stop, leave) = (stop_signal()?, stop_signals(2)?);
        tokio::select! {
            report = load::run_load(options, stop) => report.map_err(|error| error.to_string()),
            () = leave => Err("stopped before the end".to_owned()),
        }
    })?;
    say(&if options.json {
        serde_json::to_string(&report).map_err(|error| error.to_string())?
    } else {
        report.text()
    })?;
    Ok(report.ok)
}

/// Says where the server is. It serves as well where nobody reads that.
fn greet(running: &anteroom::node::Running) {
    let _ = say(&format!("Anteroom {} is open at {}", env!("CARGO_PKG_VERSION"), running.url()));
    if running.is_development() {
        let _ = say("No token secret is configured: everybody on this machine may come in, nobody else can.");
    }
}

fn say(line: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}
