//! How long threads of servers and people were ready to run and had no processor: what the machine, with all that
//! runs on it, does to who has much to do.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The threads that it is about: those that packets and requests go through.
const NAMES: [&str; 3] = ["media-", "control", "load-media"];

/// Looks at those of this process and of its children, until it is ended.
pub(crate) struct Waits {
    ended: Arc<AtomicBool>,
    /// When, and the longest that any of them had waited shortly before.
    seen: Option<JoinHandle<Vec<(Instant, Duration)>>>,
}

impl Waits {
    const EACH: Duration = Duration::from_millis(10);
    /// Looks that are taken together: what waits once has what came meanwhile before it.
    const TOGETHER: usize = 10;
    /// Looks after which it is seen which threads there are.
    const SEARCH: usize = 20;

    pub(crate) fn start() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&ended);
        let look = move || {
            let (mut threads, mut seen) = (HashMap::<PathBuf, Watched>::new(), Vec::new());
            for number in 0_usize.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                if number.is_multiple_of(Self::SEARCH) {
                    for thread in find() {
                        threads.entry(thread).or_default();
                    }
                }
                // Who has ended is forgotten.
                threads
                    .retain(|thread, watched| waited_by(thread).map(|total| watched.look(total)).is_some());
                let longest = threads.values().map(Watched::lately).max().unwrap_or(0);
                seen.push((Instant::now(), Duration::from_nanos(longest)));
                thread::sleep(Self::EACH);
            }
            seen
        };
        Self { ended, seen: Some(thread::spawn(look)) }
    }

    /// The longest since then.
    pub(crate) fn end(&mut self, since: Instant) -> Duration {
        self.ended.store(true, Ordering::Relaxed);
        let seen = self.seen.take().map(|seen| seen.join().unwrap());
        seen.into_iter()
            .flatten()
            .filter(|(at, _)| *at >= since)
            .map(|(_, waited)| waited)
            .max()
            .unwrap_or_default()
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// One thread.
#[derive(Default)]
struct Watched {
    /// What the system says that it has waited in all, in nanoseconds.
    total: Option<u64>,
    /// What it has waited between the last looks.
    between: VecDeque<u64>,
}

impl Watched {
    fn look(&mut self, total: u64) {
        // A thread's number may come again, with another thread that has waited less.
        self.between.push_back(total.saturating_sub(self.total.unwrap_or(total)));
        if self.between.len() > Waits::TOGETHER {
            self.between.pop_front();
        }
        self.total = Some(total);
    }

    fn lately(&self) -> u64 {
        self.between.iter().sum()
    }
}

/// The second number of a thread's `schedstat`: nanoseconds on a queue for a processor (Linux,
/// Documentation/scheduler/sched-stats.rst). None once it has ended.
fn waited_by(thread: &Path) -> Option<u64> {
    fs::read_to_string(thread.join("schedstat")).ok()?.split(' ').nth(1)?.parse().ok()
}

fn find() -> Vec<PathBuf> {
    let own = tasks("self");
    let children = own.iter().filter_map(|task| fs::read_to_string(task.join("children")).ok());
    let children: String = children.collect();
    let all = children.split_whitespace().flat_map(tasks).chain(own);
    all.filter(|task| {
        fs::read_to_string(task.join("comm"))
            .is_ok_and(|name| NAMES.iter().any(|start| name.starts_with(start)))
    })
    .collect()
}

/// The threads of a process, none where it has ended.
fn tasks(process: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{process}/task"));
    entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect()
}
