//! Maps by ids that nobody outside chooses: no hash has to withstand anybody.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by an id of this process.
pub(super) type ById<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Spreads the bits of one number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u128(&mut self, number: u128) {
        let halves = [number & u128::from(u64::MAX), number >> 64];
        halves.into_iter().for_each(|half| self.write_u64(u64::try_from(half).unwrap_or(0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ParticipantId;

    #[test]
    fn each_id_has_its_place() {
        let map: ById<ParticipantId, u64> = (0..1_000).map(|id| (ParticipantId(id), id)).collect();
        assert!((0..1_000).all(|id| map.get(&ParticipantId(id)) == Some(&id)));
        assert_eq!(map.get(&ParticipantId(1_000)), None);
    }
}
