//! What comes in over HTTP: frames, requests, and an operator's file.

use std::sync::OnceLock;

use anteroom::api::readers::{FrameReader, Incoming, Violation, read_request};
use anteroom::config::Config;
use anteroom::message::Frame;

use super::input::Input;

/// The longest message here.
const MAX_MESSAGE: usize = 200;
/// What a request's id and its method's name may have.
const MAX_NAME: usize = 128;

fn read(bytes: &[u8], mut piece: impl FnMut() -> usize) -> (Vec<Incoming>, Option<Violation>) {
    let mut reader = FrameReader::new(MAX_MESSAGE);
    let (mut found, mut rest, mut violation) = (Vec::new(), bytes, None);
    while !rest.is_empty() {
        let (mut now, later) = rest.split_at(piece().clamp(1, rest.len()));
        rest = later;
        while !now.is_empty() {
            match reader.read(&mut now) {
                Ok(Some(incoming)) => found.push(incoming),
                Ok(None) => assert!(now.is_empty()),
                // What follows is passed over, however long it is.
                Err(why) if violation.is_none() => {
                    violation = Some(why);
                    reader.turn_deaf();
                }
                Err(_) => return (found, violation),
            }
        }
    }
    (found, violation)
}

/// Frames say the same in whichever pieces they come, and no message is longer than allowed.
pub fn websocket(data: &[u8]) {
    let mut input = Input::new(data);
    let step = 1 + usize::from(input.u8() % 16);
    let bytes = input.rest();
    let whole = read(bytes, || usize::MAX);
    assert_eq!(read(bytes, || step), whole);
    assert!(whole.0.len() <= bytes.len() / 6, "each frame has a header of six bytes");
    for incoming in &whole.0 {
        match incoming {
            Incoming::Text(text) => assert!(text.len() <= MAX_MESSAGE),
            Incoming::Ping(payload) | Incoming::Pong(payload) => assert!(payload.len() <= 125),
            Incoming::Close(code) => assert!(code.is_none_or(|code| (1_000..5_000).contains(&code))),
        }
    }
}

/// A request reads back as it was read; anything else is refused under 1734 by an ack that is no longer than
/// what it quotes.
pub fn request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match read_request(&text) {
        Ok(request) => {
            assert!((1..=MAX_NAME).contains(&request.id.len()));
            assert!((1..=MAX_NAME).contains(&request.method.len()));
            let again = read_request(&serde_json::to_string(&request).unwrap()).unwrap();
            assert_eq!((&again.id, &again.method), (&request.id, &request.method));
            assert!(again.params.keys().eq(request.params.keys()));
        }
        Err(refusal) => {
            let written = serde_json::to_string(&*refusal).unwrap();
            assert!(written.len() <= 6 * text.len() + 1_000, "{written}");
            let Frame::Ack { seq, data, .. } = *refusal else { panic!("no ack: {written}") };
            assert_eq!((seq, &data["result"]), (None, &1_734.into()));
        }
    }
}

/// What is accepted holds; what is refused is placed in the file.
pub fn config(data: &[u8]) {
    static DEFAULTS: OnceLock<Config> = OnceLock::new();
    let text = String::from_utf8_lossy(data);
    match Config::from_toml(&text) {
        Ok(config) => {
            assert_eq!(config.check(), Ok(()));
            let control = config.control();
            assert!(control.max_rooms > 0 && control.seats_per_worker > 0);
            let defaults = DEFAULTS.get_or_init(Config::default);
            assert!(text.contains('=') || config == *defaults);
        }
        Err(error) => {
            assert!(error.line.is_none_or(|line| line <= text.matches('\n').count() + 1));
            assert!(!error.message.is_empty() && error.message.len() <= text.len() + 2_000);
        }
    }
}
