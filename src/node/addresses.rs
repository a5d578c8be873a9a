//! Binding: one port on several addresses, and what clients are told of it.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// How often another free port is tried when the one that the system chose for the first address
/// is taken on another.
const FREE_PORT_TRIES: usize = 16;

/// TCP connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

/// Binds one port on each address; port 0 takes one that is free on all.
///
/// An IPv6 address of a machine without IPv6 is left out, as long as another address works.
pub(super) fn bind_all<S>(
    addresses: &[IpAddr],
    port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<(S, u16)>,
) -> Result<Vec<S>, (SocketAddr, io::Error)> {
    let mut tries = 0;
    loop {
        tries += 1;
        match bind_once(addresses, port, &bind) {
            Err((_, error))
                if port == 0 && error.kind() == io::ErrorKind::AddrInUse && tries < FREE_PORT_TRIES => {}
            done => return done,
        }
    }
}

fn bind_once<S>(
    addresses: &[IpAddr],
    mut port: u16,
    bind: &impl Fn(SocketAddr) -> io::Result<(S, u16)>,
) -> Result<Vec<S>, (SocketAddr, io::Error)> {
    let mut bound = Vec::new();
    let mut missing = None;
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        match bind(address) {
            Ok((socket, chosen)) => {
                port = chosen;
                bound.push(socket);
            }
            Err(error) if ip.is_ipv6() && is_no_such_address(&error) => missing = Some((address, error)),
            Err(error) => return Err((address, error)),
        }
    }
    match missing {
        Some(missing) if bound.is_empty() => Err(missing),
        Some((address, error)) => {
            tracing::warn!(%address, %error, "this machine does not have this address; it is left out");
            Ok(bound)
        }
        None => Ok(bound),
    }
}

fn is_no_such_address(error: &io::Error) -> bool {
    // EAFNOSUPPORT, where the kernel has no IPv6 at all, has no kind of its own.
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// A TCP listener, and its port.
pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, u16)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of a process that has just ended do not keep the port.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// A UDP socket with large buffers, and its port.
pub(super) fn bind_udp(address: SocketAddr, buffer_bytes: usize) -> io::Result<(UdpSocket, u16)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    // The system caps these without an error; what it gives is what there is.
    socket.set_recv_buffer_size(buffer_bytes)?;
    socket.set_send_buffer_size(buffer_bytes)?;
    let socket = UdpSocket::from(socket);
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

/// What clients are told: the configured addresses, else those that the sockets are bound to, with
/// a wildcard standing for the machine's interfaces.
pub(super) fn candidates(bound: &[SocketAddr], advertised: &[IpAddr]) -> io::Result<Vec<SocketAddr>> {
    let Some(port) = bound.first().map(SocketAddr::port) else { return Ok(Vec::new()) };
    if !advertised.is_empty() {
        return Ok(advertised.iter().map(|ip| SocketAddr::new(*ip, port)).collect());
    }
    let interfaces = if bound.iter().any(|address| address.ip().is_unspecified()) {
        if_addrs::get_if_addrs()?.iter().map(if_addrs::Interface::ip).collect()
    } else {
        Vec::new()
    };
    Ok(expand(bound, &interfaces))
}

fn expand(bound: &[SocketAddr], interfaces: &[IpAddr]) -> Vec<SocketAddr> {
    let usable: Vec<IpAddr> = interfaces.iter().copied().filter(|ip| !is_link_local(ip)).collect();
    let is_online = usable.iter().any(|ip| !ip.is_loopback());
    let mut found = Vec::new();
    for address in bound {
        if !address.ip().is_unspecified() {
            found.push(*address);
            continue;
        }
        let same_family = usable.iter().filter(|ip| ip.is_ipv4() == address.is_ipv4());
        // Other machines' loopback is not this one; it is told only where there is nothing else.
        let told = same_family.filter(|ip| !is_online || !ip.is_loopback());
        found.extend(told.map(|ip| SocketAddr::new(*ip, address.port())));
    }
    found
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn sockets(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_wildcard_stands_for_the_addresses_of_its_family() {
        let interfaces = ips(&["127.0.0.1", "::1", "192.0.2.7", "169.254.1.1", "2001:db8::7", "fe80::1"]);
        assert_eq!(
            expand(&sockets(&["0.0.0.0:9", "[::]:9"]), &interfaces),
            sockets(&["192.0.2.7:9", "[2001:db8::7]:9"])
        );
        assert_eq!(expand(&sockets(&["0.0.0.0:9"]), &ips(&["127.0.0.1"])), sockets(&["127.0.0.1:9"]));
    }

    #[test]
    fn configured_addresses_come_before_bound_ones() {
        let bound = sockets(&["10.0.0.1:9"]);
        let public = ips(&["203.0.113.5", "2001:db8::5"]);
        assert_eq!(candidates(&bound, &public).unwrap(), sockets(&["203.0.113.5:9", "[2001:db8::5]:9"]));
        assert_eq!(candidates(&bound, &[]).unwrap(), bound);
    }

    #[test]
    fn one_free_port_is_found_for_all_addresses() {
        let addresses = ips(&["127.0.0.1", "127.0.0.2"]);
        let bound = bind_all(&addresses, 0, |address| bind_udp(address, 65_536)).unwrap();
        let ports: Vec<u16> = bound.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports[0] == ports[1], "{ports:?}");
        let (address, error) =
            bind_all(&addresses, ports[0], |address| bind_udp(address, 65_536)).unwrap_err();
        assert_eq!((address.port(), error.kind()), (ports[0], io::ErrorKind::AddrInUse));
    }
}
