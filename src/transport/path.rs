//! The way between a worker's socket and a peer.

use std::net::{IpAddr, SocketAddr};

/// Where a datagram came from, or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// The peer's address.
    pub remote: SocketAddr,
    /// The address of ours that the peer sent to, where the system tells; answers leave from it.
    pub local: Option<IpAddr>,
}
