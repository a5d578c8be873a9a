//! What people are told waits until it is kept: nobody learns of a change that a crash could take back.
//!
//! One write to the store is under way at a time; what changes meanwhile is the next one. A store that
//! cannot be written, or not soon, does not stop a meeting: it goes on, the server is not ready any more,
//! and acks say that they are not kept, until a write succeeds again.

use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::api::Doorway;
use crate::base::Time;
use crate::control::Control;
use crate::message::{AdminReply, ControlOutput, Frame};
use crate::store::{Store, StoreThread, Written};

/// How long people wait for a write. No ack waits longer than 3 s, and a move may have taken two of them.
const PATIENCE: Duration = Duration::from_secs(1);

/// When a write that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How long the last writes of a server that stops may take.
const LAST_WRITES: Duration = Duration::from_millis(800);

/// Between control and whoever is to be told.
pub(super) struct Keeper {
    store: StoreThread,
    doorway: Doorway,
    /// Tells of what is kept.
    kept: Vec<ControlOutput>,
    /// Tells of what is being written.
    waiting: Vec<ControlOutput>,
    /// Tells of what came since. Bounded by what control does within [`PATIENCE`].
    fresh: Vec<ControlOutput>,
    /// When the write that is under way began.
    began: Option<Time>,
    /// When a write that failed is due again.
    retry: Option<Time>,
    /// Whether what people are told is kept.
    keeps: bool,
}

impl Keeper {
    pub(super) fn start(store: Store, doorway: Doorway) -> std::io::Result<Self> {
        doorway.metrics().store_up.set(1);
        Ok(Self {
            store: StoreThread::start(store)?,
            doorway,
            kept: Vec::new(),
            waiting: Vec::new(),
            fresh: Vec::new(),
            began: None,
            retry: None,
            keeps: true,
        })
    }

    /// Keeps back what tells people of something.
    pub(super) fn hold(&mut self, told: ControlOutput) {
        self.fresh.push(told);
    }

    /// When [`Self::turn`] is due.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let late = self.began.filter(|_| self.keeps).map(|began| began + PATIENCE);
        late.into_iter().chain(self.retry).min()
    }

    /// How the write ended that is under way; never, without one.
    pub(super) async fn written(keeper: &mut Option<Self>) -> Written {
        match keeper {
            Some(keeper) => keeper.store.written().await,
            None => std::future::pending().await,
        }
    }

    /// Takes in how a write ended.
    pub(super) fn take(&mut self, now: Time, written: &Written) {
        self.began = None;
        let metrics = self.doorway.metrics();
        metrics.store_commit_seconds.observe(written.took.as_secs_f64());
        match &written.outcome {
            Ok(bytes) => {
                metrics.store_bytes.inc_by(u64::try_from(*bytes).unwrap_or(u64::MAX));
                self.kept.append(&mut self.waiting);
                if !self.keeps {
                    tracing::info!("the store is written again: what people are told is kept");
                }
                self.set_keeps(true);
            }
            Err(error) => {
                metrics.store_errors.inc();
                self.retry = Some(now + RETRY);
                self.fail(error);
            }
        }
    }

    /// Has written what has changed, unless a write is under way. Answers what people are to be told now.
    pub(super) fn turn(&mut self, now: Time, control: &mut Control) -> Vec<ControlOutput> {
        if let Some(began) = self.began {
            if now.since(began) >= PATIENCE && self.keeps {
                self.fail("a write takes too long");
            }
        } else if self.retry.is_none_or(|due| due <= now) {
            let changes = control.take_changes();
            if changes.is_empty() && self.retry.is_none() {
                self.kept.append(&mut self.fresh);
            } else if self.store.write(changes) {
                (self.began, self.retry) = (Some(now), None);
                self.waiting.append(&mut self.fresh);
            } else {
                self.retry = Some(now + RETRY);
                self.fail("its thread has ended");
            }
        }
        if !self.keeps {
            let unkept = self.waiting.drain(..).chain(self.fresh.drain(..)).map(unkept);
            self.kept.extend(unkept);
        }
        std::mem::take(&mut self.kept)
    }

    /// Writes what is left. Nobody is told any more.
    pub(super) async fn finish(&mut self, now: Time, control: &mut Control) {
        let writes = async {
            loop {
                self.turn(now, control);
                if self.began.is_none() {
                    return;
                }
                let written = self.store.written().await;
                self.take(now, &written);
            }
        };
        if timeout(LAST_WRITES, writes).await.is_err() {
            tracing::warn!("the store could not be written to the end");
        }
    }

    /// Ends the thread of the store after what it was handed.
    pub(super) fn stop(self) -> JoinHandle<()> {
        self.store.stop()
    }

    fn fail(&mut self, error: &str) {
        if self.keeps {
            tracing::error!(
                error,
                "the store cannot be written: meetings go on, and what people are told does not survive a crash"
            );
        }
        self.set_keeps(false);
    }

    fn set_keeps(&mut self, keeps: bool) {
        self.keeps = keeps;
        self.doorway.set_keeps(keeps);
        self.doorway.metrics().store_up.set(i64::from(keeps));
    }
}

/// An answer of something done that says that it is not kept.
fn unkept(mut output: ControlOutput) -> ControlOutput {
    match &mut output {
        ControlOutput::Frame { frame: Frame::Ack { data: Value::Object(data), .. }, .. }
            if data.get("result") == Some(&json!(0)) =>
        {
            data.insert("kept".to_owned(), json!(false));
        }
        ControlOutput::Admin {
            reply: AdminReply::Created { kept, .. } | AdminReply::Deleted { kept },
            ..
        } => {
            *kept = false;
        }
        _ => {}
    }
    output
}
