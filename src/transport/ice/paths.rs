//! The paths that authenticated checks came over, and the one that the peer chose.

use std::net::SocketAddr;
use std::time::Duration;

use crate::base::Time;
use crate::transport::Path;

/// The most validated paths of one session. A client with four interfaces of two address families
/// each has eight; more would only serve one that changes its address to fill memory.
pub const MAX_PATHS: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Validated {
    path: Path,
    /// When the first authenticated check came over it.
    since: Time,
    /// When the last authenticated check came over it.
    checked: Time,
    /// When the last authentic media came over it.
    heard: Time,
    /// Whether a check under the current credentials came over it.
    current: bool,
}

impl Validated {
    /// When the peer was last there for certain.
    fn lived(&self) -> Time {
        self.checked.max(self.heard)
    }
}

/// What a check changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) validated: bool,
    pub(super) evicted: Option<Path>,
}

/// The validated paths, in the order of their validation.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    list: Vec<Validated>,
    selected: Option<Path>,
}

impl Paths {
    /// Notes a check. A new path may push out the one that was silent longest, never the selected.
    pub(super) fn validate(&mut self, now: Time, path: Path) -> Change {
        if let Some(known) = self.list.iter_mut().find(|known| known.path == path) {
            known.checked = known.checked.max(now);
            known.current = true;
            return Change { validated: false, evicted: None };
        }
        let evicted = if self.list.len() >= MAX_PATHS { self.evict() } else { None };
        self.list.push(Validated { path, since: now, checked: now, heard: now, current: true });
        Change { validated: true, evicted }
    }

    fn evict(&mut self) -> Option<Path> {
        let others = self.list.iter().filter(|known| Some(known.path) != self.selected);
        let silent = others.min_by_key(|known| known.checked).map(|known| known.path)?;
        self.list.retain(|known| known.path != silent);
        Some(silent)
    }

    /// Makes a validated path the one to send on; answers whether it was not before.
    pub(super) fn select(&mut self, path: Path) -> bool {
        self.selected.replace(path) != Some(path)
    }

    /// Whether a path is selected and no check has come over it for `limit`.
    pub(super) fn is_forsaken(&self, now: Time, limit: Duration) -> bool {
        let selected = self.list.iter().find(|known| Some(known.path) == self.selected);
        selected.is_some_and(|known| known.checked + limit <= now)
    }

    /// Begins a new session on the old paths: they count until they fall silent, but a path of the
    /// new session comes before them.
    pub(super) fn restart(&mut self) {
        self.selected = None;
        self.list.iter_mut().for_each(|known| known.current = false);
    }

    /// Takes out the paths that were silent for `limit`.
    pub(super) fn expire(&mut self, now: Time, limit: Duration) -> Vec<Path> {
        let is_silent = |known: &mut Validated| known.lived() + limit <= now;
        let expired: Vec<Path> = self.list.extract_if(.., is_silent).map(|known| known.path).collect();
        self.selected = self.selected.filter(|path| !expired.contains(path));
        expired
    }

    /// When the first path will have been silent for `limit`.
    pub(super) fn next_expiry(&self, limit: Duration) -> Option<Time> {
        self.list.iter().map(|known| known.lived() + limit).min()
    }

    pub(super) const fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// The selected path, else the first that was validated in this session, else in an older one.
    pub(super) fn best(&self) -> Option<Path> {
        let first = || self.list.iter().find(|known| known.current).or_else(|| self.list.first());
        self.selected.or_else(|| first().map(|known| known.path))
    }

    /// When the last authentic media came over a path, if that is validated: for who has some to set.
    pub(super) fn heard(&mut self, path: Path) -> Option<&mut Time> {
        self.list.iter_mut().find(|known| known.path == path).map(|known| &mut known.heard)
    }

    pub(super) fn contains(&self, path: Path) -> bool {
        self.list.iter().any(|known| known.path == path)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Path> {
        self.list.iter().map(|known| known.path)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// When the first and the last check came from an address.
    pub(super) fn checks_from(&self, remote: SocketAddr) -> Option<(Time, Time)> {
        let from = self.list.iter().filter(|known| known.path.remote == remote);
        let times = from.map(|known| (known.since, known.checked));
        times.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }

    /// When the last check came over any path that is still there.
    pub(super) fn last_check(&self) -> Option<Time> {
        self.list.iter().map(|known| known.checked).max()
    }
}
