//! Which records the DTLS crate gets to see.
//!
//! It answers malformed and unauthenticated records with fatal alerts, keeps every early record and
//! every handshake fragment, joins fragments by recursion, and never does where they overlap. So it
//! is given only what a handshake needs, only so much of it, and each plaintext message in one piece.

use std::collections::{BTreeMap, BTreeSet};

use rtc_shared::error::Error;

use super::message::Partial;
use super::record::{
    ALERT, CHANGE_CIPHER_SPEC, Fragment, HANDSHAKE, Record, fragments, records, u24, write_message,
};

/// The handshake message with a chain of certificates (RFC 5246 section 7.4.2).
const CERTIFICATE: u8 = 11;

/// Records of one handshake: about 10 make one, and each flight may be repeated a dozen times.
const MAX_HANDSHAKE_RECORDS: usize = 256;
/// Bytes of one handshake: about 3,000 make one, 20,000 with a chain of certificates.
const MAX_HANDSHAKE_BYTES: usize = 64 * 1024;
/// The longest handshake message; certificates are the longest, about 1,000 bytes.
const MAX_MESSAGE: usize = 16 * 1024;
/// A client sends two hellos, certificate, keys, signature and Finished: messages 0 to 5. A server
/// numbers its own up to 6.
const MAX_MESSAGES: u16 = 16;
/// The longest encrypted body: a Finished has 64 bytes at the most, an alert fewer. Whoever has the
/// keys can put thousands of fragments into a long one, and recursion over those ends the process.
const MAX_SEALED: usize = 128;
/// The most fragments in such a body: 8 bytes of nonce and 16 of tag go off, 12 are a header.
const FRAGMENTS_SEALED: usize = (MAX_SEALED - 24) / 12;
/// Handshake records after the handshake: repeated Finished messages. The crate keeps those that are
/// authentic. Of alerts it keeps nothing, so they need no limit, and junk cannot drown the last one.
const MAX_LATER_RECORDS: usize = 64;

/// The budget of one association, and the messages that are not whole yet.
pub(super) struct RecordGate {
    /// By number; at most [`MAX_MESSAGES`], together within the budget.
    partial: BTreeMap<u16, Partial>,
    /// Records passed that were not encrypted. They are numbered anew.
    plain_records: u32,
    /// The peer's numbers of those. A record that comes twice must not pass twice: the crate stops
    /// its timer at each. As many as the budget has records.
    seen: BTreeSet<u64>,
    handshake_records: usize,
    handshake_bytes: usize,
    later_records: usize,
}

impl RecordGate {
    pub(super) fn new() -> Self {
        Self {
            partial: BTreeMap::new(),
            plain_records: 0,
            seen: BTreeSet::new(),
            handshake_records: MAX_HANDSHAKE_RECORDS,
            handshake_bytes: MAX_HANDSHAKE_BYTES,
            later_records: MAX_LATER_RECORDS,
        }
    }

    /// For an association of which goodbyes are all that can come.
    pub(super) const fn for_alerts() -> Self {
        Self {
            partial: BTreeMap::new(),
            plain_records: 0,
            seen: BTreeSet::new(),
            handshake_records: 0,
            handshake_bytes: 0,
            later_records: 0,
        }
    }

    /// What passes of a datagram during a handshake: plaintext messages as they become whole, each in
    /// a record of its own.
    pub(super) fn during_handshake(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut passed = Vec::new();
        for record in records(datagram) {
            if record.epoch == 0 && self.seen.contains(&record.number) {
                continue;
            }
            match (record.epoch, record.content_type) {
                (0, HANDSHAKE) => {
                    for fragment in fragments(record.body).unwrap_or_default() {
                        if is_needed(&fragment) && self.charge(1, fragment.body.len()) {
                            self.seen.insert(record.number);
                            let message = self.join(&fragment).unwrap_or_default();
                            self.pass_plain(&record, &message, &mut passed);
                        }
                    }
                }
                (0, CHANGE_CIPHER_SPEC) if record.body == [1] && self.charge(1, 1) => {
                    self.seen.insert(record.number);
                    self.pass_plain(&record, record.body, &mut passed);
                }
                // A plaintext alert is nobody's word (RFC 6347 section 4.1.2.7): it does not pass.
                _ if is_sealed(&record) && self.charge(FRAGMENTS_SEALED, record.whole.len()) => {
                    passed.extend_from_slice(record.whole);
                }
                _ => {}
            }
        }
        passed
    }

    /// Puts a fragment to the others of its message; answers the message once it is whole.
    fn join(&mut self, fragment: &Fragment<'_>) -> Option<Vec<u8>> {
        let partial = self.partial.entry(fragment.sequence).or_insert_with(|| Partial::of(fragment));
        if !partial.fits(fragment) {
            // Another message under the same number: start again, so that junk cannot block for ever.
            *partial = Partial::of(fragment);
        }
        partial.push(fragment);
        let body = partial.whole()?;
        self.partial.remove(&fragment.sequence);
        if fragment.message_type == CERTIFICATE && !is_chain(&body) {
            return None;
        }
        write_message(fragment.message_type, fragment.sequence, &body)
    }

    /// Passes the body of an unencrypted record under a number of ours, if there is one.
    fn pass_plain(&mut self, record: &Record<'_>, body: &[u8], passed: &mut Vec<u8>) {
        const EPOCH_AND_HIGH_BITS: [u8; 4] = [0; 4];
        let Some(type_and_version) = record.whole.first_chunk::<3>() else { return };
        let Some(len) = u16::try_from(body.len()).ok().filter(|len| *len > 0) else { return };
        passed.extend_from_slice(type_and_version);
        passed.extend_from_slice(&EPOCH_AND_HIGH_BITS);
        passed.extend_from_slice(&self.plain_records.to_be_bytes());
        passed.extend_from_slice(&len.to_be_bytes());
        passed.extend_from_slice(body);
        self.plain_records += 1;
    }

    /// Takes so many fragments out of the budget, if there is enough left.
    fn charge(&mut self, fragments: usize, bytes: usize) -> bool {
        let left = (self.handshake_records.checked_sub(fragments), self.handshake_bytes.checked_sub(bytes));
        if let (Some(records_left), Some(bytes_left)) = left {
            (self.handshake_records, self.handshake_bytes) = (records_left, bytes_left);
            return true;
        }
        false
    }

    /// The records of a datagram that pass once the handshake is done: encrypted ones only, so that
    /// nobody without the keys can say anything.
    pub(super) fn after_handshake(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut passed = Vec::new();
        for record in records(datagram) {
            if !is_sealed(&record) {
                continue;
            }
            if record.content_type == HANDSHAKE {
                let Some(left) = self.later_records.checked_sub(1) else { continue };
                self.later_records = left;
            }
            passed.extend_from_slice(record.whole);
        }
        passed
    }
}

/// Whether this can be an encrypted Finished or alert.
fn is_sealed(record: &Record<'_>) -> bool {
    let (kind, len) = (record.content_type, record.body.len());
    record.epoch == 1 && matches!(kind, ALERT | HANDSHAKE) && (1..=MAX_SEALED).contains(&len)
}

/// Whether a chain of certificates has the lengths that it claims. The crate makes room for as much as a
/// certificate claims to be, up to 16 MB, before it looks whether it is there.
fn is_chain(body: &[u8]) -> bool {
    let Some((_, mut rest)) = body.split_first_chunk().filter(|(len, rest)| u24(**len) == rest.len()) else {
        return false;
    };
    while let Some((len, behind)) = rest.split_first_chunk::<3>() {
        let Some(next) = behind.get(u24(*len)..) else { return false };
        rest = next;
    }
    rest.is_empty()
}

/// Whether a handshake can need this fragment. A part of nothing would never let a message end.
const fn is_needed(fragment: &Fragment<'_>) -> bool {
    let is_empty_part = fragment.body.is_empty() && fragment.length > 0;
    !is_empty_part && fragment.length <= MAX_MESSAGE && fragment.sequence < MAX_MESSAGES
}

/// Whether an error after the handshake means that the association is over. Only a peer with the keys
/// can cause it then.
pub(super) const fn is_end(error: &Error) -> bool {
    matches!(error, Error::ErrAlertFatalOrClose)
}
