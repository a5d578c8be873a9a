//! The payload types of an m-line: which codecs are answered, and with which parameters.

use std::collections::BTreeMap;

use rtc_sdp::description::common::Attribute;

use crate::transport::negotiated::CONSTRAINED_BASELINE;
use crate::transport::{Codec, CodecLine, h264_profile};

/// The most codecs answered on one m-line. Chromium offers 11.
const MAX_CODECS: usize = 32;

/// The most formats looked at on one m-line: there are 128 payload types.
const MAX_FORMATS: usize = 128;

/// The feedback that a codec's receiver may send (RFC 4585, RFC 5104), as far as it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Feedback {
    pub(super) transport_cc: bool,
    pub(super) ccm_fir: bool,
    pub(super) nack: bool,
    pub(super) nack_pli: bool,
}

impl Feedback {
    fn read(&mut self, words: &str) {
        match words {
            "transport-cc" => self.transport_cc = true,
            "ccm fir" => self.ccm_fir = true,
            "nack" => self.nack = true,
            "nack pli" => self.nack_pli = true,
            _ => {}
        }
    }

    const fn or(self, other: Self) -> Self {
        Self {
            transport_cc: self.transport_cc || other.transport_cc,
            ccm_fir: self.ccm_fir || other.ccm_fir,
            nack: self.nack || other.nack,
            nack_pli: self.nack_pli || other.nack_pli,
        }
    }

    /// The values of the `a=rtcp-fb` lines of an answer; `repairs` says whether whoever sends under
    /// the payload type heeds a NACK.
    pub(super) fn answered(self, video: bool, repairs: bool) -> impl Iterator<Item = &'static str> {
        let lines = [
            (self.transport_cc, "transport-cc"),
            (self.ccm_fir && video, "ccm fir"),
            (self.nack && video && repairs, "nack"),
            (self.nack_pli && video, "nack pli"),
        ];
        lines.into_iter().filter(|(offered, _)| *offered).map(|(_, words)| words)
    }
}

/// A codec that the offer has and that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OfferedCodec {
    /// The codec under the offer's numbers.
    pub(super) line: CodecLine,
    /// The format parameters of the answer.
    pub(super) parameters: Option<String>,
    /// The feedback offered for it.
    pub(super) feedback: Feedback,
}

/// What `a=rtpmap`, `a=fmtp` and `a=rtcp-fb` say of one payload type.
#[derive(Clone, Copy, Debug, Default)]
struct Format<'a> {
    encoding: &'a str,
    parameters: &'a str,
    feedback: Feedback,
}

/// The codecs of an m-line that are answered, in the offer's order of preference, but for those that many cannot show.
pub(super) fn read(formats: &[String], attributes: &[Attribute], video: bool) -> Vec<OfferedCodec> {
    let mut order: Vec<u8> = Vec::new();
    for payload_type in formats.iter().take(MAX_FORMATS).filter_map(|text| payload_type(text)) {
        if !order.contains(&payload_type) {
            order.push(payload_type);
        }
    }
    let (table, every) = describe(&order, attributes);
    let mut retransmissions = BTreeMap::new();
    for number in order.iter().rev().filter(|_| video) {
        let Some(format) = table.get(number) else { continue };
        if format.encoding.eq_ignore_ascii_case("rtx/90000")
            && let Some(of) = parameter(format.parameters, "apt").and_then(payload_type)
        {
            retransmissions.insert(of, *number);
        }
    }
    let codec = |number: &u8| {
        let format = table.get(number)?;
        let (codec, parameters) = if video { video_codec(format)? } else { audio_codec(format)? };
        let rtx_payload_type = retransmissions.get(number).copied();
        let line = CodecLine { codec, payload_type: *number, rtx_payload_type };
        Some(OfferedCodec { line, parameters, feedback: format.feedback.or(every) })
    };
    let mut codecs: Vec<_> = order.iter().filter_map(codec).collect();
    codecs.sort_by_key(|offered| is_for_few(offered.line.codec));
    codecs.truncate(MAX_CODECS);
    codecs
}

/// Whether many cannot show what is sent so, although they know the codec by name. Browsers send what the answer
/// names first: Safari's first is H264 High, and all that Firefox knows of H264 is Constrained Baseline, which
/// RFC 7742 section 6.2 wants of everybody.
fn is_for_few(codec: Codec) -> bool {
    matches!(codec, Codec::H264 { profile, .. } if profile != CONSTRAINED_BASELINE)
}

/// A payload type that RTP may use beside RTCP on one port (RFC 5761 section 4).
fn payload_type(text: &str) -> Option<u8> {
    text.parse().ok().filter(|number| matches!(number, 0..=63 | 96..=127))
}

/// Gathers what the attributes say of the formats in `order`, and the feedback that holds for all.
fn describe<'a>(order: &[u8], attributes: &'a [Attribute]) -> (BTreeMap<u8, Format<'a>>, Feedback) {
    let mut table: BTreeMap<u8, Format<'a>> = order.iter().map(|n| (*n, Format::default())).collect();
    let mut every = Feedback::default();
    for attribute in attributes {
        let Some((number, rest)) = attribute.value.as_deref().and_then(|value| value.split_once(' ')) else {
            continue;
        };
        let rest = rest.trim();
        if attribute.key == "rtcp-fb" && number == "*" {
            every.read(rest);
        }
        let Some(format) = payload_type(number).and_then(|number| table.get_mut(&number)) else { continue };
        match attribute.key.as_str() {
            // The first one counts: a second one contradicts it and would change what was said.
            "rtpmap" if format.encoding.is_empty() => format.encoding = rest,
            "fmtp" if format.parameters.is_empty() => format.parameters = rest,
            "rtcp-fb" => format.feedback.read(rest),
            _ => {}
        }
    }
    (table, every)
}

/// The value of a format parameter; names are compared without case.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.trim(), value.trim()))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|p| p.1)
}

/// A small number among the format parameters: 0 where it is not given, `None` where it is wrong.
fn small(parameters: &str, name: &str, most: u8) -> Option<u8> {
    let Some(text) = parameter(parameters, name) else { return Some(0) };
    text.parse().ok().filter(|number| *number <= most)
}

type Answered = (Codec, Option<String>);

fn audio_codec(format: &Format<'_>) -> Option<Answered> {
    if !format.encoding.eq_ignore_ascii_case("opus/48000/2") {
        return None;
    }
    let on = |name| parameter(format.parameters, name) == Some("1");
    // RFC 7587 section 7: `stereo` says what we like to receive. Whoever sends two channels, or
    // asks for them, may send two.
    let stereo = if on("stereo") || on("sprop-stereo") { ";stereo=1" } else { "" };
    Some((Codec::Opus, Some(format!("minptime=10;useinbandfec=1;usedtx=1{stereo}"))))
}

fn video_codec(format: &Format<'_>) -> Option<Answered> {
    let is = |name: &str| format.encoding.eq_ignore_ascii_case(name);
    if is("VP8/90000") {
        return Some((Codec::Vp8, None));
    }
    if is("VP9/90000") {
        return vp9(format.parameters);
    }
    if is("H264/90000") {
        return h264(format.parameters);
    }
    if is("AV1/90000") {
        return av1(format.parameters);
    }
    None
}

/// RFC 9628 section 7: `profile-id` is symmetric.
fn vp9(parameters: &str) -> Option<Answered> {
    let profile = small(parameters, "profile-id", 3)?;
    let answered = parameter(parameters, "profile-id").map(|_| format!("profile-id={profile}"));
    Some((Codec::Vp9 { profile }, answered))
}

/// RFC 6184 section 8.2.2: the answer has the offer's profile and packetization mode. The level is
/// the offer's too: whatever the client can decode or send passes through as it is.
fn h264(parameters: &str) -> Option<Answered> {
    // Without the parameter a stream is Baseline, level 1 (RFC 6184 section 8.1).
    let id = parameter(parameters, "profile-level-id").unwrap_or("42000a");
    if id.len() != 6 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let profile = id.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok()).map(h264_profile)?;
    // Mode 2 interleaves: its packets are not in decoding order.
    let packetization_mode = small(parameters, "packetization-mode", 1)?;
    let asymmetric = parameter(parameters, "level-asymmetry-allowed") == Some("1");
    let asymmetric = if asymmetric { "level-asymmetry-allowed=1;" } else { "" };
    let id = id.to_ascii_lowercase();
    let answered = format!("{asymmetric}packetization-mode={packetization_mode};profile-level-id={id}");
    Some((Codec::H264 { profile, packetization_mode }, Some(answered)))
}

/// AV1 RTP payload format section 7.2: `profile` is symmetric, level and tier say what a receiver
/// can decode.
fn av1(parameters: &str) -> Option<Answered> {
    let profile = small(parameters, "profile", 2)?;
    let (level, tier) = (small(parameters, "level-idx", 31)?, small(parameters, "tier", 1)?);
    let values = [("level-idx", level), ("profile", profile), ("tier", tier)];
    let given = values.iter().filter(|(name, _)| parameter(parameters, name).is_some());
    let answered: Vec<String> = given.map(|(name, value)| format!("{name}={value}")).collect();
    Some((Codec::Av1 { profile }, (!answered.is_empty()).then(|| answered.join(";"))))
}

/// A codec's name in an `a=rtpmap` line.
pub(super) const fn encoding(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "opus/48000/2",
        Codec::Vp8 => "VP8/90000",
        Codec::Vp9 { .. } => "VP9/90000",
        Codec::H264 { .. } => "H264/90000",
        Codec::Av1 { .. } => "AV1/90000",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codecs(formats: &str, lines: &[&str], video: bool) -> Vec<OfferedCodec> {
        let formats: Vec<String> = formats.split(' ').map(str::to_owned).collect();
        let attribute = |line: &&str| {
            let (key, value) = line.split_once(':').unwrap();
            Attribute::new(key.to_owned(), Some(value.to_owned()))
        };
        let attributes: Vec<Attribute> = lines.iter().map(attribute).collect();
        read(&formats, &attributes, video)
    }

    fn h264_answer(parameters: &str) -> Option<(Codec, Option<String>)> {
        let lines = ["rtpmap:102 H264/90000", &format!("fmtp:102 {parameters}")];
        codecs("102", &lines, true).pop().map(|codec| (codec.line.codec, codec.parameters))
    }

    #[test]
    fn retransmission_goes_with_its_codec() {
        let lines = ["rtpmap:96 VP8/90000", "rtpmap:97 rtx/90000", "fmtp:97 apt=96", "rtpmap:98 AV1/90000"];
        let read = codecs("98 96 97", &lines, true);
        let numbers: Vec<_> = read.iter().map(|c| (c.line.payload_type, c.line.rtx_payload_type)).collect();
        assert_eq!(numbers, [(98, None), (96, Some(97))]);
    }

    #[test]
    fn what_many_cannot_show_comes_last() {
        let h264 = |number: u8, id| {
            [format!("rtpmap:{number} H264/90000"), format!("fmtp:{number} profile-level-id={id}")]
        };
        let lines = [h264(96, "640c1f"), h264(98, "42e01f"), h264(100, "42001f")].concat();
        let lines: Vec<&str> = lines.iter().map(String::as_str).chain(["rtpmap:106 VP8/90000"]).collect();
        let read = codecs("96 98 100 106", &lines, true);
        let numbers: Vec<u8> = read.iter().map(|codec| codec.line.payload_type).collect();
        assert_eq!(numbers, [98, 106, 96, 100]);
    }

    #[test]
    fn only_what_is_carried_is_answered() {
        let audio =
            ["rtpmap:63 red/48000/2", "rtpmap:111 OPUS/48000/2", "rtpmap:13 CN/8000", "rtpmap:9 opus/48000"];
        let read = codecs("63 111 0 13 9", &audio, false);
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].parameters.as_deref(), Some("minptime=10;useinbandfec=1;usedtx=1"));
        let video = ["rtpmap:114 red/90000", "rtpmap:115 ulpfec/90000", "rtpmap:49 H265/90000"];
        assert_eq!(codecs("114 115 49", &video, true), []);
    }

    #[test]
    fn stereo_is_answered_to_whoever_speaks_of_it() {
        for parameters in ["stereo=1", "minptime=10; sprop-stereo=1"] {
            let lines = ["rtpmap:111 opus/48000/2", &format!("fmtp:111 {parameters}")];
            assert!(codecs("111", &lines, false)[0].parameters.as_deref().unwrap().ends_with(";stereo=1"));
        }
    }

    #[test]
    fn an_h264_profile_is_echoed_and_modes_0_and_1_are_taken() {
        let (codec, answer) =
            h264_answer("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42E01F").unwrap();
        assert_eq!(codec, Codec::H264 { profile: 0x42e0, packetization_mode: 1 });
        let text = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
        assert_eq!(answer.as_deref(), Some(text));
        let (codec, _) = h264_answer("sprop-parameter-sets=Z0IAKeKQ,aM48gA==").unwrap();
        assert_eq!(codec, Codec::H264 { profile: 0x4200, packetization_mode: 0 });
        for wrong in ["packetization-mode=2", "profile-level-id=42e0", "profile-level-id=+2e01f"] {
            assert_eq!(h264_answer(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn feedback_is_answered_only_where_offered() {
        let lines = [
            "rtpmap:96 VP8/90000",
            "rtpmap:98 VP9/90000",
            "rtcp-fb:* nack",
            "rtcp-fb:96 goog-remb",
            "rtcp-fb:98 nack pli",
        ];
        let read = codecs("96 98", &lines, true);
        assert_eq!(read[0].feedback.answered(true, true).collect::<Vec<_>>(), ["nack"]);
        assert_eq!(read[1].feedback.answered(true, true).collect::<Vec<_>>(), ["nack", "nack pli"]);
        assert_eq!(read[1].feedback.answered(true, false).collect::<Vec<_>>(), ["nack pli"]);
        assert_eq!(read[1].feedback.answered(false, true).count(), 0);
    }

    #[test]
    fn payload_types_that_look_like_rtcp_are_left_out() {
        assert_eq!(codecs("72", &["rtpmap:72 VP8/90000"], true), []);
        assert_eq!(codecs("200", &["rtpmap:200 VP8/90000"], true), []);
        assert_eq!(codecs("96", &["fmtp:96 x=1"], true), []);
        assert_eq!(codecs("35 35", &["rtpmap:35 VP8/90000"], true).len(), 1);
    }
}
