//! Which records the DTLS crate gets to see.
//!
//! It answers malformed and unauthenticated records with fatal alerts, keeps every early record and
//! every handshake fragment, and joins fragments by recursion. So it is given only what a handshake
//! needs, and only so much of it.

use rtc::shared::error::Error;

use super::record::{ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, Record, fragments, records};

/// Records of one handshake: about 10 make one, and each flight may be repeated a dozen times.
const MAX_HANDSHAKE_RECORDS: usize = 256;
/// Bytes of one handshake: about 3,000 make one, 20,000 with a chain of certificates.
const MAX_HANDSHAKE_BYTES: usize = 64 * 1024;
/// The longest handshake message; certificates are the longest, about 1,000 bytes.
const MAX_MESSAGE: usize = 16 * 1024;
/// A client sends two hellos, certificate, keys, signature and Finished: messages 0 to 5. A server
/// numbers its own up to 6.
const MAX_MESSAGES: u16 = 16;
/// Records after the handshake: repeated Finished messages, and one alert to close.
const MAX_LATER_RECORDS: usize = 64;

/// The budget of one association.
pub(super) struct RecordGate {
    handshake_records: usize,
    handshake_bytes: usize,
    later_records: usize,
}

impl RecordGate {
    pub(super) const fn new() -> Self {
        Self {
            handshake_records: MAX_HANDSHAKE_RECORDS,
            handshake_bytes: MAX_HANDSHAKE_BYTES,
            later_records: MAX_LATER_RECORDS,
        }
    }

    /// The records of a datagram that pass during a handshake, put together again.
    pub(super) fn during_handshake(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut passed = Vec::new();
        for record in records(datagram) {
            let Some(cost) = handshake_cost(&record) else { continue };
            let (Some(records_left), Some(bytes_left)) = (
                self.handshake_records.checked_sub(cost),
                self.handshake_bytes.checked_sub(record.whole.len()),
            ) else {
                break;
            };
            self.handshake_records = records_left;
            self.handshake_bytes = bytes_left;
            passed.extend_from_slice(record.whole);
        }
        passed
    }

    /// The records of a datagram that pass once the handshake is done: encrypted ones only, so that
    /// nobody without the keys can say anything.
    pub(super) fn after_handshake(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut passed = Vec::new();
        for record in records(datagram) {
            if record.epoch != 1 || !matches!(record.content_type, ALERT | HANDSHAKE) {
                continue;
            }
            let Some(left) = self.later_records.checked_sub(1) else { break };
            self.later_records = left;
            passed.extend_from_slice(record.whole);
        }
        passed
    }
}

/// What a record takes from the budget of a handshake; `None` if it does not belong there.
fn handshake_cost(record: &Record<'_>) -> Option<usize> {
    match (record.epoch, record.content_type) {
        (0, HANDSHAKE) => plain_handshake_cost(record.body),
        (0, CHANGE_CIPHER_SPEC) => (record.body == [1]).then_some(1),
        // A plaintext alert is nobody's word (RFC 6347 section 4.1.2.7), so it falls through too.
        (1, HANDSHAKE | ALERT) => Some(1),
        _ => None,
    }
}

/// The number of fragments, if each is well-formed and the crate will read it as we do.
fn plain_handshake_cost(body: &[u8]) -> Option<usize> {
    let fragments = fragments(body)?;
    let (last, before) = fragments.split_last()?;
    // The crate takes a message to reach as far as its length says, so a part can only come last.
    let readable = before.iter().all(super::record::Fragment::is_whole) && !last.body.is_empty()
        || fragments.iter().all(super::record::Fragment::is_whole);
    let bounded = fragments.iter().all(|one| one.length <= MAX_MESSAGE && one.sequence < MAX_MESSAGES);
    (readable && bounded).then_some(fragments.len())
}

/// Whether an error after the handshake means that the association is over. Only a peer with the keys
/// can cause it then.
pub(super) const fn is_end(error: &Error) -> bool {
    matches!(error, Error::ErrAlertFatalOrClose)
}
