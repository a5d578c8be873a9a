//! A client and a server with a wire between them.

use std::time::Duration;

use super::super::record::{HANDSHAKE, records};
use super::*;
use crate::transport::srtp::SrtpKeys;
use crate::transport::{Fingerprint, TimeAnchor};

/// Who sent a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

pub(super) struct Pair {
    pub(super) now: Time,
    pub(super) client: RtcDtls,
    pub(super) server: RtcDtls,
    pub(super) client_keys: Option<SrtpKeys>,
    pub(super) server_keys: Option<SrtpKeys>,
    pub(super) client_end: Option<String>,
    pub(super) server_end: Option<String>,
    /// Datagrams on the wire so far.
    pub(super) sent: usize,
}

#[expect(clippy::disallowed_methods, reason = "the anchor needs some instant; the test never looks at it")]
pub(in crate::transport) fn anchor() -> TimeAnchor {
    TimeAnchor { at: Time(0), instant: std::time::Instant::now() }
}

impl Pair {
    pub(super) fn new(profiles: &[SrtpProfile]) -> Self {
        let (client, server) = (DtlsIdentity::generate().unwrap(), DtlsIdentity::generate().unwrap());
        let (of_client, of_server) = (client.fingerprint().clone(), server.fingerprint().clone());
        Self::of(&client, &server, &[of_client], &[of_server], profiles)
    }

    /// `of_client` is what the server expects, `of_server` what the client does.
    pub(super) fn of(
        client: &DtlsIdentity,
        server: &DtlsIdentity,
        of_client: &[Fingerprint],
        of_server: &[Fingerprint],
        profiles: &[SrtpProfile],
    ) -> Self {
        let now = Time(1_000_000);
        Self {
            now,
            client: RtcDtls::client(now, client, of_server, profiles, anchor()).unwrap(),
            server: RtcDtls::server(server, of_client, anchor()),
            client_keys: None,
            server_keys: None,
            client_end: None,
            server_end: None,
            sent: 0,
        }
    }

    /// Runs until both ends are up or have failed, or nothing can happen any more.
    pub(super) fn run(&mut self) {
        self.run_over(|_, datagram| vec![datagram]);
    }

    /// The same over a wire that may drop, change or multiply datagrams.
    pub(super) fn run_over(&mut self, mut wire: impl FnMut(End, Vec<u8>) -> Vec<Vec<u8>>) {
        let end = self.now + Duration::from_secs(60);
        for _ in 0..1_000 {
            self.deliver(&mut wire);
            let up = self.client_keys.is_some() && self.server_keys.is_some();
            let next = [self.client.poll_timeout(), self.server.poll_timeout()].into_iter().flatten().min();
            let Some(at) = next.filter(|at| !up && *at < end) else { return };
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
        panic!("the timers do not come to rest");
    }

    /// Carries datagrams until both ends are quiet. A datagram takes 1 ms.
    pub(super) fn deliver(&mut self, wire: &mut impl FnMut(End, Vec<u8>) -> Vec<Vec<u8>>) {
        loop {
            let from_client: Vec<_> = std::iter::from_fn(|| self.client.poll_transmit()).collect();
            let from_server: Vec<_> = std::iter::from_fn(|| self.server.poll_transmit()).collect();
            self.take_events();
            if from_client.is_empty() && from_server.is_empty() {
                return;
            }
            self.sent += from_client.len() + from_server.len();
            assert!(from_client.iter().chain(&from_server).all(|datagram| datagram.len() <= MAX_DATAGRAM));
            self.now = self.now + Duration::from_millis(1);
            for datagram in from_client.into_iter().flat_map(|one| wire(End::Client, one)) {
                self.server.handle_datagram(self.now, &datagram);
            }
            for datagram in from_server.into_iter().flat_map(|one| wire(End::Server, one)) {
                self.client.handle_datagram(self.now, &datagram);
            }
        }
    }

    pub(super) fn take_events(&mut self) {
        take(&mut self.client, &mut self.client_keys, &mut self.client_end);
        take(&mut self.server, &mut self.server_keys, &mut self.server_end);
    }

    /// That both ends hold the same keys of `profile`.
    pub(super) fn assert_up(&self, profile: SrtpProfile) {
        let ends = (&self.client_end, &self.server_end);
        let (Some(client), Some(server)) = (&self.client_keys, &self.server_keys) else {
            panic!("not up: {ends:?}");
        };
        assert_eq!((client.profile, server.profile), (profile, profile));
        let (mut out, _) = client.client_contexts().unwrap();
        let (_, mut into) = server.server_contexts().unwrap();
        let mut packet = [[0x80; 12].as_slice(), &[0; 16]].concat();
        let len = out.seal_rtp(&mut packet, 12, 0x8080).unwrap();
        assert!(into.open_rtp(&mut packet[..len]).is_ok());
    }
}

fn take(dtls: &mut RtcDtls, keys: &mut Option<SrtpKeys>, end: &mut Option<String>) {
    while let Some(event) = dtls.poll_event() {
        assert!(end.is_none(), "{event:?} after the end");
        match event {
            DtlsEvent::Connected(exported) => assert!(keys.replace(exported).is_none(), "connected twice"),
            DtlsEvent::Failed(failure) => *end = Some(format!("{failure:?}")),
            DtlsEvent::Closed => *end = Some("Closed".to_owned()),
        }
    }
}

/// Cuts the first handshake message of a datagram, which is whole, into records of `cut` bytes, one per datagram.
pub(in crate::transport) fn fragmented(datagram: &[u8], cut: usize) -> Vec<Vec<u8>> {
    let header: &[u8] = &datagram[..13];
    let first = records(datagram).next().unwrap();
    let (message_header, body) = first.body.split_at(12);
    let mut pieces = Vec::new();
    for (number, piece) in body.chunks(cut).enumerate() {
        let mut record = header[..11].to_vec();
        // Record numbers of their own: 20 for the first piece of message 0, 40 for that of message 1.
        record[10] = 20 * (1 + message_header[5]) + u8::try_from(number).unwrap();
        record.extend(u16::try_from(12 + piece.len()).unwrap().to_be_bytes());
        record.extend(&message_header[..6]);
        record.extend(&u32::try_from(number * cut).unwrap().to_be_bytes()[1..]);
        record.extend(&u32::try_from(piece.len()).unwrap().to_be_bytes()[1..]);
        record.extend(piece);
        pieces.push(record);
    }
    pieces
}

/// Whether a datagram begins with a ClientHello.
pub(in crate::transport) fn is_client_hello(datagram: &[u8]) -> bool {
    records(datagram).next().is_some_and(|one| one.content_type == HANDSHAKE && one.body[0] == 1)
}
