//! The thread that makes what was written safe from a power cut, and keeps the journal short.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use super::database::connect;

/// How often.
const EVERY: Duration = Duration::from_millis(100);

/// A journal longer than this starts over. While people move all the time it never does so by itself.
const JOURNAL_BYTES: u64 = 16 * 1024 * 1024;

/// What the thread and who writes share.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Steps written, of this process.
    pub(super) written: AtomicU64,
    /// The system could not write to the disk the last time.
    pub(super) failed: AtomicBool,
}

/// The thread; it ends when this is dropped, after a last time.
#[derive(Debug)]
pub(super) struct Flush {
    stop: Option<std::sync::mpsc::SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Flush {
    /// `connection` is one of its own to the database.
    pub(super) fn start(
        database: PathBuf,
        connection: Connection,
        progress: Arc<Progress>,
    ) -> io::Result<Self> {
        let (stop, stopped) = std::sync::mpsc::sync_channel(0);
        let thread = std::thread::Builder::new().name("flush".to_owned()).spawn(move || {
            let mut flusher = Flusher { database, connection: Some(connection), done: u64::MAX, progress };
            while stopped.recv_timeout(EVERY) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                flusher.flush();
            }
            flusher.flush();
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.stop = None;
        // How it ended is in its log line.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The connection that writes to the disk.
pub(super) fn connect_to_flush(database: &Path) -> rusqlite::Result<Connection> {
    connect(database, "NORMAL")
}

struct Flusher {
    database: PathBuf,
    connection: Option<Connection>,
    /// Steps that are safe.
    done: u64,
    progress: Arc<Progress>,
}

impl Flusher {
    fn flush(&mut self) {
        let written = self.progress.written.load(Ordering::Acquire);
        if written == self.done {
            return;
        }
        let flushed = self.checkpoint();
        if let Err(error) = &flushed
            && !self.progress.failed.load(Ordering::Acquire)
        {
            tracing::error!(%error, "the store cannot be written to the disk: a power cut would take what is new");
        }
        self.progress.failed.store(flushed.is_err(), Ordering::Release);
        if flushed.is_ok() {
            self.done = written;
        }
    }

    /// Has the system write the journal to the disk, and takes it over into the database. Writers go on
    /// meanwhile, but while the journal starts over.
    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect_to_flush(&self.database)?,
        };
        let mut journal = self.database.clone().into_os_string();
        journal.push("-wal");
        let is_long = std::fs::metadata(journal).is_ok_and(|file| file.len() > JOURNAL_BYTES);
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        if is_long {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        self.connection = Some(connection);
        Ok(())
    }
}
