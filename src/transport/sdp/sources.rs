//! The SSRCs that an m-line declares (RFC 5576).

use std::collections::BTreeSet;

use rtc_sdp::description::common::Attribute;

use crate::base::Ssrc;

/// The most sources kept of one m-line: as many as an m-line may have at all.
pub(super) const MAX_SOURCES: usize = 8;

/// The most `a=ssrc` and `a=ssrc-group` lines looked at on one m-line: 8 sources with RTX, each with
/// the 4 attributes that older browsers write, and room.
const MAX_SOURCE_LINES: usize = 256;

/// The sources of an m-line in the order of the offer, each with the source of its retransmissions
/// (`a=ssrc-group:FID`, RFC 5576 section 4.2). Sources of forward error correction are left out.
pub(super) fn read(attributes: &[Attribute]) -> Vec<(Ssrc, Option<Ssrc>)> {
    let mut order = Vec::new();
    let mut pairs = Vec::new();
    let mut secondary = BTreeSet::new();
    let lines = attributes.iter().filter(|line| line.key == "ssrc" || line.key == "ssrc-group");
    for line in lines.take(MAX_SOURCE_LINES) {
        let Some(value) = line.value.as_deref() else { continue };
        let mut words = value.split_ascii_whitespace();
        if line.key == "ssrc" {
            order.extend(words.next().and_then(ssrc));
            continue;
        }
        let (semantics, first, second) = (words.next(), words.next(), words.next());
        let (Some(first), Some(second)) = (first.and_then(ssrc), second.and_then(ssrc)) else { continue };
        match semantics {
            Some("FID") if first != second => {
                order.push(first);
                secondary.insert(second);
                pairs.push((first, second));
            }
            Some("FEC" | "FEC-FR") => {
                secondary.insert(second);
            }
            _ => {}
        }
    }
    let mut seen = BTreeSet::new();
    let primary = order.into_iter().filter(|ssrc| !secondary.contains(ssrc) && seen.insert(*ssrc));
    let with_rtx = |ssrc| pairs.iter().find(|(first, _)| *first == ssrc).map(|(_, second)| *second);
    primary.take(MAX_SOURCES).map(|ssrc| (ssrc, with_rtx(ssrc))).collect()
}

/// A source's number; 0 is what no sender uses.
fn ssrc(text: &str) -> Option<Ssrc> {
    text.parse().ok().filter(|number| *number != 0).map(Ssrc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(lines: &[(&str, &str)]) -> Vec<(u32, Option<u32>)> {
        let attribute = |(key, value): &(&str, &str)| Attribute::new((*key).into(), Some((*value).into()));
        let lines: Vec<Attribute> = lines.iter().map(attribute).collect();
        read(&lines).into_iter().map(|(ssrc, rtx)| (ssrc.0, rtx.map(|rtx| rtx.0))).collect()
    }

    #[test]
    fn a_group_ties_retransmissions_to_their_source() {
        let lines = [("ssrc-group", "FID 11 12"), ("ssrc", "11 cname:c"), ("ssrc", "12 cname:c")];
        assert_eq!(sources(&lines), [(11, Some(12))]);
        assert_eq!(sources(&lines[1..]), [(11, None), (12, None)]);
    }

    #[test]
    fn error_correction_is_no_source_of_media() {
        let lines = [("ssrc", "11 cname:c"), ("ssrc", "13 cname:c"), ("ssrc-group", "FEC-FR 11 13")];
        assert_eq!(sources(&lines), [(11, None)]);
    }

    #[test]
    fn nonsense_and_excess_are_left_out() {
        let lines = [
            ("ssrc", "0 a"),
            ("ssrc", "x"),
            ("ssrc", ""),
            ("ssrc-group", "FID 7"),
            ("ssrc-group", "FID 7 7"),
        ];
        assert_eq!(sources(&lines), []);
        let many: Vec<String> = (1..100).map(|n| n.to_string()).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|n| ("ssrc", n.as_str())).collect();
        assert_eq!(sources(&many).len(), MAX_SOURCES);
    }
}
