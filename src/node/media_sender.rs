//! Everything a worker sends, over whichever of its sockets reaches the far end.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::media_socket::{MediaSocket, ReceiveBuffers};
use super::worker_counters::SocketCounters;
use crate::base::Time;
use crate::transport::Path;

/// How long one batch may wait for full sockets, all its runs together. A tick of audio is 20 ms:
/// what cannot leave in a quarter of it would come too late.
const PATIENCE: Duration = Duration::from_millis(5);

/// How soon a full socket is tried again. Being told when it has room would cost a wake-up for every
/// datagram that leaves one that is not full.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(1);

/// The sockets of one worker.
pub(super) struct MediaSender {
    sockets: Vec<MediaSocket>,
    /// What was counted so far.
    pub(super) counters: SocketCounters,
    patience_ends: Option<Instant>,
}

enum Sent {
    Yes,
    Full,
    Refused,
}

impl MediaSender {
    pub(super) fn new(sockets: Vec<MediaSocket>) -> Self {
        Self { sockets, counters: SocketCounters::default(), patience_ends: None }
    }

    /// Whether every socket takes runs of datagrams, and whether every one gives them.
    pub(super) fn offloads(&self) -> (bool, bool) {
        let all = |has: fn(&MediaSocket) -> bool| self.sockets.iter().all(has);
        (all(MediaSocket::has_offload), all(MediaSocket::has_receive_offload))
    }

    /// The sockets.
    pub(super) fn sockets(&self) -> &[MediaSocket] {
        &self.sockets
    }

    /// Receives at most one batch from each socket; answers whether one of them may hold more. The error is
    /// of the first socket that has one.
    pub(super) fn receive(
        &self,
        buffers: &mut ReceiveBuffers,
        mut each: impl FnMut(Path, &mut [u8]),
    ) -> io::Result<bool> {
        let mut result = Ok(false);
        for socket in &self.sockets {
            match socket.receive(buffers, &mut each) {
                Ok(may_hold_more) => result = result.map(|any| any || may_hold_more),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Takes what waits in each socket, in at most so many batches; answers whether they are empty.
    pub(super) fn receive_waiting(
        &self,
        buffers: &mut ReceiveBuffers,
        batches: usize,
        mut each: impl FnMut(Path, &mut [u8]),
    ) -> bool {
        let mut are_empty = true;
        for socket in &self.sockets {
            // An error shows again at the next receive call, which tells of it.
            let mut takes_some = || socket.receive_unasked(buffers, &mut each).is_ok_and(|taken| taken > 0);
            are_empty &= (0..batches).any(|_| !takes_some());
        }
        are_empty
    }

    /// Begins a batch of sends.
    pub(super) fn begin_batch(&mut self, now: Time) {
        self.patience_ends = None;
        for socket in &mut self.sockets {
            socket.tend_offload(now);
        }
    }

    /// Sends one datagram, or a run of datagrams of `segment_size` bytes.
    pub(super) async fn send(&mut self, path: &Path, contents: &[u8], segment_size: Option<usize>) {
        let segment_size = segment_size.filter(|size| *size > 0 && *size < contents.len());
        let datagrams = segment_size.map_or(1, |size| contents.len().div_ceil(size));
        let Some(index) = self.sockets.iter().position(|socket| socket.serves(path)) else {
            self.counters.no_socket += count(datagrams);
            return;
        };
        let has_offload = self.sockets.get(index).is_some_and(MediaSocket::has_offload);
        if has_offload || segment_size.is_none() {
            match self.send_once(index, path, contents, segment_size).await {
                Sent::Yes => return self.count_sent(datagrams),
                Sent::Full => {
                    self.counters.socket_full += count(datagrams);
                    return;
                }
                Sent::Refused => {}
            }
        }
        match segment_size {
            // The system may refuse a run and take its datagrams.
            Some(size) => self.send_singly(index, path, contents, size).await,
            None => self.counters.send_failed += 1,
        }
    }

    async fn send_singly(&mut self, index: usize, path: &Path, contents: &[u8], size: usize) {
        let datagrams = contents.chunks(size);
        let mut left = datagrams.len();
        for datagram in datagrams {
            match self.send_once(index, path, datagram, None).await {
                Sent::Yes => self.count_sent(1),
                Sent::Full => {
                    self.counters.socket_full += count(left);
                    return;
                }
                Sent::Refused => self.counters.send_failed += 1,
            }
            left -= 1;
        }
    }

    /// One call, tried again while the socket is full and the batch's patience lasts. A thread that was away for
    /// longer may not hold its worker's place any more: what it was about to send is for nobody.
    async fn send_once(
        &mut self,
        index: usize,
        path: &Path,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> Sent {
        let Some(socket) = self.sockets.get(index) else { return Sent::Refused };
        loop {
            match socket.try_send(path, contents, segment_size) {
                Ok(()) => return Sent::Yes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::debug!(%error, segment_size, "the system refused to send");
                    return Sent::Refused;
                }
            }
            let ends = *self.patience_ends.get_or_insert_with(|| Instant::now() + PATIENCE);
            if Instant::now() >= ends {
                return Sent::Full;
            }
            sleep(LOOK_AGAIN_AFTER).await;
            if Instant::now() >= ends {
                return Sent::Full;
            }
        }
    }

    fn count_sent(&mut self, datagrams: usize) {
        self.counters.datagrams_sent += count(datagrams);
        self.counters.send_calls += 1;
    }
}

fn count(datagrams: usize) -> u64 {
    u64::try_from(datagrams).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::addresses::bind_udp;

    #[tokio::test]
    async fn without_offload_a_run_leaves_datagram_by_datagram() {
        for (may_offload, calls) in [(true, 1), (false, 11)] {
            let (socket, _) = bind_udp("127.0.0.1:0".parse().unwrap(), 1 << 20).unwrap();
            let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let mut sender = MediaSender::new(vec![MediaSocket::new(socket, may_offload).unwrap()]);
            assert_eq!(sender.offloads().0, may_offload);
            let run: Vec<u8> = (0..10_u8).flat_map(|i| [i; 100]).chain([77; 40]).collect();
            sender.begin_batch(Time::from_unix_seconds(1));
            sender.send(&Path::new(receiver.local_addr().unwrap(), None), &run, Some(100)).await;
            let mut buffer = [0; 2_000];
            for expected in run.chunks(100) {
                let len = receiver.recv(&mut buffer).unwrap();
                assert_eq!(buffer[..len], *expected);
            }
            assert_eq!((sender.counters.datagrams_sent, sender.counters.send_calls), (11, calls));
        }
    }
}
