//! A store on a thread of its own: one write at a time.

use std::collections::BTreeMap;
use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::store::Store;
use crate::message::saved::{Change, Key, Record};

/// How a write ended.
#[derive(Debug)]
pub struct Written {
    /// How long it took.
    pub took: Duration,
    /// How many bytes were written, or why they were not. What was not written is kept for the next write.
    pub outcome: Result<usize, String>,
}

/// Writes what it is handed. Dropping it ends the thread after the last write.
#[derive(Debug)]
pub struct StoreThread {
    changes: mpsc::Sender<Vec<Change>>,
    written: mpsc::Receiver<Written>,
    thread: JoinHandle<()>,
}

impl StoreThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// Of the system.
    pub fn start(store: Store) -> io::Result<Self> {
        // One write is under way at a time, so that neither queue ever holds more.
        let (changes, to_write) = mpsc::channel(1);
        let (told, written) = mpsc::channel(1);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(store, to_write, &told))?;
        Ok(Self { changes, written, thread })
    }

    /// Hands changes over; they are one step, together with those that could not be written before.
    /// Answers whether they were taken: no other write may be under way.
    pub fn write(&self, changes: Vec<Change>) -> bool {
        self.changes.try_send(changes).is_ok()
    }

    /// How the write ended that is under way. Without one it waits for ever.
    pub async fn written(&mut self) -> Written {
        match self.written.recv().await {
            Some(written) => written,
            // The thread ends when it is told to, or by a fault of its own, which the patience of whoever
            // waits for it notices.
            None => std::future::pending().await,
        }
    }

    /// Ends the thread once everything is written and on the disk.
    #[must_use]
    pub fn stop(self) -> JoinHandle<()> {
        self.thread
    }
}

fn run(mut store: Store, mut to_write: mpsc::Receiver<Vec<Change>>, told: &mpsc::Sender<Written>) {
    let mut unwritten: BTreeMap<Key, Option<Record>> = BTreeMap::new();
    while let Some(changes) = to_write.blocking_recv() {
        unwritten.extend(changes.into_iter().map(|change| (change.key, change.record)));
        let began = Instant::now();
        let outcome = store.write(&unwritten).map_err(|error| error.to_string());
        if outcome.is_ok() {
            unwritten.clear();
        } else {
            // What came and went meanwhile need not be remembered.
            unwritten.retain(|key, record| record.is_some() || store.has(key));
        }
        let outcome = match outcome {
            Ok(_) if !store.reaches_disk() => Err("what was written does not reach the disk".to_owned()),
            outcome => outcome,
        };
        // Whoever has gone wants to know no more.
        let _ = told.blocking_send(Written { took: began.elapsed(), outcome });
    }
}
