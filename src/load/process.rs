//! What the system knows of a process: processor time by scheduler.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// One thread's name and the processor time that the scheduler gave it, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ThreadTime {
    pub(super) name: String,
    pub(super) cpu_ns: u64,
}

/// The processor time of each thread of a process.
///
/// # Errors
/// Where there is no such process, or the system does not tell.
pub(super) fn thread_times(pid: u32) -> io::Result<Vec<ThreadTime>> {
    let mut threads = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        // A thread may end between the two looks.
        let (Ok(name), Ok(cpu_ns)) = (fs::read_to_string(task.join("comm")), schedstat(&task)) else {
            continue;
        };
        threads.push(ThreadTime { name: name.trim_end().to_owned(), cpu_ns });
    }
    Ok(threads)
}

/// The processor time of all threads of a process together, in nanoseconds.
///
/// # Errors
/// As [`thread_times`].
pub(super) fn cpu_ns(pid: u32) -> io::Result<u64> {
    Ok(thread_times(pid)?.iter().map(|thread| thread.cpu_ns).sum())
}

/// The processor time that the whole machine has used since its start, in nanoseconds.
///
/// # Errors
/// Where the system does not tell.
pub(super) fn machine_cpu_ns() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = first.split_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; what guests use is in user.
    let used: u64 =
        ticks.iter().take(8).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, n)| n).sum();
    Ok(used.saturating_mul(NS_PER_TICK))
}

/// Linux tells these in hundredths of a second on every machine.
const NS_PER_TICK: u64 = 10_000_000;

/// The processor time of the calling thread, in nanoseconds; 0 where the system does not tell.
pub(super) fn own_thread_cpu_ns() -> u64 {
    // What /proc tells of a running thread is as old as its last tick.
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn schedstat(task: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(task.join("schedstat"))?;
    let first = text.split_whitespace().next().and_then(|number| number.parse().ok());
    first.ok_or_else(|| io::Error::other("no schedstat"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_has_used_time() {
        let before = own_thread_cpu_ns();
        let mut sum = 0_u64;
        for number in 0..3_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
        assert!(own_thread_cpu_ns() > before);
        assert!(machine_cpu_ns().unwrap() > 0);
        assert!(cpu_ns(std::process::id()).unwrap() >= own_thread_cpu_ns());
    }
}
