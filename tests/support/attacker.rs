//! Somebody without a seat: sockets, and as many datagrams as wanted.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// What an attack has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) steps: u64,
    /// Steps that sent nothing: an attack that cannot seal or send shows nothing.
    pub(crate) failed: u64,
    /// How many packets left.
    pub(crate) sent: u64,
}

/// Calls `each` so many times a second until `is_over`, which is told how often that was; `each` answers how
/// many packets it has sent. What could not be done in time comes later.
pub(crate) fn pace(per_second: u64, is_over: impl Fn(u64) -> bool, mut each: impl FnMut(u64) -> u64) -> Done {
    const STEP: Duration = Duration::from_millis(2);
    let (mut round, mut after, mut done) = (0, 0, Done::default());
    let mut ends = Instant::now();
    while !is_over(after) {
        ends += STEP;
        // What a step has too little of comes in a later one.
        let due = u64::try_from(STEP.as_micros()).unwrap() * per_second;
        let before = after;
        after = (round + 1) * due / 1_000_000;
        for step in before..after {
            let sent = each(step);
            done.sent += sent;
            done.failed += u64::from(sent == 0);
        }
        round += 1;
        match ends.checked_duration_since(Instant::now()) {
            Some(left) => std::thread::sleep(left),
            None => ends = Instant::now(),
        }
    }
    Done { steps: after, ..done }
}

/// A stranger with sockets on ports that the system chooses.
pub(crate) struct Stranger {
    sockets: Vec<UdpSocket>,
    next: usize,
}

impl Stranger {
    /// On another address of the loopback network than everybody else.
    pub(crate) fn on(host: u8, ports: usize) -> Self {
        let ip = Ipv4Addr::new(127, 0, 0, host);
        let sockets = (0..ports).map(|_| {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        });
        Self { sockets: sockets.collect(), next: 0 }
    }

    /// Sends from its ports in turn; answers how many left.
    pub(crate) fn send(&mut self, to: SocketAddr, datagram: &[u8]) -> u64 {
        self.next = (self.next + 1) % self.sockets.len();
        u64::from(self.sockets[self.next].send_to(datagram, to).is_ok())
    }

    /// The addresses of its ports.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect()
    }

    /// Another handle on its ports, for the thread that sends.
    pub(crate) fn share(&self) -> Self {
        Self { sockets: self.sockets.iter().map(|one| one.try_clone().unwrap()).collect(), next: 0 }
    }

    /// What has come back to any of its ports.
    pub(crate) fn earned(&self) -> Vec<Vec<u8>> {
        let mut earned = Vec::new();
        let mut buffer = [0; 2048];
        for socket in &self.sockets {
            loop {
                match socket.recv_from(&mut buffer) {
                    Ok((len, _)) => earned.push(buffer[..len].to_vec()),
                    // A port that nobody listens on says so.
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                    Err(_) => break,
                }
            }
        }
        earned
    }
}
