//! Many who begin a handshake and never end it, driven by one thread.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::{Duration, Instant};

use anteroom::client::Participant;
use anteroom::telemetry::Clock;
use anteroom::transport::sdp::ServerAnswer;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::crafted;
use super::ear::name;
use super::hostile::{Manners, new_participant};
use super::ws::Client;

/// Handshake messages of a plaintext record.
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// What a half handshake sends in vain: 160 KB, of which the server takes no more than its budget of 64 KiB.
const FRAGMENT: usize = 1_000;
pub(crate) const FRAGMENTS: u16 = 160;
/// Of that many messages: a handshake has numbers for 16, and its first ones have been used.
const MESSAGES: u16 = 12;

pub(crate) struct Half {
    pub(crate) client: Client,
    participant: Participant,
    socket: UdpSocket,
    media: SocketAddr,
    is_answered: bool,
}

impl Half {
    pub(crate) async fn join(http: SocketAddr, clock: Clock, room: &str, name: &str) -> Self {
        let mut client = Client::enter(http, room, name, "participant").await;
        let mut participant = new_participant(clock, Manners::default().settings);
        let (offer, tracks) = participant.offer();
        let joined = client.succeed("joinRoom", json!({"sdp": offer, "tracks": tracks})).await;
        let answer = joined["sdp"].as_str().unwrap();
        participant.answer(clock.now(), answer).unwrap();
        let media = ServerAnswer::parse(answer).unwrap().candidates[0];
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { client, participant, socket, media, is_answered: false }
    }

    /// Goes as far as the server's first flight, and no further.
    fn go_on(&mut self, clock: Clock) {
        let mut buffer = [0; 2048];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            let datagram = &mut buffer[..len];
            self.is_answered |= message(datagram) == Some(SERVER_HELLO);
            self.participant.handle_datagram(clock.now(), from, datagram);
        }
        self.participant.handle_timeout(clock.now());
        while let Some((to, len)) = self.participant.poll_transmit(clock.now(), &mut buffer) {
            let datagram = &buffer[..len];
            if name(datagram) == "stun" || message(datagram) == Some(CLIENT_HELLO) {
                let _ = self.socket.send_to(datagram, to);
            }
        }
    }

    /// Waits for the end of its connection, which has 10 s for its handshake; answers why it ended.
    pub(crate) async fn is_lost(&mut self) -> Value {
        loop {
            let next = timeout(Duration::from_secs(20), self.client.socket.next());
            let Some(Ok(message)) = next.await.expect("the end of the handshake") else { panic!("closed") };
            let Message::Text(text) = message else { continue };
            let mut frame: Value = serde_json::from_str(&text).unwrap();
            if frame["event"] == "transportLost" {
                return frame["data"]["reason"].take();
            }
        }
    }

    /// Sends some of the fragments of messages that never become whole: all have a place within a message of
    /// the longest kind, and none is its first byte. Answers how many left.
    pub(crate) fn send_fragments(&self, which: Range<u16>) -> u64 {
        const WHOLE: usize = 16_000;
        let part = [0x5a; FRAGMENT];
        let sent = which.filter(|n| {
            let offset = 1 + usize::from(n / MESSAGES) * part.len();
            assert!(offset + part.len() <= WHOLE);
            let datagram = crafted::fragment(11, 2 + n % MESSAGES, WHOLE, offset, &part);
            self.socket.send_to(&datagram, self.media).is_ok()
        });
        sent.count() as u64
    }
}

fn message(datagram: &[u8]) -> Option<u8> {
    (name(datagram) == "dtls" && datagram[0] == 22 && datagram[3..5] == [0, 0]).then(|| datagram[13])
}

/// Lets all come to the middle of their handshakes.
pub(crate) fn come_half_way(herd: &mut [Half], clock: Clock) {
    let began = Instant::now();
    while herd.iter().any(|half| !half.is_answered) {
        let answered = || herd.iter().filter(|half| half.is_answered).count();
        let late = began.elapsed() > Duration::from_secs(20);
        assert!(!late, "{} of {} are answered", answered(), herd.len());
        herd.iter_mut().for_each(|half| half.go_on(clock));
        std::thread::sleep(Duration::from_millis(2));
    }
}
