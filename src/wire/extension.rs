//! The contents of the header extensions that the server reads or writes.

use super::WireError;
use crate::base::Time;

/// The loudness of an audio packet (RFC 6464).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// In -dBov: 0 is as loud as can be, 127 is silence.
    pub level: u8,
    /// Whether the encoder believes that it heard a voice.
    pub voice: bool,
}

impl AudioLevel {
    /// Reads the data of the extension.
    ///
    /// # Errors
    /// Any length but 1.
    pub fn read(data: &[u8]) -> Result<Self, WireError> {
        let [byte] = sized(data, "audio level")?;
        Ok(Self { level: byte & 0x7f, voice: byte & 0x80 != 0 })
    }

    /// The data of the extension; a level above 127 counts as 127.
    #[must_use]
    pub fn write(self) -> [u8; 1] {
        [self.level.min(127) | u8::from(self.voice) << 7]
    }
}

/// When a packet was sent: seconds in 6.18 fixed point, so it wraps every 64 s (abs-send-time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime {
    /// 24 bits, in units of 2^-18 s.
    units: u32,
}

impl AbsSendTime {
    const WRAP_MICROS: u64 = 64_000_000;

    /// The extension's value for `time`.
    #[must_use]
    pub fn from_time(time: Time) -> Self {
        let units = ((time.as_micros() % Self::WRAP_MICROS) << 18) / 1_000_000;
        Self { units: u32::try_from(units).unwrap_or(0) }
    }

    /// The moment nearest to `near` that has this value; exact to 4 microseconds.
    #[must_use]
    pub const fn to_time(self, near: Time) -> Time {
        // Rounded up, so that a moment that was written and read does not fall below its unit.
        let micros = (self.units as u64 * 1_000_000).div_ceil(1 << 18);
        let ahead = (micros + Self::WRAP_MICROS - near.as_micros() % Self::WRAP_MICROS) % Self::WRAP_MICROS;
        let later = near.as_micros().saturating_add(ahead);
        if ahead > Self::WRAP_MICROS / 2 {
            Time(later.saturating_sub(Self::WRAP_MICROS))
        } else {
            Time(later)
        }
    }

    /// Reads the data of the extension.
    ///
    /// # Errors
    /// Any length but 3.
    pub fn read(data: &[u8]) -> Result<Self, WireError> {
        let [a, b, c] = sized(data, "abs-send-time")?;
        Ok(Self { units: u32::from_be_bytes([0, a, b, c]) })
    }

    /// The data of the extension.
    #[must_use]
    pub const fn write(self) -> [u8; 3] {
        let [_, a, b, c] = self.units.to_be_bytes();
        [a, b, c]
    }
}

/// Reads a transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
///
/// # Errors
/// Any length but 2.
pub fn read_transport_cc(data: &[u8]) -> Result<u16, WireError> {
    sized(data, "transport-cc").map(u16::from_be_bytes)
}

/// The data of the transport-wide sequence number extension.
#[must_use]
pub const fn write_transport_cc(sequence: u16) -> [u8; 2] {
    sequence.to_be_bytes()
}

/// Reads the tag of an m-line (RFC 9143 section 15.2); its text is a token of RFC 4566, hence ASCII.
///
/// # Errors
/// An empty text, or one with characters that no tag has.
pub fn read_mid(data: &[u8]) -> Result<&str, WireError> {
    const WRONG: WireError = WireError::Value("mid");
    let text = std::str::from_utf8(data).map_err(|_| WRONG)?;
    let is_token = |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        return Err(WRONG);
    }
    Ok(text)
}

fn sized<const N: usize>(data: &[u8], what: &'static str) -> Result<[u8; N], WireError> {
    <[u8; N]>::try_from(data).map_err(|_| WireError::Length(what))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_audio_level_has_one_byte() {
        assert_eq!(AudioLevel::read(&[0xff]), Ok(AudioLevel { level: 127, voice: true }));
        assert_eq!(AudioLevel::read(&[0x1e]), Ok(AudioLevel { level: 30, voice: false }));
        for wrong in [&[][..], &[1, 2]] {
            assert_eq!(AudioLevel::read(wrong), Err(WireError::Length("audio level")));
        }
        assert_eq!(AudioLevel { level: 200, voice: false }.write(), [127]);
    }

    #[test]
    fn transport_cc_has_two_bytes() {
        assert_eq!(read_transport_cc(&write_transport_cc(0x1234)), Ok(0x1234));
        assert!(read_transport_cc(&[1]).is_err());
    }

    #[test]
    fn a_mid_is_a_token() {
        assert_eq!(read_mid(b"0"), Ok("0"));
        assert_eq!(read_mid(b"audio-1"), Ok("audio-1"));
        for wrong in [&b""[..], b"a b", b"a\0", b"\xff", b"a:b"] {
            assert!(read_mid(wrong).is_err());
        }
    }

    #[test]
    fn abs_send_time_is_fixed_point() {
        assert_eq!(AbsSendTime::from_time(Time(1_500_000)).write(), [0x06, 0, 0]);
        assert_eq!(AbsSendTime::from_time(Time(65_500_000)), AbsSendTime::from_time(Time(1_500_000)));
        assert!(AbsSendTime::read(&[0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn abs_send_time_finds_its_moment_again(micros in 100_000_000_u64..u64::from(u32::MAX) * 1_000_000, off in -30_000_000_i64..30_000_000) {
            let (sent, near) = (Time(micros), Time(micros.saturating_add_signed(off)));
            let read = AbsSendTime::read(&AbsSendTime::from_time(sent).write()).unwrap().to_time(near);
            prop_assert!(read.as_micros().abs_diff(sent.as_micros()) <= 4);
        }
    }
}
