//! Where log lines go and which are written.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::settings::{Color, LogSettings};

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogSetupError {
    /// The filter cannot be read.
    #[error("the log filter {filter:?} cannot be read: {reason}")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The process has logs already.
    #[error("logs are set up already in this process")]
    AlreadySetUp,
}

/// Reads a filter; an empty one would silence everything, so it is refused.
pub(super) fn parse_filter(text: &str) -> Result<EnvFilter, LogSetupError> {
    let refused = |reason: String| LogSetupError::Filter { filter: text.to_owned(), reason };
    if text.trim().is_empty() {
        return Err(refused("it is empty; use `error` for the least".to_owned()));
    }
    if let Some(word) = text.split(',').find(|directive| is_no_level(directive)) {
        return Err(refused(format!(
            "`{}` is no level: use error, warn, info, debug or trace, or say of which target it is, as in \
             `anteroom::node=debug`",
            word.trim()
        )));
    }
    EnvFilter::builder().parse(text).map_err(|error| refused(error.to_string()))
}

/// A word by itself is read as a target of which everything is logged, and of all others nothing: a level
/// with a slip of the pen would silence the server.
fn is_no_level(directive: &str) -> bool {
    let word = directive.trim();
    !word.is_empty() && !word.contains(['=', '[', ']', '{', '}']) && word.parse::<LevelFilter>().is_err()
}

/// Sends the process's log lines to standard error.
///
/// # Errors
/// When the filter cannot be read, or the process has logs already.
pub fn set_up_logs(settings: &LogSettings) -> Result<(), LogSetupError> {
    let filter = parse_filter(&settings.filter)?;
    let color = match settings.color {
        Color::Auto => std::io::stderr().is_terminal(),
        Color::Always => true,
        Color::Never => false,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(color)
        .with_writer(|| Lines)
        // Told of by `eprintln!`, which panics where there is nobody to tell.
        .log_internal_errors(false)
        .try_init()
        .map_err(|_| LogSetupError::AlreadySetUp)
}

/// What a pipe that can be written to takes without a wait (`PIPE_BUF`, pipe(7)).
const PIECE: usize = 4_096;

/// Lines that were dropped since one was written.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Standard error, but that a line is dropped where it would have to wait for whoever reads: a pipe that is full
/// would hold up each thread that has something to say, and so the meetings.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut out = io::stderr().lock();
        // It changes under this lock alone.
        if DROPPED.load(Ordering::Relaxed) > 0 && takes_more(&out) {
            let dropped = DROPPED.swap(0, Ordering::Relaxed);
            writeln!(out, "{dropped} log lines were dropped: standard error was full, and nobody read it")?;
        }
        for piece in line.chunks(PIECE) {
            if !takes_more(&out) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                break;
            }
            out.write_all(piece)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Nothing is held back.
        Ok(())
    }
}

/// Whether something can be written without a wait. An error is found by writing.
fn takes_more(out: &impl AsFd) -> bool {
    let mut asked = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
    poll(&mut asked, PollTimeout::ZERO) != Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_or_refused_with_its_text() {
        assert!(parse_filter("info,anteroom::node=debug").is_ok());
        let refusal = parse_filter("anteroom=loud").unwrap_err().to_string();
        assert!(refusal.contains("anteroom=loud"), "{refusal}");
        assert!(parse_filter(" ").is_err());
        for good in ["INFO", "off", "warn,anteroom=trace", "[span]=info"] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for slip in ["inof", "info,degub", "anteroom"] {
            let refusal = parse_filter(slip).unwrap_err().to_string();
            assert!(refusal.contains("is no level"), "{refusal}");
        }
    }
}
