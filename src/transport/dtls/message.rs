//! A handshake message on its way from fragments to a whole (RFC 6347 section 4.2.3).

use super::record::Fragment;

/// A message of which some fragments have come, in any order, overlapping or twice: whoever sends a
/// flight again may cut it in other places.
pub(super) struct Partial {
    message_type: u8,
    length: usize,
    parts: Vec<(usize, Vec<u8>)>,
}

impl Partial {
    /// The message that `fragment` is of, without any part yet.
    pub(super) const fn of(fragment: &Fragment<'_>) -> Self {
        Self { message_type: fragment.message_type, length: fragment.length, parts: Vec::new() }
    }

    /// Whether `fragment` claims to be of the same message as the parts so far.
    pub(super) const fn fits(&self, fragment: &Fragment<'_>) -> bool {
        self.message_type == fragment.message_type && self.length == fragment.length
    }

    /// How many parts there are.
    pub(super) const fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Remembers a part; answers whether there was none of this place and length.
    pub(super) fn push(&mut self, fragment: &Fragment<'_>) -> bool {
        let place = self
            .parts
            .partition_point(|(offset, body)| (*offset, body.len()) < (fragment.offset, fragment.body.len()));
        let known = self
            .parts
            .get(place)
            .is_some_and(|(offset, body)| (*offset, body.len()) == (fragment.offset, fragment.body.len()));
        if !known {
            self.parts.insert(place, (fragment.offset, fragment.body.to_vec()));
        }
        !known
    }

    /// The body of the message, if the parts cover it.
    pub(super) fn whole(&self) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        for (offset, body) in &self.parts {
            let known = message.len().checked_sub(*offset)?;
            message.extend_from_slice(body.get(known..).unwrap_or_default());
        }
        (message.len() == self.length).then_some(message)
    }
}
