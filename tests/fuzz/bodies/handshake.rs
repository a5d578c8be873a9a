//! A whole handshake over a wire that does what the bytes say.

use std::collections::VecDeque;
use std::time::Duration;

use anteroom::transport::dtls::{Dtls, DtlsEvent, RtcDtls};
use anteroom::transport::srtp::SrtpKeys;

use super::dtls::{NOW, client, server};
use super::input::Input;

/// Virtual time: longer than a handshake may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Steps of the wire: a handshake is repeated a dozen times at the most.
const MAX_STEPS: usize = 2_000;

/// Whatever is done to the datagrams: both ends agree on keys, or one of them has none.
pub fn handshake(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut client, mut server, mut now) = (client(), server(), NOW);
    let (mut of_client, mut of_server) = (None, None);
    let mut steps = 0;
    while now < NOW + PATIENCE && !(of_client.is_some() && of_server.is_some()) {
        steps += 1;
        assert!(steps < MAX_STEPS, "the ends do not come to rest");
        let to_server = over(&mut input, std::iter::from_fn(|| client.poll_transmit()));
        let to_client = over(&mut input, std::iter::from_fn(|| server.poll_transmit()));
        let is_quiet = to_server.is_empty() && to_client.is_empty();
        now = now + Duration::from_millis(1);
        to_server.iter().for_each(|datagram| server.handle_datagram(now, datagram));
        to_client.iter().for_each(|datagram| client.handle_datagram(now, datagram));
        take(&mut client, &mut of_client);
        take(&mut server, &mut of_server);
        if is_quiet {
            let next = [client.poll_timeout(), server.poll_timeout()].into_iter().flatten().min();
            let Some(next) = next else { break };
            now = now.max(next);
            client.handle_timeout(now);
            server.handle_timeout(now);
        }
    }
    let (Some(client), Some(server)) = (of_client, of_server) else { return };
    assert_eq!(client.profile, server.profile);
    let (mut out, _) = client.client_contexts().unwrap();
    let (_, mut into) = server.server_contexts().unwrap();
    let mut packet = [[0x80; 12].as_slice(), &[0; 16]].concat();
    let len = out.seal_rtp(&mut packet, 12, 0x8080).unwrap();
    assert!(into.open_rtp(&mut packet[..len]).is_ok(), "the ends hold other keys");
}

fn take(end: &mut RtcDtls, keys: &mut Option<SrtpKeys>) {
    while let Some(event) = end.poll_event() {
        if let DtlsEvent::Connected(exported) = event {
            assert!(keys.replace(exported).is_none(), "connected twice");
        }
    }
}

/// What becomes of datagrams on the way.
fn over(input: &mut Input<'_>, sent: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut arriving = VecDeque::new();
    for mut datagram in sent {
        match input.u8() % 12 {
            5 => {}
            6 => {
                let at = usize::from(input.u16()) % datagram.len();
                datagram[at] ^= input.u8();
                arriving.push_back(datagram);
            }
            7 => {
                datagram.truncate(usize::from(input.u16()) % datagram.len());
                arriving.push_back(datagram);
            }
            8 => {
                arriving.push_back(datagram.clone());
                arriving.push_back(datagram);
            }
            9 => {
                arriving.push_back(input.piece().to_vec());
                arriving.push_back(datagram);
            }
            10 => arriving.push_front(datagram),
            11 => {
                let cut = usize::from(input.u16()) % datagram.len();
                let tail = datagram.split_off(cut);
                arriving.push_back(datagram);
                arriving.push_back(tail);
            }
            _ => arriving.push_back(datagram),
        }
    }
    arriving.into()
}
