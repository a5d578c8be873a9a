//! Records of the store: a key, and the record under it.

use anteroom::message::saved::{KEY_BYTES, Key, Record};

/// What is read is written as it was meant, and reads back the same.
pub fn saved(data: &[u8]) {
    let (name, value) = data.split_at(data.len().min(KEY_BYTES));
    let Ok(key) = Key::from_bytes(name) else { return };
    assert_eq!(key.to_bytes()[..], *name, "one spelling only");
    let Ok(record) = Record::from_bytes(key.part, value) else { return };
    let written = record.to_bytes();
    let again = Record::from_bytes(key.part, &written).expect("what was written can be read");
    assert_eq!(again, record);
    assert_eq!(again.fingerprint(), record.fingerprint());
}
