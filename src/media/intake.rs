//! Which m-line an incoming SSRC belongs to.

use std::time::Duration;

use super::session::SoundBudget;
use super::slab::Key;
use super::source::Source;
use super::statistics::DropReason;
use super::stream::Stream;
use crate::base::{Kind, Mid, Ssrc, Time};
use crate::transport::{CodecLine, ExtensionIds, SendLine};
use crate::wire::rtp::RtpView;

/// SSRCs per m-line: a source, its RTX, and what a browser changes them to over a meeting.
const MAX_SOURCES_PER_LINE: usize = 8;
/// A source that was silent for this long gives its place to a new one.
const FORGOTTEN: Duration = Duration::from_secs(10);
/// A source that was silent for this long may be followed by another on its m-line.
const FOLLOWED: Duration = Duration::from_millis(250);

/// An m-line that a participant sends on.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) mid: Mid,
    pub(super) kind: Kind,
    pub(super) stream: Key<Stream>,
    pub(super) codecs: Vec<CodecLine>,
    pub(super) extensions: ExtensionIds,
    pub(super) sound: SoundBudget,
    declared: Vec<(Ssrc, Option<Ssrc>)>,
    /// The source that is forwarded.
    current: Option<(Ssrc, Time)>,
}

impl Line {
    pub(super) fn new(line: &SendLine, stream: Key<Stream>) -> Self {
        Self {
            mid: line.mid.clone(),
            kind: line.kind,
            stream,
            codecs: line.codecs.clone(),
            extensions: line.extensions,
            sound: SoundBudget::default(),
            declared: line.declared_ssrcs.clone(),
            current: None,
        }
    }

    /// The source to speak of in feedback: the one that is forwarded, or the first that the offer
    /// declares.
    pub(super) fn feedback_ssrc(&self) -> Option<Ssrc> {
        self.current.map(|(ssrc, _)| ssrc).or_else(|| self.declared.first().map(|(ssrc, _)| *ssrc))
    }

    /// The source that is forwarded.
    pub(super) fn current(&self) -> Option<Ssrc> {
        self.current.map(|(ssrc, _)| ssrc)
    }

    /// Lets a source speak for the m-line; answers whether it took over from another.
    ///
    /// # Errors
    ///
    /// [`DropReason::SecondSource`] while the other still sends.
    pub(super) fn follow(&mut self, ssrc: Ssrc, now: Time) -> Result<bool, DropReason> {
        match self.current {
            Some((current, at)) if current != ssrc && now.since(at) < FOLLOWED => {
                Err(DropReason::SecondSource)
            }
            before => {
                self.current = Some((ssrc, now));
                Ok(before.is_some_and(|(before, _)| before != ssrc))
            }
        }
    }

    /// The codec of a payload type, and whether it is that of its retransmissions.
    pub(super) fn codec_of(&self, payload_type: u8) -> Option<(u8, bool)> {
        let places = || self.codecs.iter().zip(0_u8..);
        let media = places().find(|(line, _)| line.payload_type == payload_type);
        let repair = || places().find(|(line, _)| line.rtx_payload_type == Some(payload_type));
        media.map(|(_, at)| (at, false)).or_else(|| repair().map(|(_, at)| (at, true)))
    }
}

/// Everything that one connection sends.
#[derive(Debug, Default)]
pub(super) struct Intake {
    pub(super) lines: Vec<Line>,
    pub(super) sources: Vec<Source>,
}

impl Intake {
    /// The place of the packet's source; a new source is given one. The packet is authenticated.
    ///
    /// # Errors
    ///
    /// [`DropReason::UnknownSsrc`] if it belongs to no m-line, [`DropReason::TooManySsrcs`] if its
    /// m-line has no place left.
    pub(super) fn source_of(&mut self, view: &RtpView<'_>, now: Time) -> Result<usize, DropReason> {
        let ssrc = view.ssrc();
        if let Some(at) = self.sources.iter().position(|source| source.ssrc == ssrc) {
            return Ok(at);
        }
        let line = self.line_of(view).ok_or(DropReason::UnknownSsrc)?;
        let repairs = self
            .lines
            .get(line)
            .and_then(|line| line.codec_of(view.payload_type()))
            .ok_or(DropReason::UnknownPayloadType)?
            .1;
        let source = Source::new(ssrc, line, repairs, now);
        let of_line = self.sources.iter().filter(|source| source.line == line).count();
        if of_line < MAX_SOURCES_PER_LINE {
            self.sources.push(source);
            return Ok(self.sources.len().saturating_sub(1));
        }
        let current = self.lines.get(line).and_then(Line::current);
        let forgotten = self.sources.iter().position(|source| {
            source.line == line && now.since(source.last_at) >= FORGOTTEN && Some(source.ssrc) != current
        });
        let at = forgotten.ok_or(DropReason::TooManySsrcs)?;
        if let Some(place) = self.sources.get_mut(at) {
            *place = source;
        }
        Ok(at)
    }

    /// By MID first, then by the offer's `a=ssrc`, then by a payload type that only one m-line uses
    /// (docs/protocol.md; RFC 9143 section 9.2).
    fn line_of(&self, view: &RtpView<'_>) -> Option<usize> {
        let lines = || self.lines.iter().enumerate();
        let mut named = None;
        for (_, line) in lines() {
            named = named.or(line.extensions.mid.and_then(|id| view.extension(id)));
        }
        if let Some(mid) = named {
            return lines().find(|(_, line)| line.mid.as_str().as_bytes() == mid).map(|(at, _)| at);
        }
        let declares = |line: &Line| {
            let is = |(media, repair): &(Ssrc, Option<Ssrc>)| {
                *media == view.ssrc() || *repair == Some(view.ssrc())
            };
            line.declared.iter().any(is)
        };
        if let Some((at, _)) = lines().find(|(_, line)| declares(line)) {
            return Some(at);
        }
        let mut using = lines().filter(|(_, line)| line.codec_of(view.payload_type()).is_some());
        match (using.next(), using.next()) {
            (Some((at, _)), None) => Some(at),
            _ => None,
        }
    }

    /// Leaves behind what has come so far: nothing of it is asked for again. Answers what the next packet of
    /// each m-line's source is numbered at the least.
    pub(super) fn leave_behind(&mut self) -> Vec<(Key<Stream>, u64)> {
        self.sources.iter_mut().for_each(|source| source.missing.clear());
        let next = |(at, line): (usize, &Line)| {
            let source = self.current_source(at).and_then(|at| self.sources.get(at))?;
            Some((line.stream, source.highest()? + 1))
        };
        self.lines.iter().enumerate().filter_map(next).collect()
    }

    /// The place of the source that is forwarded on an m-line.
    pub(super) fn current_source(&self, line: usize) -> Option<usize> {
        let ssrc = self.lines.get(line)?.current()?;
        self.sources.iter().position(|source| source.ssrc == ssrc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::slab::Slab;
    use crate::transport::Codec;
    use crate::wire::rtp::RtpHeader;

    fn intake() -> Intake {
        let mut keys: Slab<()> = Slab::default();
        let mut line = |mid: &str, kind, payload_type, declared: Vec<(Ssrc, Option<Ssrc>)>| {
            let codec = if kind == Kind::Audio { Codec::Opus } else { Codec::Vp8 };
            let send = SendLine {
                mid: mid.into(),
                kind,
                codecs: vec![CodecLine { codec, payload_type, rtx_payload_type: Some(payload_type + 1) }],
                declared_ssrcs: declared,
                extensions: ExtensionIds { mid: Some(4), ..ExtensionIds::default() },
            };
            Line::new(&send, keys.insert(()).cast())
        };
        let lines = vec![
            line("a", Kind::Audio, 111, vec![]),
            line("v", Kind::Video, 96, vec![(Ssrc(10), Some(Ssrc(11)))]),
            line("s", Kind::Share, 96, vec![]),
        ];
        Intake { lines, sources: Vec::new() }
    }

    fn line_of(intake: &mut Intake, ssrc: u32, payload_type: u8, mid: &[u8]) -> Result<usize, DropReason> {
        let header = RtpHeader { payload_type, marker: false, sequence: 1, timestamp: 1, ssrc: Ssrc(ssrc) };
        let mut packet = [0; 64];
        let extensions = [(4, mid)];
        let len = header.write(if mid.is_empty() { &[] } else { &extensions }, &mut packet).unwrap();
        let view = RtpView::parse(&packet[..len]).unwrap();
        intake.source_of(&view, Time(0)).map(|at| intake.sources[at].line)
    }

    #[test]
    fn mid_goes_before_the_offer_and_the_offer_before_payload_types() {
        let mut intake = intake();
        assert_eq!(line_of(&mut intake, 10, 96, b"s"), Ok(2));
        assert_eq!(line_of(&mut intake, 11, 97, b""), Ok(1));
        assert!(intake.sources[1].repairs);
        assert_eq!(line_of(&mut intake, 12, 111, b""), Ok(0));
        assert_eq!(line_of(&mut intake, 13, 96, b""), Err(DropReason::UnknownSsrc));
        assert_eq!(line_of(&mut intake, 14, 96, b"zz"), Err(DropReason::UnknownSsrc));
        assert_eq!(line_of(&mut intake, 15, 70, b"s"), Err(DropReason::UnknownPayloadType));
    }

    #[test]
    fn an_m_line_has_eight_sources_until_one_is_forgotten() {
        let mut intake = intake();
        for ssrc in 100..108 {
            assert_eq!(line_of(&mut intake, ssrc, 96, b"s"), Ok(2));
        }
        assert_eq!(line_of(&mut intake, 108, 96, b"s"), Err(DropReason::TooManySsrcs));
        assert_eq!(line_of(&mut intake, 200, 111, b""), Ok(0), "other m-lines are not concerned");
        for source in intake.sources.iter_mut().filter(|source| source.ssrc != Ssrc(103)) {
            source.last_at = Time(0) + FORGOTTEN;
        }
        intake.lines[2].follow(Ssrc(104), Time(0)).unwrap();
        let at = intake.sources.iter().position(|source| source.ssrc == Ssrc(103)).unwrap();
        intake.sources[at].last_at = Time(0);
        let header =
            RtpHeader { payload_type: 96, marker: false, sequence: 1, timestamp: 1, ssrc: Ssrc(109) };
        let mut packet = [0; 64];
        let len = header.write(&[(4, b"s")], &mut packet).unwrap();
        let view = RtpView::parse(&packet[..len]).unwrap();
        assert_eq!(intake.source_of(&view, Time(0) + FORGOTTEN), Ok(at));
    }

    #[test]
    fn a_second_source_follows_only_when_the_first_is_silent() {
        let mut intake = intake();
        let line = &mut intake.lines[0];
        assert_eq!(line.follow(Ssrc(1), Time(0)), Ok(false));
        assert_eq!(line.follow(Ssrc(2), Time(100_000)), Err(DropReason::SecondSource));
        assert_eq!(line.follow(Ssrc(1), Time(200_000)), Ok(false));
        assert_eq!(line.follow(Ssrc(2), Time(450_000)), Ok(true));
    }
}
