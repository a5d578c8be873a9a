//! What can happen in the simulated world.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::placements::Tag;
use crate::base::{Epoch, LinkId, WorkerId};
use crate::media::Handover;
use crate::message::{Claims, Frame, MediaCommand, MediaReport, Request};

/// One thing that happens at one moment.
pub(super) enum Event {
    /// A datagram reaches a worker; a forged one has to be dropped.
    ToWorker { worker: usize, from: Port, is_forged: bool, bytes: Vec<u8> },
    /// A datagram reaches a person; the tag says what was true when it left.
    ToPerson { to: Port, worker: usize, tag: Tag, bytes: Vec<u8> },
    /// A frame reaches a person.
    Frame { link: LinkId, frame: Box<Frame> },
    /// A person's link has ended, as the person sees it.
    LinkEnded { link: LinkId },
    /// Something of a person's link reaches control.
    Uplink { link: LinkId, what: Box<Uplink> },
    /// A command reaches a worker, if it is still the one that it was meant for.
    Command { worker: usize, generation: u64, command: Box<MediaCommand> },
    /// A report reaches control.
    Report { worker: usize, generation: u64, report: Box<MediaReport> },
    /// Packets of one worker reach another.
    Handover { to: usize, from: WorkerId, handover: Box<Handover> },
    /// A person may have something to do.
    PersonTimer { person: usize },
    /// A worker may have something to do.
    WorkerTimer { worker: usize },
    /// Control may have something to do.
    ControlTimer,
    /// A person comes, or comes back.
    Return { person: usize },
    /// A person's link comes back, and its media has never been away.
    Reattach { person: usize },
    /// A person makes another media connection, though the one that it has is well.
    ConnectAnew { person: usize },
    /// A worker wakes up that was stuck.
    Wake { worker: usize, generation: u64 },
    /// The script goes on.
    Step,
    /// The counters are looked at.
    Check,
}

/// What a client's edge tells control.
pub(super) enum Uplink {
    Opened(Claims),
    Request(Request),
    Told(Epoch),
    Closed,
}

/// A person's socket: the port changes with each connection, and when a NAT binds it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) person: usize,
    pub(super) port: u16,
}

impl Port {
    /// Its address.
    pub(super) fn address(self) -> SocketAddr {
        let [.., high, low] = self.person.to_be_bytes();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, high, low)), self.port)
    }

    /// Whose address this is.
    pub(super) fn of(address: SocketAddr) -> Option<Self> {
        let IpAddr::V4(ip) = address.ip() else { return None };
        let [10, 1, high, low] = ip.octets() else { return None };
        Some(Self { person: usize::from(high) << 8 | usize::from(low), port: address.port() })
    }
}

/// The address of a worker's socket.
pub(super) fn worker_address(worker: usize) -> SocketAddr {
    let last = u8::try_from(worker + 1).unwrap_or(u8::MAX);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 5_000)
}

/// Which worker's socket has this address.
pub(super) fn worker_of(address: SocketAddr) -> Option<usize> {
    let IpAddr::V4(ip) = address.ip() else { return None };
    let [10, 0, 0, last] = ip.octets() else { return None };
    usize::from(last).checked_sub(1)
}

/// The links of a person are numbered by it.
pub(super) fn link_of(person: usize, count: u64) -> LinkId {
    LinkId((u64::try_from(person).unwrap_or(0) << 32) | (count & 0xffff_ffff))
}

/// Whose link this is.
pub(super) fn person_of(link: LinkId) -> usize {
    usize::try_from(link.0 >> 32).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_links_name_their_owner() {
        let port = Port { person: 300, port: 40_001 };
        assert_eq!(Port::of(port.address()), Some(port));
        assert_eq!(worker_of(worker_address(3)), Some(3));
        assert_eq!(Port::of(worker_address(3)), None);
        assert_eq!(person_of(link_of(7, 9)), 7);
    }
}
