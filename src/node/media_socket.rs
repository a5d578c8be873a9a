//! One UDP socket of a media worker: batches in, runs of datagrams out.

use std::array;
use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::base::Time;
use crate::transport::Path;

/// The largest run that the system coalesces into one receive (UDP GRO).
const RECEIVE_BYTES: usize = 65_536;

/// Runs taken by one receive call: more gain nothing, since each may be 64 datagrams.
const RUNS: usize = 8;

/// After this time segmentation offload is tried again: one bad destination turns it off for the
/// whole socket.
const OFFLOAD_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Where received datagrams are put.
pub(super) struct ReceiveBuffers {
    bytes: Vec<u8>,
    metas: [RecvMeta; RUNS],
}

impl ReceiveBuffers {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; RECEIVE_BYTES * RUNS], metas: [RecvMeta::default(); RUNS] }
    }
}

/// One bound socket.
pub(super) struct MediaSocket {
    /// Watched for what comes in only: every datagram that has left would wake the worker if it asked
    /// when there is room.
    socket: AsyncFd<std::net::UdpSocket>,
    state: UdpSocketState,
    ip: IpAddr,
    is_wildcard: bool,
    /// Whether runs may be given to the system at all.
    may_offload: bool,
    offload_lost_at: Option<Time>,
}

impl MediaSocket {
    /// Takes over a bound, non-blocking socket. Has to be called within a runtime.
    #[expect(
        deprecated,
        reason = "the call of the other name is unsafe, and what it asks for holds: a socket of the standard \
                  library has one descriptor for as long as it lives"
    )]
    pub(super) fn new(socket: std::net::UdpSocket, may_offload: bool) -> io::Result<Self> {
        let ip = socket.local_addr()?.ip();
        let state = UdpSocketState::new((&socket).into())?;
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self { socket, state, ip, is_wildcard: ip.is_unspecified(), may_offload, offload_lost_at: None })
    }

    /// Whether a datagram may be there.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // An error of readiness shows again, with its reason, at the receive call.
        let _ = ready!(self.socket.poll_read_ready(cx));
        Poll::Ready(())
    }

    /// Whether this socket reaches a path's far end from its near end.
    pub(super) fn serves(&self, path: &Path) -> bool {
        self.ip.is_ipv4() == path.remote.is_ipv4()
            && (self.is_wildcard || path.local.is_none_or(|local| local == self.ip))
    }

    /// Receives at most one batch and hands over each datagram; answers whether there may be more.
    pub(super) fn receive(
        &self,
        buffers: &mut ReceiveBuffers,
        each: impl FnMut(Path, &mut [u8]),
    ) -> io::Result<bool> {
        let received = self.socket.try_io(Interest::READABLE, |socket| self.fill(socket, buffers))?;
        if received < RUNS {
            // The queue is empty, which another call would only say again.
            let _ =
                self.socket.try_io(Interest::READABLE, |_| Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
        self.hand_out(buffers, received, each);
        Ok(received >= RUNS)
    }

    /// The same without asking the runtime first, which may not know yet what has come in a pause of the
    /// whole process.
    pub(super) fn receive_unasked(
        &self,
        buffers: &mut ReceiveBuffers,
        each: impl FnMut(Path, &mut [u8]),
    ) -> io::Result<usize> {
        let received = self.fill(self.socket.get_ref(), buffers)?;
        Ok(self.hand_out(buffers, received, each))
    }

    fn fill(&self, socket: &std::net::UdpSocket, buffers: &mut ReceiveBuffers) -> io::Result<usize> {
        let ReceiveBuffers { bytes, metas } = buffers;
        let mut chunks = bytes.chunks_mut(RECEIVE_BYTES);
        let mut slices: [IoSliceMut<'_>; RUNS] =
            array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        self.state.recv(socket.into(), &mut slices, metas.as_mut_slice())
    }

    fn hand_out(
        &self,
        buffers: &mut ReceiveBuffers,
        received: usize,
        mut each: impl FnMut(Path, &mut [u8]),
    ) -> usize {
        let ReceiveBuffers { bytes, metas } = buffers;
        let mut datagrams = 0;
        for (run, meta) in bytes.chunks_mut(RECEIVE_BYTES).zip(metas.iter()).take(received) {
            let local = if self.is_wildcard { meta.dst_ip } else { Some(self.ip) };
            let path = Path::new(meta.addr, local);
            let run = run.get_mut(..meta.len).unwrap_or_default();
            for datagram in run.chunks_mut(meta.stride.max(1)) {
                datagrams += 1;
                each(path, datagram);
            }
        }
        datagrams
    }

    /// Sends one datagram, or a run of them with one call, if the socket has room.
    pub(super) fn try_send(
        &self,
        path: &Path,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        // A socket bound to one address sends from it anyway, and cheaper without being told.
        let src_ip = if self.is_wildcard { path.local } else { None };
        if let (None, None) = (segment_size, src_ip) {
            // Without control data, which the system would copy and read for every datagram.
            return self.socket.get_ref().send_to(contents, path.remote).map(|_| ());
        }
        let transmit = Transmit { destination: path.remote, ecn: None, contents, segment_size, src_ip };
        self.state.try_send(self.socket.get_ref().into(), &transmit)
    }

    /// Whether the socket may be given runs.
    pub(super) fn has_offload(&self) -> bool {
        self.may_offload && self.state.max_gso_segments() > 1
    }

    /// Whether the system coalesces what comes in.
    pub(super) fn has_receive_offload(&self) -> bool {
        self.state.gro_segments() > 1
    }

    /// Tries segmentation offload again some time after the system refused it.
    pub(super) fn tend_offload(&mut self, now: Time) {
        if self.has_offload() || !self.may_offload {
            return;
        }
        let lost_at = *self.offload_lost_at.get_or_insert(now);
        if now.since(lost_at) < OFFLOAD_AGAIN_AFTER {
            return;
        }
        self.offload_lost_at = None;
        if let Ok(state) = UdpSocketState::new(self.socket.get_ref().into()) {
            self.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::addresses::bind_udp;
    use std::future::poll_fn;
    use std::net::SocketAddr;

    async fn socket(address: &str) -> (MediaSocket, SocketAddr) {
        let (socket, _) = bind_udp(address.parse().unwrap(), 1 << 20).unwrap();
        let address = socket.local_addr().unwrap();
        let socket = MediaSocket::new(socket, true).unwrap();
        (socket, address)
    }

    async fn receive(socket: &MediaSocket, how_many: usize) -> Vec<(Path, Vec<u8>)> {
        let mut buffers = ReceiveBuffers::new();
        let mut found = Vec::new();
        while found.len() < how_many {
            poll_fn(|cx| socket.poll_readable(cx)).await;
            let received = socket.receive(&mut buffers, |path, bytes| found.push((path, bytes.to_vec())));
            assert!(received.is_ok() || received.unwrap_err().kind() == io::ErrorKind::WouldBlock);
        }
        found
    }

    #[tokio::test]
    async fn a_run_arrives_as_its_datagrams() {
        let (sender, from) = socket("127.0.0.1:0").await;
        let (receiver, to) = socket("127.0.0.1:0").await;
        let run: Vec<u8> = (0..10_u8).flat_map(|i| [i; 100]).chain([77; 40]).collect();
        sender.try_send(&Path::new(to, Some(from.ip())), &run, Some(100)).unwrap();
        let found = receive(&receiver, 11).await;
        assert_eq!(found.len(), 11);
        assert!(found.iter().all(|(path, _)| *path == Path::new(from, Some(to.ip()))));
        assert_eq!(found[3].1, [3; 100]);
        assert_eq!(found[10].1, [77; 40]);
    }

    #[tokio::test]
    async fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
        let (server, anywhere) = socket("0.0.0.0:0").await;
        let (client, from) = socket("127.0.0.1:0").await;
        let asked = SocketAddr::new("127.0.0.2".parse().unwrap(), anywhere.port());
        client.try_send(&Path::new(asked, None), b"hello", None).unwrap();
        let (path, _) = receive(&server, 1).await.remove(0);
        assert_eq!(path, Path::new(from, Some(asked.ip())));
        assert!(server.serves(&path));
        server.try_send(&path, b"welcome", None).unwrap();
        assert_eq!(receive(&client, 1).await[0].0.remote, asked);
    }

    #[tokio::test]
    async fn a_socket_serves_its_own_address_and_family() {
        let (socket, own) = socket("127.0.0.1:0").await;
        let remote = "127.0.0.9:9".parse().unwrap();
        assert!(socket.serves(&Path::new(remote, Some(own.ip()))));
        assert!(socket.serves(&Path::new(remote, None)));
        assert!(!socket.serves(&Path::new(remote, Some("127.0.0.2".parse().unwrap()))));
        assert!(!socket.serves(&Path::new("[::1]:9".parse().unwrap(), None)));
    }

    #[tokio::test]
    async fn one_bad_destination_does_not_cost_everybody_offload_for_good() {
        let (mut socket, _) = socket("127.0.0.1:0").await;
        assert!(socket.has_offload(), "this system has no UDP segmentation offload");
        // Nothing leaves loopback for another network.
        let elsewhere = Path::new("192.0.2.1:9".parse().unwrap(), None);
        assert!(socket.try_send(&elsewhere, &[0; 300], Some(100)).is_err());
        let start = Time::from_unix_seconds(1);
        socket.tend_offload(start);
        assert!(!socket.has_offload());
        socket.tend_offload(start + Duration::from_secs(9));
        assert!(!socket.has_offload());
        socket.tend_offload(start + Duration::from_secs(10));
        assert!(socket.has_offload());
    }
}
