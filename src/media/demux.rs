//! Whose a datagram is.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::participant::Participant;
use super::slab::Key;

/// Participants by what their datagrams show. Both maps are as large as their participants make them:
/// at most two fragments and as many addresses as ICE keeps paths for each.
#[derive(Default)]
pub(super) struct Demux {
    by_ufrag: HashMap<String, Key<Participant>>,
    by_address: HashMap<SocketAddr, Key<Participant>>,
}

impl Demux {
    /// Whether a fragment is in use.
    pub(super) fn has_ufrag(&self, ufrag: &str) -> bool {
        self.by_ufrag.contains_key(ufrag)
    }

    /// Makes a participant found by a local ICE fragment.
    pub(super) fn add_ufrag(&mut self, ufrag: &str, key: Key<Participant>) {
        self.by_ufrag.insert(ufrag.to_owned(), key);
    }

    /// The participant that a STUN request is for.
    pub(super) fn by_ufrag(&self, ufrag: &str) -> Option<Key<Participant>> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Makes a participant found by an address that an authenticated check came from. The last to
    /// prove itself from an address has it; who lives there is the caller's to ask.
    pub(super) fn add_address(&mut self, address: SocketAddr, key: Key<Participant>) {
        self.by_address.insert(address, key);
    }

    /// The participant that a packet is from.
    pub(super) fn by_address(&self, address: SocketAddr) -> Option<Key<Participant>> {
        self.by_address.get(&address).copied()
    }

    /// Forgets an address, unless it is another's by now.
    pub(super) fn remove_address(&mut self, address: SocketAddr, key: Key<Participant>) {
        if self.by_address.get(&address) == Some(&key) {
            self.by_address.remove(&address);
        }
    }

    /// Forgets a fragment, unless it is another's by now.
    pub(super) fn remove_ufrag(&mut self, ufrag: &str, key: Key<Participant>) {
        if self.by_ufrag.get(ufrag) == Some(&key) {
            self.by_ufrag.remove(ufrag);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_ufrag.len() + self.by_address.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::slab::Slab;

    #[test]
    fn an_address_is_the_last_ones_that_proved_itself() {
        let mut keys: Slab<()> = Slab::default();
        let (first, second) = (keys.insert(()).cast(), keys.insert(()).cast());
        let address = "192.0.2.1:9".parse().unwrap();
        let mut demux = Demux::default();
        demux.add_address(address, first);
        demux.add_address(address, second);
        demux.remove_address(address, first);
        assert_eq!(demux.by_address(address), Some(second));
        demux.remove_address(address, second);
        assert_eq!(demux.len(), 0);
    }
}
