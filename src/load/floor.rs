//! What a packet costs at the least on this machine and interface: a raw sender that copies, seals
//! and calls `sendto` for each listener, with nothing of a server around it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// Where the raw sender sends from: what the server does.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The server's address.
    pub(super) address: IpAddr,
    /// Its network namespace, if that is another than this process's.
    pub(super) netns: Option<String>,
}

/// All that a raw sender is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    from: IpAddr,
    listeners: Vec<SocketAddr>,
    payload_len: usize,
    steps: Vec<Step>,
    processor: Option<usize>,
}

/// Measures both floors. Blocks for two seconds.
///
/// # Errors
/// Of the system, for sockets, threads and processes.
pub(super) fn measure(
    workload: &Workload,
    place: &Place,
    processors: (Option<usize>, Option<usize>),
) -> io::Result<Floor> {
    let (on_sender, on_sink) = processors;
    let poll = Poll::new()?;
    let sockets = open_sinks(place, &poll)?;
    let listeners = (0..workload.listeners).filter_map(|id| match place.is_loopback() {
        true => sockets.address_of(id),
        false => sockets.address_of(id % SOCKETS),
    });
    let job = Job {
        from: place.address,
        listeners: listeners.collect(),
        payload_len: workload.payload_len,
        steps: workload.steps.clone(),
        processor: on_sender,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let sink = std::thread::Builder::new().name("load-sink".to_owned()).spawn(move || {
        pin_to(on_sink);
        drain(poll, sockets, &stopped);
    })?;
    let netns = place.netns.clone();
    let sender = std::thread::Builder::new().name("load-floor".to_owned()).spawn(move || match netns {
        Some(netns) => send_within(&netns, &job),
        None => send(job),
    })?;
    let floor = sender.join().map_err(|_| io::Error::other("the raw sender failed"))?;
    stop.store(true, Ordering::Relaxed);
    let _ = sink.join();
    floor
}

impl Place {
    /// Whether listeners can have addresses of their own on few sockets.
    fn is_loopback(&self) -> bool {
        self.netns.is_none() && self.address.is_loopback() && self.address.is_ipv4()
    }
}

/// Sockets that take what the raw sender sends: where the participants are, seen from the server.
fn open_sinks(place: &Place, poll: &Poll) -> io::Result<SinkSockets> {
    if place.is_loopback() {
        return SinkSockets::open(Addressing::Loopback { sockets: SOCKETS }, poll.registry());
    }
    let unspecified: IpAddr = match place.address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Nothing is sent: the system says which address it would send from.
    let towards_server = UdpSocket::bind((unspecified, 0))?;
    towards_server.connect((place.address, 9))?;
    let mut sinks = SinkSockets::open(Addressing::Own(towards_server.local_addr()?.ip()), poll.registry())?;
    sinks.add(SOCKETS, poll.registry())?;
    Ok(sinks)
}

/// Sends in a process of its own, in another network namespace.
fn send_within(netns: &str, job: &Job) -> io::Result<Floor> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", netns]).arg(std::env::current_exe()?).arg("raw-sender");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(input) = child.stdin.take() {
        serde_json::to_writer(input, job)?;
    }
    let output = child.wait_with_output()?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| io::Error::other(format!("the raw sender: {error}")))
}

/// A raw sender as a process: takes its job as JSON and answers the floor as JSON.
///
/// # Errors
/// Of the system, and of a job that is none.
pub fn run_raw_sender(job: &str) -> io::Result<String> {
    let floor = send(serde_json::from_str(job)?)?;
    Ok(serde_json::to_string(&floor)?)
}

fn send(job: Job) -> io::Result<Floor> {
    pin_to(job.processor);
    let mut sender = RawSender::new(job.from, job.payload_len, job.listeners)?;
    let paced = sender.run(&job.steps, PACED_FOR, true);
    let tight = sender.run(&job.steps, TIGHT_FOR, false);
    Ok(Floor { paced, tight })
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
    fn new(from: IpAddr, payload_len: usize, listeners: Vec<SocketAddr>) -> io::Result<Self> {
        let listeners = listeners.into_iter().zip(0_u32..).map(|(address, number)| {
            let mut key = [7; 16];
            key.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
            let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| io::Error::other("no AES-128-GCM"))?;
            Ok((address, LessSafeKey::new(key)))
        });
        let len = HEADER_LEN + payload_len;
        Ok(Self {
            socket: UdpSocket::bind((from, 0))?,
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
        let listeners = vec!["127.0.0.1:9".parse().unwrap(); 3];
        let mut sender = RawSender::new(Ipv4Addr::LOCALHOST.into(), 100, listeners).unwrap();
        assert!(sender.run(&steps, Duration::from_millis(50), true) > 0.0);
        assert_eq!(sender.sent % 6, 0);
        assert!(sender.sent >= 12);
    }
}
