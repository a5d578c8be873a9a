//! What a synthetic participant is asked to send once more (RFC 4585 section 6.2.1), and sends (RFC 4588).

use std::collections::VecDeque;

use super::source::StreamStart;
use crate::base::{Random, Ssrc};
use crate::wire::WireError;
use crate::wire::rtp::{RtpHeader, RtpView};

/// Packets of one source that are kept: longer than the server asks for one.
const MOST_KEPT: usize = 128;
/// Requests that wait to be answered.
const MOST_WANTED: usize = 256;

/// A source whose packets may be sent again.
#[derive(Debug)]
struct Repeats {
    media: Ssrc,
    ssrc: Ssrc,
    payload_type: u8,
    next_index: u64,
    kept: VecDeque<Vec<u8>>,
}

/// What one connection may send again.
#[derive(Debug, Default)]
pub(super) struct Resend {
    sources: Vec<Repeats>,
    wanted: VecDeque<(Ssrc, u16)>,
}

impl Resend {
    /// A source's packets are kept from now on, to be sent again under another SSRC and payload type.
    pub(super) fn keep(&mut self, media: Ssrc, ssrc: Ssrc, payload_type: u8, random: &mut Random) {
        let next_index = u64::from(StreamStart::draw(random).sequence);
        self.sources.push(Repeats { media, ssrc, payload_type, next_index, kept: VecDeque::new() });
    }

    /// Forgets everything, as for a new connection.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A source has sent a packet.
    pub(super) fn sent(&mut self, media: Ssrc, packet: &[u8]) {
        if let Some(source) = self.sources.iter_mut().find(|source| source.media == media) {
            if source.kept.len() >= MOST_KEPT {
                source.kept.pop_front();
            }
            source.kept.push_back(packet.to_vec());
        }
    }

    /// Packets of a source are asked for.
    pub(super) fn want(&mut self, media: Ssrc, sequences: impl Iterator<Item = u16>) {
        let room = MOST_WANTED.saturating_sub(self.wanted.len());
        self.wanted.extend(sequences.take(room).map(|sequence| (media, sequence)));
    }

    /// Writes the next packet that is wanted and still there; answers its length and its SRTP index.
    ///
    /// # Errors
    /// Where `out` is too small.
    pub(super) fn poll(&mut self, out: &mut [u8]) -> Result<Option<(usize, u64)>, WireError> {
        while let Some((media, sequence)) = self.wanted.pop_front() {
            let Some(source) = self.sources.iter_mut().find(|source| source.media == media) else { continue };
            let mut kept = source.kept.iter().filter_map(|packet| RtpView::parse(packet).ok());
            let Some(view) = kept.find(|view| view.sequence() == sequence) else { continue };
            let index = source.next_index;
            let header = RtpHeader {
                payload_type: source.payload_type,
                sequence: u16::try_from(index & 0xffff).unwrap_or(0),
                ssrc: source.ssrc,
                ..view.header()
            };
            let mut len = header.write(&[], out)?;
            for part in [sequence.to_be_bytes().as_slice(), view.payload()] {
                let place = out.get_mut(len..len + part.len()).ok_or(WireError::NoSpace("payload"))?;
                place.copy_from_slice(part);
                len += part.len();
            }
            source.next_index += 1;
            return Ok(Some((len, index)));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_sent_again_while_it_is_kept() {
        let mut resend = Resend::default();
        resend.keep(Ssrc(1), Ssrc(2), 97, &mut Random::from_number(1));
        for sequence in 0..200 {
            let header = RtpHeader { payload_type: 96, marker: true, sequence, timestamp: 7, ssrc: Ssrc(1) };
            let mut packet = vec![0; 12];
            header.write(&[], &mut packet).unwrap();
            packet.push(9);
            resend.sent(Ssrc(1), &packet);
        }
        resend.want(Ssrc(1), [10, 150].into_iter());
        resend.want(Ssrc(5), [150].into_iter());
        let mut out = [0; 100];
        let (len, index) = resend.poll(&mut out).unwrap().unwrap();
        let view = RtpView::parse(&out[..len]).unwrap();
        assert_eq!((view.ssrc(), view.payload_type(), view.timestamp()), (Ssrc(2), 97, 7));
        assert_eq!((u64::from(view.sequence()), view.payload()), (index, &[0, 150, 9][..]));
        assert_eq!(resend.poll(&mut out), Ok(None));
    }
}
