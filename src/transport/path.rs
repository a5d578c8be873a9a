//! The way between a worker's socket and a peer.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// Where a datagram came from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// The peer's address.
    pub remote: SocketAddr,
    /// The address of ours that the peer sent to, where the system tells; answers leave from it.
    pub local: Option<IpAddr>,
}

impl Path {
    /// A path in its one spelling, see [`Self::canonical`].
    #[must_use]
    pub fn new(remote: SocketAddr, local: Option<IpAddr>) -> Self {
        Self { remote, local }.canonical()
    }

    /// The same path with IPv4 addresses written as such, not mapped into IPv6 (RFC 4291 section
    /// 2.5.5.2), and without the flow label, which may differ between datagrams: so that equal paths
    /// compare equal.
    #[must_use]
    pub fn canonical(self) -> Self {
        let remote = match (self.remote.ip().to_canonical(), self.remote) {
            (IpAddr::V6(ip), SocketAddr::V6(from)) => {
                SocketAddrV6::new(ip, from.port(), 0, from.scope_id()).into()
            }
            (ip, from) => SocketAddr::new(ip, from.port()),
        };
        Self { remote, local: self.local.map(|ip| ip.to_canonical()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_address_is_the_address_itself() {
        let mapped =
            Path::new("[::ffff:192.0.2.1]:5000".parse().unwrap(), Some("::ffff:10.0.0.1".parse().unwrap()));
        let plain = Path::new("192.0.2.1:5000".parse().unwrap(), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(mapped, plain);
    }

    #[test]
    fn a_flow_label_makes_no_other_path_and_a_scope_does() {
        let ip = "fe80::1".parse().unwrap();
        let path = |flow, scope| Path::new(SocketAddrV6::new(ip, 5000, flow, scope).into(), None);
        assert_eq!(path(7, 2), path(0, 2));
        assert_ne!(path(0, 2), path(0, 3));
    }
}
