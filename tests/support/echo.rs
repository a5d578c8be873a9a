//! A plain echo on the loopback interface, at a pace like somebody's who talks. What it takes is what the
//! machine, with all that runs on it, does to packets: no server is involved.

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[path = "waits.rs"]
mod waits;
use waits::Waits;

pub(crate) struct Echo {
    ended: Arc<AtomicBool>,
    /// When packets were due, and how much later they were back.
    times: Option<JoinHandle<Vec<(Instant, Duration)>>>,
    waits: Waits,
}

impl Echo {
    const EACH: Duration = Duration::from_millis(10);
    /// The longest for which its threads do not notice that it has ended.
    const NAP: Duration = Duration::from_millis(200);

    pub(crate) fn start() -> Self {
        let [near, far] = [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        near.connect(far.local_addr().unwrap()).unwrap();
        far.connect(near.local_addr().unwrap()).unwrap();
        [&near, &far].into_iter().for_each(|socket| socket.set_read_timeout(Some(Self::NAP)).unwrap());
        let (ended, began, sender) =
            (Arc::new(AtomicBool::new(false)), Instant::now(), near.try_clone().unwrap());
        let is_over = || {
            let ended = Arc::clone(&ended);
            move || ended.load(Ordering::Relaxed)
        };
        let (sent_all, echoed_all, heard_all) = (is_over(), is_over(), is_over());
        thread::spawn(move || {
            for number in 0_u32.. {
                thread::sleep((began + Self::EACH * number).saturating_duration_since(Instant::now()));
                if sent_all() || sender.send(&number.to_be_bytes()).is_err() {
                    break;
                }
            }
        });
        thread::spawn(move || {
            let mut number = [0; 4];
            while !echoed_all() {
                if far.recv(&mut number).is_ok() {
                    let _ = far.send(&number);
                }
            }
        });
        let times = thread::spawn(move || {
            let (mut number, mut times) = ([0; 4], Vec::new());
            while !heard_all() {
                if near.recv(&mut number).is_ok() {
                    let due = began + Self::EACH * u32::from_be_bytes(number);
                    times.push((due, due.elapsed()));
                }
            }
            times
        });
        Self { ended, times: Some(times), waits: Waits::start() }
    }

    /// What its packets took that were due in the last so many seconds, and how long threads have waited.
    pub(crate) fn end(mut self, length: Duration) -> Value {
        self.ended.store(true, Ordering::Relaxed);
        let since = Instant::now() - length - Duration::from_secs(1);
        let times = self.times.take().unwrap().join().unwrap();
        let mut times: Vec<Duration> =
            times.into_iter().filter(|(due, _)| *due >= since).map(|(_, took)| took).collect();
        times.sort();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros() as u64;
        let waited = self.waits.end(since).as_micros() as u64;
        json!({"p50": at(50), "p99": at(99), "max": at(100), "waited": waited})
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
