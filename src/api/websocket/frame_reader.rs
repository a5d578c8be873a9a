//! What a client's bytes say: RFC 6455 section 5, as a server reads it, without extensions.

/// The longest header of a frame: two bytes, eight of length, four of mask (section 5.2).
const MAX_HEAD: usize = 14;

/// What a control frame may carry (section 5.5).
const MAX_CONTROL_BYTES: u64 = 125;

/// A message of a client, or a control frame.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text, whole.
    Text(String),
    /// A ping; the socket answers it.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// The client closes; with the code to answer with.
    Close(Option<u16>),
}

/// Why a client is not listened to any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A message that is longer than allowed.
    #[error("a message is too long")]
    TooLong,
    /// A binary message, which the client protocol has not.
    #[error("a message is binary")]
    Binary,
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    NoUtf8,
    /// A frame that the protocol does not know or not here.
    #[error("{0}")]
    Protocol(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// A frame of which payload is missing.
#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    kind: Kind,
    is_final: bool,
    /// Turned so that it begins with the byte for the next one of the payload.
    mask: [u8; 4],
    missing: u64,
}

impl OpenFrame {
    /// Reads a header; `None` while bytes of it are missing.
    fn parse(head: &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, rest @ ..] = head else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(Violation::Protocol("a reserved bit is set"));
        }
        // Section 5.1: a server closes on a frame that is not masked.
        if second & 0x80 == 0 {
            return Err(Violation::Protocol("a frame is not masked"));
        }
        let kind = match first & 0x0f {
            0 => Kind::Continuation,
            1 => Kind::Text,
            2 => Kind::Binary,
            8 => Kind::Close,
            9 => Kind::Ping,
            10 => Kind::Pong,
            _ => return Err(Violation::Protocol("an opcode is reserved")),
        };
        let (missing, mask) = match (second & 0x7f, rest) {
            (126, [a, b, mask @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), mask),
            (127, [a, b, c, d, e, f, g, h, mask @ ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), mask)
            }
            (126 | 127, _) => return Ok(None),
            (short, mask) => (u64::from(short), mask),
        };
        // Section 5.2: the fewest bytes that can say a length have to say it.
        let is_longer = match second & 0x7f {
            126 => missing < 126,
            127 => missing <= u64::from(u16::MAX),
            _ => false,
        };
        if is_longer {
            return Err(Violation::Protocol("a length is written longer than it has to be"));
        }
        let Some(mask) = mask.first_chunk() else { return Ok(None) };
        Ok(Some(Self { kind, is_final: first & 0x80 != 0, mask: *mask, missing }))
    }

    const fn is_control(&self) -> bool {
        matches!(self.kind, Kind::Close | Kind::Ping | Kind::Pong)
    }
}

/// Puts messages together. What it holds are the bytes of an unfinished message, and nothing while
/// the client says nothing.
#[derive(Debug)]
pub struct FrameReader {
    max_message: usize,
    head: [u8; MAX_HEAD],
    head_len: usize,
    frame: Option<OpenFrame>,
    /// The text so far, between its first frame and its last.
    text: Option<Vec<u8>>,
    control: Vec<u8>,
    /// Whether texts are thrown away: only the client's close is waited for.
    is_deaf: bool,
    /// Whether it is no longer known where a frame begins.
    is_lost: bool,
    /// Frames that have begun since they were last asked for.
    frames: u64,
}

impl FrameReader {
    /// A reader of messages of at most so many bytes.
    #[must_use]
    pub const fn new(max_message: usize) -> Self {
        Self {
            max_message,
            head: [0; MAX_HEAD],
            head_len: 0,
            frame: None,
            text: None,
            control: Vec::new(),
            is_deaf: false,
            is_lost: false,
            frames: 0,
        }
    }

    /// How many frames have begun since this was last asked, whether or not they made a message.
    pub(super) fn take_frames(&mut self) -> u64 {
        std::mem::take(&mut self.frames)
    }

    /// From here on messages are passed over, of whatever kind and length they are.
    pub fn turn_deaf(&mut self) {
        self.is_deaf = true;
        self.text = None;
    }

    /// Reads until a message is whole or there are no more bytes; takes what it has read off the front.
    ///
    /// # Errors
    /// Why the client is not listened to any longer. What comes behind is passed over, but for its close;
    /// that too where frames are not what they should be.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Incoming>, Violation> {
        if self.is_lost {
            *bytes = &[];
            return Ok(None);
        }
        let read = self.read_frames(bytes);
        if let Err(Violation::Protocol(_)) = read {
            self.is_lost = true;
        }
        read
    }

    fn read_frames(&mut self, bytes: &mut &[u8]) -> Result<Option<Incoming>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_head(bytes)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            self.read_payload(&mut frame, bytes);
            if frame.missing > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(incoming) = self.finish(&frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    fn read_head(&mut self, bytes: &mut &[u8]) -> Result<Option<OpenFrame>, Violation> {
        loop {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(None) };
            *bytes = rest;
            if let Some(place) = self.head.get_mut(self.head_len) {
                *place = byte;
                self.head_len += 1;
            }
            let head = self.head.get(..self.head_len).unwrap_or_default();
            if let Some(frame) = OpenFrame::parse(head)? {
                self.head_len = 0;
                self.frames += 1;
                self.begin(&frame)?;
                return Ok(Some(frame));
            }
        }
    }

    /// Checks a frame before its payload is there, so that nothing is kept that will be refused.
    fn begin(&mut self, frame: &OpenFrame) -> Result<(), Violation> {
        if frame.is_control() {
            let is_sound = frame.is_final && frame.missing <= MAX_CONTROL_BYTES;
            return is_sound.then_some(()).ok_or(Violation::Protocol("a control frame is long or in pieces"));
        }
        if self.is_deaf {
            return Ok(());
        }
        let so_far = self.text.as_ref().map_or(0, Vec::len);
        if usize::try_from(frame.missing)
            .map_or(true, |missing| missing > self.max_message.saturating_sub(so_far))
        {
            return Err(self.violated(frame, Violation::TooLong));
        }
        match (frame.kind, &self.text) {
            (Kind::Continuation, None) => Err(Violation::Protocol("a continuation continues nothing")),
            (Kind::Text | Kind::Binary, Some(_)) => Err(Violation::Protocol("a message is inside another")),
            (Kind::Binary, None) => Err(self.violated(frame, Violation::Binary)),
            (Kind::Text, None) => {
                self.text = Some(Vec::new());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The frame's payload is passed over, so that the client's close is found behind it.
    fn violated(&mut self, frame: &OpenFrame, violation: Violation) -> Violation {
        self.turn_deaf();
        self.frame = Some(*frame);
        violation
    }

    fn read_payload(&mut self, frame: &mut OpenFrame, bytes: &mut &[u8]) {
        let len = usize::try_from(frame.missing).map_or(bytes.len(), |missing| missing.min(bytes.len()));
        let (payload, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
        *bytes = rest;
        frame.missing -= u64::try_from(len).unwrap_or(frame.missing);
        let into = if frame.is_control() { Some(&mut self.control) } else { self.text.as_mut() };
        if let Some(into) = into {
            // Grown by what is there, not by what is announced: an announcement costs its client nothing.
            into.extend(payload.iter().zip(frame.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        }
        frame.mask.rotate_left(len % 4);
    }

    fn finish(&mut self, frame: &OpenFrame) -> Result<Option<Incoming>, Violation> {
        match frame.kind {
            Kind::Ping => Ok(Some(Incoming::Ping(std::mem::take(&mut self.control)))),
            Kind::Pong => Ok(Some(Incoming::Pong(std::mem::take(&mut self.control)))),
            Kind::Close => close(&std::mem::take(&mut self.control)).map(Some),
            Kind::Continuation | Kind::Text | Kind::Binary if !frame.is_final => Ok(None),
            Kind::Continuation | Kind::Text | Kind::Binary => {
                let text = self.text.take().map(String::from_utf8).transpose();
                text.map(|text| text.map(Incoming::Text)).map_err(|_| {
                    self.turn_deaf();
                    Violation::NoUtf8
                })
            }
        }
    }
}

/// What a close frame says (section 5.5.1), with the code that answers it.
fn close(payload: &[u8]) -> Result<Incoming, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(Incoming::Close(None)),
        [_] => return Err(Violation::Protocol("a close has half a code")),
        [a, b, reason @ ..] => (u16::from_be_bytes([*a, *b]), reason),
    };
    if std::str::from_utf8(reason).is_err() {
        return Err(Violation::NoUtf8);
    }
    // Section 7.4: other codes are not for the wire.
    let is_allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    Ok(Incoming::Close(Some(if is_allowed { code } else { 1002 })))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
            len @ 126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(len).unwrap().to_be_bytes());
            }
            len => {
                frame.push(0x80 | 127);
                frame.extend(u64::try_from(len).unwrap().to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// What a reader makes of bytes that come in pieces.
    fn read_with(reader: &mut FrameReader, bytes: &[u8], piece: usize) -> (Vec<Incoming>, Option<Violation>) {
        let mut found = Vec::new();
        for mut piece in bytes.chunks(piece) {
            loop {
                match reader.read(&mut piece) {
                    Ok(Some(incoming)) => found.push(incoming),
                    Ok(None) => break,
                    Err(violation) => return (found, Some(violation)),
                }
            }
            assert!(piece.is_empty());
        }
        (found, None)
    }

    fn read(bytes: &[u8]) -> (Vec<Incoming>, Option<Violation>) {
        read_with(&mut FrameReader::new(1_000), bytes, 7)
    }

    fn violation(bytes: &[u8]) -> Option<Violation> {
        read(bytes).1
    }

    #[test]
    fn a_message_may_come_in_frames_with_control_frames_between() {
        let bytes = [
            frame(0x01, b"Hel"),
            frame(0x89, b"there?"),
            frame(0x00, "lo \u{1f600}".as_bytes().get(..5).unwrap()),
            frame(0x8a, b""),
            frame(0x80, "lo \u{1f600}".as_bytes().get(5..).unwrap()),
            frame(0x81, b""),
            frame(0x88, &[0x03, 0xe9, b'x']),
        ]
        .concat();
        let expected = vec![
            Incoming::Ping(b"there?".to_vec()),
            Incoming::Pong(Vec::new()),
            Incoming::Text("Hello \u{1f600}".to_owned()),
            Incoming::Text(String::new()),
            Incoming::Close(Some(1001)),
        ];
        for piece in [1, 2, 3, 64, 1_000] {
            let mut reader = FrameReader::new(1_000);
            assert_eq!(read_with(&mut reader, &bytes, piece).0, expected);
            assert!(reader.text.is_none() && reader.control.capacity() == 0);
            assert_eq!((reader.take_frames(), reader.take_frames()), (7, 0));
        }
    }

    #[test]
    fn a_message_may_be_as_long_as_allowed_and_no_longer() {
        assert_eq!(read(&frame(0x81, &[b'x'; 1_000])), (vec![Incoming::Text("x".repeat(1_000))], None));
        assert_eq!(violation(&frame(0x81, &[b'x'; 1_001])), Some(Violation::TooLong));
        let in_frames = [frame(0x01, &[b'x'; 900]), frame(0x80, &[b'x'; 101])].concat();
        assert_eq!(violation(&in_frames), Some(Violation::TooLong));
        let endless = [0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4];
        assert_eq!(violation(&endless), Some(Violation::TooLong));
    }

    #[test]
    fn an_announcement_takes_no_memory() {
        let mut reader = FrameReader::new(1_000_000);
        let start = frame(0x81, &vec![b'x'; 900_000]);
        assert_eq!(read_with(&mut reader, start.get(..100).unwrap(), 100), (Vec::new(), None));
        assert!(reader.text.unwrap().capacity() < 1_000);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert_eq!(violation(&frame(0x82, b"")), Some(Violation::Binary));
        for wrong in [&b"\xff"[..], b"abc\xc3", b"\xed\xa0\x80"] {
            assert_eq!(violation(&frame(0x81, wrong)), Some(Violation::NoUtf8));
        }
        // The halves of a character in two messages are no character.
        assert_eq!(
            violation(&[frame(0x81, b"\xc3"), frame(0x81, b"\xa4")].concat()),
            Some(Violation::NoUtf8)
        );
    }

    #[test]
    fn what_the_protocol_does_not_know_is_refused() {
        let unmasked = [0x81, 0x01, b'x'];
        for (bytes, what) in [
            (unmasked.to_vec(), "a frame is not masked"),
            (frame(0xc1, b""), "a reserved bit is set"),
            (frame(0x83, b""), "an opcode is reserved"),
            (frame(0x8b, b""), "an opcode is reserved"),
            (frame(0x80, b""), "a continuation continues nothing"),
            ([frame(0x01, b""), frame(0x81, b"")].concat(), "a message is inside another"),
            (frame(0x09, b""), "a control frame is long or in pieces"),
            (frame(0x89, &[0; 126]), "a control frame is long or in pieces"),
            (frame(0x88, &[3]), "a close has half a code"),
            (vec![0x81, 0xfe, 0, 125, 0, 0, 0, 0], "a length is written longer than it has to be"),
            (vec![0x89, 0xfe, 0, 0, 0, 0, 0, 0], "a length is written longer than it has to be"),
            (
                vec![0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0],
                "a length is written longer than it has to be",
            ),
        ] {
            assert_eq!(violation(&bytes), Some(Violation::Protocol(what)));
        }
        assert_eq!(violation(&frame(0x88, &[3, 0xe8, 0xff])), Some(Violation::NoUtf8));
        for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            assert_eq!(read(&frame(0x88, &code.to_be_bytes())).0, [Incoming::Close(Some(1002))]);
        }
    }

    #[test]
    fn the_close_is_found_behind_what_was_refused() {
        for refused in [frame(0x81, &[b'x'; 5_000]), frame(0x02, &[1, 2, 3]), frame(0x81, b"\xff")] {
            let more = [frame(0x00, b"x"), frame(0x81, &[b'x'; 3_000]), frame(0x88, b"")].concat();
            let bytes = [refused, more].concat();
            let mut reader = FrameReader::new(1_000);
            let mut rest = &bytes[..];
            assert!(reader.read(&mut rest).is_err());
            assert_eq!(read_with(&mut reader, rest, 100), (vec![Incoming::Close(None)], None));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let (found, _) = read(&bytes);
            prop_assert!(found.len() <= bytes.len());
        }
    }
}
