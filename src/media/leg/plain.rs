//! A connection without protection, which checks what its user promised.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::Ssrc;
use crate::transport::Path;
use crate::transport::srtp::Opened;
use crate::wire::rtp::RtpView;
use crate::wire::sequence::SequenceUnwrapper;

/// A connection without protection.
pub(in super::super) struct PlainLeg {
    pub(in super::super) path: Path,
    incoming: BTreeMap<Ssrc, SequenceUnwrapper>,
    sealed: BTreeSet<(Ssrc, u64)>,
}

impl PlainLeg {
    pub(in super::super) fn new(path: Path) -> Self {
        Self { path, incoming: BTreeMap::new(), sealed: BTreeSet::new() }
    }

    pub(super) fn open_rtp(&mut self, packet: &[u8]) -> Option<Opened> {
        let view = RtpView::parse_protected(packet).ok()?;
        let index = self.incoming.entry(view.ssrc()).or_default().unwrap(view.sequence());
        Some(Opened { len: packet.len(), index })
    }

    pub(super) fn seal_rtp(&mut self, buffer: &[u8], len: usize, index: u64) -> Option<usize> {
        let view = RtpView::parse(buffer.get(..len)?).ok()?;
        assert_eq!(u64::from(view.sequence()), index & 0xffff, "the index belongs to the packet");
        assert!(self.sealed.insert((view.ssrc(), index)), "an index seals one packet only");
        Some(len)
    }
}
