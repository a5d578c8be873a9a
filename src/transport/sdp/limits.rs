//! What an offer may cost, checked before any grammar sees it.

use super::refusal;
use crate::message::SdpRefusal;

/// The longest offer, in bytes. A browser's offer with 4 send lines and 20 slots is about 40 KiB.
pub const MAX_OFFER_BYTES: usize = 64 * 1024;
/// The most lines of an offer.
pub const MAX_LINES: usize = 4_096;
/// The longest line in bytes. An identity assertion or H264 parameter sets are the longest seen.
pub const MAX_LINE_BYTES: usize = 4_096;
/// The most m-lines of an offer: 4 to send on, 16 talkers, and room for video.
pub const MAX_MEDIA_LINES: usize = 32;

/// The most `a=rid` lines of an m-line (RFC 8851): browsers offer 3 layers.
pub const MAX_RIDS: usize = 8;

/// Refuses a text that is too long, has too many or too long lines, or control characters.
pub(super) fn check(text: &str) -> Result<(), SdpRefusal> {
    if text.len() > MAX_OFFER_BYTES {
        return Err(refusal(format!(
            "The SDP has {} bytes; the limit is {MAX_OFFER_BYTES}. Offer fewer m-lines or codecs.",
            text.len()
        )));
    }
    let (mut lines, mut media, mut rids) = (0_usize, 0_usize, 0_usize);
    for line in text.split('\n') {
        lines = lines.saturating_add(1);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() > MAX_LINE_BYTES {
            return Err(refusal(format!(
                "Line {lines} of the SDP has {} bytes; the limit is {MAX_LINE_BYTES}.",
                line.len()
            )));
        }
        if line.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            return Err(refusal(format!(
                "Line {lines} of the SDP has a control character in it. End lines with CRLF."
            )));
        }
        if line.starts_with("m=") {
            (media, rids) = (media.saturating_add(1), 0);
        }
        if line.starts_with("a=rid:") {
            rids = rids.saturating_add(1);
            if rids > MAX_RIDS {
                return Err(refusal(format!(
                    "An m-line of the SDP has more than {MAX_RIDS} layers (a=rid). Offer fewer."
                )));
            }
        }
    }
    if lines > MAX_LINES {
        return Err(refusal(format!("The SDP has {lines} lines; the limit is {MAX_LINES}.")));
    }
    if media > MAX_MEDIA_LINES {
        return Err(refusal(format!(
            "The SDP has {media} m-lines; the limit is {MAX_MEDIA_LINES}. Offer fewer slots."
        )));
    }
    Ok(())
}

/// At most 80 printable ASCII characters of a text that came from outside, for a refusal.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 80;
    text.chars().take(LONGEST).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_refuses_by_its_name() {
        let reason = |text: &str| check(text).unwrap_err().reason;
        assert!(reason(&"x".repeat(MAX_OFFER_BYTES + 1)).contains("65537 bytes"));
        assert!(reason(&"a\n".repeat(MAX_LINES)).contains("4097 lines"));
        assert!(reason(&"x".repeat(MAX_LINE_BYTES + 1)).contains("4097 bytes"));
        assert!(reason(&"m=\r\n".repeat(MAX_MEDIA_LINES + 1)).contains("33 m-lines"));
        let rids = |count: usize| format!("m=\r\n{}", "a=rid:1 send\r\n".repeat(count));
        assert!(reason(&rids(MAX_RIDS + 1)).contains("8 layers"));
        assert_eq!(check(&rids(MAX_RIDS).repeat(2)), Ok(()));
        assert!(reason("v=0\r\na=\u{0}\r\n").contains("Line 2"));
        assert!(reason("v=0\ra=x\r\n").contains("control character"));
    }

    #[test]
    fn what_is_at_the_limit_passes() {
        assert_eq!(check(&"a\n".repeat(MAX_LINES - 1)), Ok(()));
        assert_eq!(check(&"x".repeat(MAX_LINE_BYTES)), Ok(()));
        assert_eq!(check(&"m=\r\n".repeat(MAX_MEDIA_LINES)), Ok(()));
    }

    #[test]
    fn a_quotation_is_short_and_printable() {
        assert_eq!(quoted("a\u{1b}[2Jé"), "a?[2J?");
        assert_eq!(quoted(&"x".repeat(500)).len(), 80);
    }
}
