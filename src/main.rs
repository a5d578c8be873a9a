//! The command line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anteroom::config::Config;
use anteroom::node::serve;
use anteroom::telemetry::set_up_logs;
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

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
}

#[derive(Args)]
struct ServeArguments {
    /// The configuration file, in TOML; deploy/anteroom.toml shows every setting.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The HTTP port, instead of the configured one (8080). 0 takes a free one; without a
    /// configuration file it does so for metrics, too.
    #[arg(long)]
    port: Option<u16>,
    /// What is logged, instead of what is configured: `error`, `warn`, `info`, `debug`, `trace`, or
    /// with targets, such as `info,anteroom::node=debug`.
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().command {
        Command::Serve(arguments) => run_server(&arguments),
        Command::CheckConfig { file } => check_config(&file),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
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
    runtime.block_on(async {
        // Listened for before the server is up, so that none is missed.
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let running = serve(&config).await.map_err(|error| error.to_string())?;
        greet(&running)?;
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        running.run_until(stop).await.map_err(|error| error.to_string())
    })
}

fn greet(running: &anteroom::node::Running) -> Result<(), String> {
    say(&format!("Anteroom {} is open at {}", env!("CARGO_PKG_VERSION"), running.url()))?;
    if running.is_development() {
        say("No token secret is configured: everybody on this machine may come in, nobody else can.")?;
    }
    Ok(())
}

fn say(line: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}
