//! What a packet costs at the least on this machine and interface: a raw sender that copies, seals
//! and calls `sendto` for each listener, with nothing of a server around it.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::generator::{Addressing, SinkSockets, pin_to};
use super::process::own_thread_cpu_ns;

/// How long each floor is measured.
const PACED_FOR: Duration = Duration::from_millis(1_500);
const TIGHT_FOR: Duration = Duration::from_millis(500);
/// RTP header with the extensions that a forwarded packet has.
const HEADER_LEN: usize = 28;
const TAG_LEN: usize = 16;
const SOCKETS: usize = 8;

/// One step of a workload: after `wait`, this many packets to each listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) wait: Duration,
    pub(super) packets: u32,
}

/// What the raw sender sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Workload {
    pub(super) listeners: usize,
    pub(super) payload_len: usize,
    /// Done over and over.
    pub(super) steps: Vec<Step>,
}

/// Processor time per packet, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Floor {
    /// At the workload's own rate, sleeping in between.
    pub(super) paced: f64,
    /// Without sleeping.
    pub(super) tight: f64,
}

impl Floor {
    /// The mean of two measurements.
    pub(super) fn mean(self, other: Self) -> Self {
        Self { paced: f64::midpoint(self.paced, other.paced), tight: f64::midpoint(self.tight, other.tight) }
    }
}

/// Measures both floors. Blocks for two seconds.
///
/// # Errors
/// Of the system, for sockets and threads.
pub(super) fn measure(workload: &Workload, processors: (Option<usize>, Option<usize>)) -> io::Result<Floor> {
    let (on_sender, on_sink) = processors;
    let poll = Poll::new()?;
    let sockets = SinkSockets::open(Addressing::Loopback { sockets: SOCKETS }, poll.registry())?;
    let listeners: Vec<SocketAddr> =
        (0..workload.listeners).filter_map(|id| sockets.address_of(id)).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let sink = std::thread::Builder::new().name("load-sink".to_owned()).spawn(move || {
        pin_to(on_sink);
        drain(poll, sockets, &stopped);
    })?;
    let workload = workload.clone();
    let sender = std::thread::Builder::new().name("load-floor".to_owned()).spawn(move || {
        pin_to(on_sender);
        let mut sender = RawSender::new(&workload, listeners)?;
        let paced = sender.run(&workload.steps, PACED_FOR, true);
        let tight = sender.run(&workload.steps, TIGHT_FOR, false);
        Ok::<_, io::Error>(Floor { paced, tight })
    })?;
    let floor = sender.join().map_err(|_| io::Error::other("the raw sender failed"))?;
    stop.store(true, Ordering::Relaxed);
    let _ = sink.join();
    floor
}

fn drain(mut poll: Poll, mut sockets: SinkSockets, stop: &AtomicBool) {
    let mut events = Events::with_capacity(64);
    while !stop.load(Ordering::Relaxed) {
        if poll.poll(&mut events, Some(Duration::from_millis(50))).is_err() {
            continue;
        }
        for event in &events {
            let Token(at) = event.token();
            sockets.drain(at);
        }
    }
}

struct RawSender {
    socket: UdpSocket,
    listeners: Vec<(SocketAddr, LessSafeKey)>,
    packet: Vec<u8>,
    sealed: Vec<u8>,
    sent: u64,
}

impl RawSender {
    fn new(workload: &Workload, listeners: Vec<SocketAddr>) -> io::Result<Self> {
        let listeners = listeners.into_iter().zip(0_u32..).map(|(address, number)| {
            let mut key = [7; 16];
            key.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
            let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| io::Error::other("no AES-128-GCM"))?;
            Ok((address, LessSafeKey::new(key)))
        });
        let len = HEADER_LEN + workload.payload_len;
        Ok(Self {
            socket: UdpSocket::bind("127.0.0.1:0")?,
            listeners: listeners.collect::<io::Result<_>>()?,
            packet: vec![0x80; len],
            sealed: vec![0; len + TAG_LEN],
            sent: 0,
        })
    }

    /// Sends for a while; answers the nanoseconds of processor time per packet.
    fn run(&mut self, steps: &[Step], duration: Duration, sleeps: bool) -> f64 {
        let (sent, cpu) = (self.sent, own_thread_cpu_ns());
        let began = Instant::now();
        let mut due = began;
        for step in steps.iter().cycle() {
            if began.elapsed() >= duration {
                break;
            }
            if sleeps {
                due += step.wait;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            self.send(step.packets);
        }
        let packets = self.sent - sent;
        ratio(own_thread_cpu_ns() - cpu, packets)
    }

    fn send(&mut self, packets: u32) {
        for (address, key) in &self.listeners {
            for _ in 0..packets {
                self.sent += 1;
                let Some(packet) = self.sealed.get_mut(..self.packet.len()) else { return };
                packet.copy_from_slice(&self.packet);
                let (header, payload) = packet.split_at_mut(HEADER_LEN);
                let mut nonce = [0; 12];
                nonce.iter_mut().zip(self.sent.to_be_bytes()).for_each(|(to, from)| *to = from);
                let nonce = Nonce::assume_unique_for_key(nonce);
                let sealed = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload);
                let Ok(tag) = sealed else { return };
                if let Some(room) = self.sealed.last_chunk_mut::<TAG_LEN>() {
                    room.copy_from_slice(tag.as_ref());
                }
                // A full buffer loses a packet, and costs as much.
                let _ = self.socket.send_to(&self.sealed, address);
            }
        }
    }
}

/// Nanoseconds per packet; 0 without packets.
#[expect(clippy::cast_precision_loss, reason = "times and counts are far below 2^52")]
pub(super) fn ratio(ns: u64, packets: u64) -> f64 {
    if packets == 0 { 0.0 } else { ns as f64 / packets as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_counts_what_it_sends() {
        let steps = vec![Step { wait: Duration::from_millis(20), packets: 2 }];
        let workload = Workload { listeners: 3, payload_len: 100, steps };
        let listeners = vec!["127.0.0.1:9".parse().unwrap(); 3];
        let mut sender = RawSender::new(&workload, listeners).unwrap();
        assert!(sender.run(&workload.steps, Duration::from_millis(50), true) > 0.0);
        assert_eq!(sender.sent % 6, 0);
        assert!(sender.sent >= 12);
    }
}
