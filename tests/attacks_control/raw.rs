//! A WebSocket client that sends whatever bytes it likes: blocking, for threads of their own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::http::PATIENCE;

/// The opening handshake of RFC 6455 section 1.3.
pub(crate) const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(crate) struct RawSocket {
    pub(crate) stream: TcpStream,
    /// The head of the answer to the handshake.
    pub(crate) head: String,
}

impl RawSocket {
    /// Opens a WebSocket with these header lines beside the handshake's.
    pub(crate) fn open(address: SocketAddr, token: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let request =
            format!("GET /v1/ws?token={token} HTTP/1.1\r\nHost: {address}\r\n{HANDSHAKE}{headers}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        Self { stream, head: String::from_utf8(head).unwrap() }
    }

    /// Whether all of it could be sent: the server may have hung up meanwhile.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next frame of the server: its opcode and payload. `None` at the end.
    pub(crate) fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.read(&mut head)?;
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                self.read(&mut len)?;
                u64::from(u16::from_be_bytes(len))
            }
            127 => {
                let mut len = [0; 8];
                self.read(&mut len)?;
                u64::from_be_bytes(len)
            }
            len => u64::from(len),
        };
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        self.read(&mut payload)?;
        Some((head[0] & 0x0f, payload))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Option<()> {
        match self.stream.read_exact(bytes) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("the server says nothing and does not hang up")
            }
            Err(_) => None,
        }
    }

    /// The code with which the server closes, past everything else.
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        loop {
            let (opcode, payload) = self.frame()?;
            if opcode == 8 {
                return Some(u16::from_be_bytes(payload[..2].try_into().unwrap()));
            }
        }
    }
}

/// A client's frame: the first byte as given, the payload masked with zeroes.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    frame(0x81, text.as_bytes())
}
