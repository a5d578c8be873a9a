//! The few sockets of many synthetic participants.
//!
//! On loopback each participant has an address of its own out of 127.0.0.0/8, so that one socket
//! serves thousands and the server still sees thousands of hosts. Elsewhere each has a socket.

use std::array;
use std::collections::BTreeMap;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGroSegment;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};

/// Bytes asked of the system for each socket's buffer.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// No datagram of a test is longer; a coalesced run may be.
const DATAGRAM_BYTES: usize = 2_048;
const RUN_BYTES: usize = 65_536;

/// How participants are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// By loopback addresses of their own, on this many sockets.
    Loopback {
        /// Sockets.
        sockets: usize,
    },
    /// By sockets of their own, bound to this address.
    Own(IpAddr),
}

struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

/// All sockets.
pub(super) struct Sockets {
    addressing: Addressing,
    gro: bool,
    all: Vec<Socket>,
    /// How often participants have come to another of the shared sockets.
    rebinds: BTreeMap<usize, usize>,
}

/// Where received datagrams are put.
pub(super) struct Buffers {
    bytes: Vec<u8>,
    stride: usize,
    metas: [RecvMeta; BATCH_SIZE],
}

impl Buffers {
    pub(super) fn new(gro: bool) -> Self {
        let stride = if gro { RUN_BYTES } else { DATAGRAM_BYTES };
        Self { bytes: vec![0; stride * BATCH_SIZE], stride, metas: [RecvMeta::default(); BATCH_SIZE] }
    }
}

impl Sockets {
    /// Opens the shared sockets, if that is how participants are told apart.
    ///
    /// # Errors
    /// Of the system.
    pub(super) fn open(addressing: Addressing, gro: bool, registry: &Registry) -> io::Result<Self> {
        let mut sockets = Self { addressing, gro, all: Vec::new(), rebinds: BTreeMap::new() };
        if let Addressing::Loopback { sockets: count } = addressing {
            for _ in 0..count.max(1) {
                sockets.bind(Ipv4Addr::UNSPECIFIED.into(), registry)?;
            }
        }
        Ok(sockets)
    }

    fn bind(&mut self, ip: IpAddr, registry: &Registry) -> io::Result<()> {
        let mut socket = UdpSocket::bind(SocketAddr::new(ip, 0))?;
        registry.register(&mut socket, Token(self.all.len()), Interest::READABLE)?;
        let state = UdpSocketState::new((&socket).into())?;
        if !self.gro {
            setsockopt(&socket, UdpGroSegment, &false)?;
        }
        // The system gives what its limits allow.
        let _ = state.set_recv_buffer_size((&socket).into(), BUFFER_BYTES);
        let _ = state.set_send_buffer_size((&socket).into(), BUFFER_BYTES);
        self.all.push(Socket { socket, state });
        Ok(())
    }

    /// Makes room for the next participant, whose number is `id`.
    ///
    /// # Errors
    /// Of the system: too many open files, most likely.
    pub(super) fn add(&mut self, id: usize, registry: &Registry) -> io::Result<()> {
        if let Addressing::Own(ip) = self.addressing {
            while self.all.len() <= id {
                self.bind(ip, registry)?;
            }
        }
        Ok(())
    }

    /// Where a participant's datagrams arrive.
    pub(super) fn address_of(&self, id: usize) -> Option<SocketAddr> {
        let (at, ip) = self.place(id);
        let own = self.all.get(at)?.socket.local_addr().ok()?;
        Some(SocketAddr::new(ip.unwrap_or(own.ip()), own.port()))
    }

    /// Makes the poll tell of a socket again that was left with something in it.
    pub(super) fn rearm(&mut self, at: usize, registry: &Registry) {
        if let Some(Socket { socket, .. }) = self.all.get_mut(at) {
            let _ = registry.reregister(socket, Token(at), Interest::READABLE);
        }
    }

    fn place(&self, id: usize) -> (usize, Option<IpAddr>) {
        match self.addressing {
            Addressing::Loopback { .. } => {
                let rebinds = self.rebinds.get(&id).copied().unwrap_or(0);
                ((id + rebinds) % self.all.len().max(1), Some(loopback(id)))
            }
            Addressing::Own(_) => (id, None),
        }
    }

    /// From now on a participant sends from another port, and what comes to the old one is not its.
    /// Only where sockets are shared.
    pub(super) fn rebind(&mut self, id: usize) {
        *self.rebinds.entry(id).or_default() += 1;
    }

    /// Whether a socket is the one that a participant sends from.
    pub(super) fn is_own(&self, at: usize, id: usize) -> bool {
        self.place(id).0 == at
    }

    /// Sends a participant's datagram; what the system does not take is lost, as on a network.
    pub(super) fn send(&self, id: usize, destination: SocketAddr, contents: &[u8]) {
        let (at, src_ip) = self.place(id);
        let Some(Socket { socket, state }) = self.all.get(at) else { return };
        let transmit = Transmit { destination, ecn: None, contents, segment_size: None, src_ip };
        let _ = state.try_send(socket.into(), &transmit);
    }

    /// Receives at most one batch from a socket and hands over each datagram with the number of its
    /// participant; answers how many runs came.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing more.
    pub(super) fn receive(
        &self,
        at: usize,
        buffers: &mut Buffers,
        mut each: impl FnMut(usize, SocketAddr, &mut [u8]),
    ) -> io::Result<usize> {
        let Some(Socket { socket, state }) = self.all.get(at) else { return Ok(0) };
        let Buffers { bytes, stride, metas } = buffers;
        let mut chunks = bytes.chunks_mut(*stride);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let received = state.recv(socket.into(), &mut slices, metas)?;
        for (run, meta) in bytes.chunks_mut(*stride).zip(metas.iter()).take(received) {
            let id = match (self.addressing, meta.dst_ip) {
                (Addressing::Own(_), _) => at,
                (Addressing::Loopback { .. }, Some(IpAddr::V4(ip))) => number(ip),
                (Addressing::Loopback { .. }, _) => continue,
            };
            let run = run.get_mut(..meta.len).unwrap_or_default();
            for datagram in run.chunks_mut(meta.stride.max(1)) {
                each(id, meta.addr, datagram);
            }
        }
        Ok(received)
    }
}

/// Sockets whose datagrams are thrown away.
pub(crate) struct SinkSockets {
    sockets: Sockets,
    buffers: Buffers,
}

impl SinkSockets {
    /// Opens them as a generator would, without GRO.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn open(addressing: Addressing, registry: &Registry) -> io::Result<Self> {
        Ok(Self { sockets: Sockets::open(addressing, false, registry)?, buffers: Buffers::new(false) })
    }

    /// Opens as many as are asked for, where each listener has a socket.
    ///
    /// # Errors
    /// Of the system.
    pub(crate) fn add(&mut self, count: usize, registry: &Registry) -> io::Result<()> {
        (0..count).try_for_each(|id| self.sockets.add(id, registry))
    }

    /// Where the datagrams of listener `id` arrive.
    pub(crate) fn address_of(&self, id: usize) -> Option<SocketAddr> {
        self.sockets.address_of(id)
    }

    /// Takes out what is in one socket.
    pub(crate) fn drain(&mut self, at: usize) {
        while self.sockets.receive(at, &mut self.buffers, |_, _, _| {}).is_ok_and(|runs| runs > 0) {}
    }
}

/// Keeps clear of 127.0.0.1, where the server is.
const FIRST: u32 = 0x7f01_0001;

fn loopback(id: usize) -> IpAddr {
    let number = u32::try_from(id & 0x00ff_ffff).unwrap_or(0);
    Ipv4Addr::from(FIRST + number).into()
}

fn number(ip: Ipv4Addr) -> usize {
    usize::try_from(u32::from(ip).wrapping_sub(FIRST)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_for_numbers() {
        for id in [0, 1, 254, 255, 256, 65_536, 100_000] {
            let IpAddr::V4(ip) = loopback(id) else { panic!("IPv4") };
            assert!(ip.is_loopback());
            assert_eq!(number(ip), id);
        }
    }
}
