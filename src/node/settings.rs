//! `[listen]` and `[node]`: addresses, ports, threads, stopping.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// A key of a section and what is wrong with its value.
type Fault = (&'static str, String);

/// More addresses than a machine of this kind has; each worker has a socket on every one.
const MOST_ADDRESSES: usize = 8;

/// More workers than cores of any machine that this is meant for.
const MOST_WORKERS: u16 = 256;

/// A server without people is well below it.
const LEAST_MEMORY_MB: u32 = 32;

/// Addresses and ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSettings {
    /// Addresses of the HTTP door: page, WebSocket, rooms.
    pub http: Vec<IpAddr>,
    /// Its port; 0 takes a free one.
    pub port: u16,
    /// Address and port of `/metrics`; port 0 takes a free one.
    pub metrics: SocketAddr,
    /// Addresses of the media sockets.
    pub media: Vec<IpAddr>,
    /// UDP port of the first media worker, the next worker has the next port; 0 takes free ones.
    pub media_port: u16,
    /// Addresses that clients are told instead of those of `media` (NAT 1:1). Empty: those of
    /// `media`, and for a wildcard those of the machine's interfaces.
    pub advertised: Vec<IpAddr>,
}

impl Default for ListenSettings {
    fn default() -> Self {
        let loopback = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        Self {
            http: loopback.clone(),
            port: 8080,
            metrics: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464),
            media: loopback,
            media_port: 0,
            advertised: Vec::new(),
        }
    }
}

impl ListenSettings {
    /// The key and the fault of a setting that cannot be had.
    ///
    /// # Errors
    /// For an empty or overlong list, and for an address that no client could use.
    pub fn check(&self) -> Result<(), Fault> {
        check_list("http", &self.http, 1)?;
        check_list("media", &self.media, 1)?;
        let unusable = self.advertised.iter().find(|ip| ip.is_unspecified() || ip.is_multicast());
        if let Some(ip) = unusable {
            return Err(("advertised", format!("{ip} is no address that a client could send to")));
        }
        check_list("advertised", &self.advertised, 0)?;
        self.check_metrics()
    }

    fn check_metrics(&self) -> Result<(), Fault> {
        let (metrics, port) = (self.metrics, self.port);
        let meets = |ip: &IpAddr| *ip == metrics.ip() || ip.is_unspecified() || metrics.ip().is_unspecified();
        if port != 0 && port == metrics.port() && self.http.iter().any(meets) {
            return Err((
                "metrics",
                format!("{port} is the port of the HTTP door, too: take another for one"),
            ));
        }
        Ok(())
    }
}

fn check_list(key: &'static str, list: &[IpAddr], least: usize) -> Result<(), Fault> {
    if list.len() < least {
        return Err((key, "name at least one address, for example \"127.0.0.1\"".to_owned()));
    }
    if list.len() > MOST_ADDRESSES {
        return Err((key, format!("at most {MOST_ADDRESSES} addresses")));
    }
    let twice =
        list.iter().enumerate().find(|(index, ip)| list.iter().take(*index).any(|other| other == *ip));
    if let Some((_, ip)) = twice {
        return Err((key, format!("{ip} is named twice")));
    }
    let beside = |all: &&IpAddr| list.iter().find(|ip| *ip != *all && ip.is_ipv4() == all.is_ipv4());
    let covered = list.iter().filter(|ip| ip.is_unspecified()).find_map(|all| Some((all, beside(&all)?)));
    match covered {
        Some((all, ip)) => {
            Err((key, format!("{all} stands for all addresses of its kind, {ip} too: name one of them")))
        }
        None => Ok(()),
    }
}

/// Threads, sockets, limits, stopping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSettings {
    /// Media workers: threads, each with a UDP port of its own; 0 takes one for each core.
    pub workers: u16,
    /// Participants of a room on one media worker before the room takes another as well.
    pub seats_per_worker: usize,
    /// Bytes asked of the system for each media socket's buffer, each way.
    pub socket_buffer_bytes: u32,
    /// Whether runs of datagrams leave in one system call (UDP GSO) where the system can. What some
    /// network cards make of them is broken.
    pub segmentation_offload: bool,
    /// Parent rooms at once; a join that would make one more is refused.
    pub max_rooms: usize,
    /// Megabytes that the process may have: near them nobody new is let in. 0 leaves that to its control
    /// group, whose limit counts in any case.
    pub memory_mb: u32,
    /// Seconds that a stop may take before what is left is cut off.
    pub stop_seconds: u16,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self {
            workers: 0,
            seats_per_worker: 250,
            socket_buffer_bytes: 4_194_304,
            segmentation_offload: true,
            max_rooms: 10_000,
            memory_mb: 0,
            stop_seconds: 5,
        }
    }
}

impl NodeSettings {
    /// How many media workers there are: one for each core unless a number is set.
    #[must_use]
    pub fn worker_count(&self) -> u16 {
        if self.workers > 0 {
            return self.workers;
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        u16::try_from(cores).unwrap_or(MOST_WORKERS).min(MOST_WORKERS)
    }

    /// `memory_mb` in bytes.
    #[must_use]
    pub const fn memory_bytes(&self) -> u64 {
        self.memory_mb as u64 * 1_000_000
    }

    /// The key and the fault of a setting that cannot be had.
    ///
    /// # Errors
    /// For a number out of its range.
    pub fn check(&self) -> Result<(), Fault> {
        if self.workers > MOST_WORKERS {
            return Err(("workers", format!("{} is not within 0 to {MOST_WORKERS}", self.workers)));
        }
        if self.seats_per_worker == 0 {
            return Err(("seats_per_worker", "0 would put nobody anywhere".to_owned()));
        }
        if !(65_536..=1_073_741_824).contains(&self.socket_buffer_bytes) {
            let message = format!("{} is not within 65536 to 1073741824", self.socket_buffer_bytes);
            return Err(("socket_buffer_bytes", message));
        }
        if self.max_rooms == 0 {
            return Err(("max_rooms", "0 would let nobody in".to_owned()));
        }
        if (1..LEAST_MEMORY_MB).contains(&self.memory_mb) {
            let message = format!("{} is below {LEAST_MEMORY_MB}, which an empty server has", self.memory_mb);
            return Err(("memory_mb", message));
        }
        if self.stop_seconds > 300 {
            return Err(("stop_seconds", format!("{} is above 300", self.stop_seconds)));
        }
        Ok(())
    }
}
