//! What is remembered of a peer's sources, so that no packet of theirs is opened twice.

use super::SrtpError;
use super::window::Window;
use crate::base::plant::{self, Plant};

/// How many sources of one peer have a window. 8 per m-line on 4 m-lines, with RTX, come to 64.
pub(super) const MAX_SOURCES: usize = 64;
/// How many more are remembered by their highest index: a client takes new SSRCs when it restarts its tracks.
/// After that nothing new is opened, for what is forgotten for good could be repeated.
pub(super) const MAX_PAST: usize = 512;

/// A source that has a window.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    window: Window,
    /// Which packet of the peer was its last.
    last: u64,
}

/// The peer's sources, in both lists in the order of their SSRCs.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: Vec<Source>,
    /// Those that were silent for longest when another needed a window, and their highest index. They may come
    /// back with what is newer.
    past: Vec<(u32, u64)>,
    /// How many packets were accepted.
    accepted: u64,
}

/// Where a source is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Known(usize),
    Past(usize),
    New,
}

impl Sources {
    /// Finds a source.
    ///
    /// # Errors
    ///
    /// [`SrtpError::TooManySources`] for a new one that there is no room for.
    pub(super) fn find(&self, ssrc: u32) -> Result<Place, SrtpError> {
        if let Ok(at) = self.known.binary_search_by_key(&ssrc, |known| known.ssrc) {
            return Ok(Place::Known(at));
        }
        if let Ok(at) = self.past.binary_search_by_key(&ssrc, |(past, _)| *past) {
            return Ok(Place::Past(at));
        }
        let is_full = self.known.len() >= MAX_SOURCES && self.past.len() >= MAX_PAST;
        if is_full { Err(SrtpError::TooManySources) } else { Ok(Place::New) }
    }

    /// The full index of a sequence number; `None` beyond the last.
    #[inline]
    pub(super) fn guess(&self, place: Place, sequence: u16) -> Option<u64> {
        match place {
            Place::Known(at) => self.known.get(at)?.window.guess(sequence),
            Place::Past(at) => self.past_window(at)?.guess(sequence),
            Place::New => Some(sequence.into()),
        }
    }

    /// Refuses what was seen, or may have been.
    ///
    /// # Errors
    ///
    /// [`SrtpError::Replayed`].
    #[inline]
    pub(super) fn check_fresh(&self, place: Place, index: u64) -> Result<(), SrtpError> {
        let is_stale = match place {
            Place::Known(at) => self.known.get(at).is_some_and(|known| known.window.is_stale(index)),
            Place::Past(at) => self.past_window(at).is_some_and(|window| window.is_stale(index)),
            Place::New => false,
        };
        if is_stale && !plant::is(Plant::ReplayAccepted) { Err(SrtpError::Replayed) } else { Ok(()) }
    }

    /// Remembers an authenticated packet, and its source if it has no window.
    #[inline]
    pub(super) fn accept(&mut self, place: Place, ssrc: u32, index: u64) {
        self.accepted += 1;
        match place {
            Place::Known(at) => {
                if let Some(known) = self.known.get_mut(at) {
                    known.window.accept(index);
                    known.last = self.accepted;
                }
            }
            Place::Past(at) => {
                let mut window = self.past_window(at).unwrap_or(Window::starting_at(index));
                self.past.remove(at);
                window.accept(index);
                self.open_window(ssrc, window);
            }
            Place::New => self.open_window(ssrc, Window::starting_at(index)),
        }
    }

    #[cold]
    fn open_window(&mut self, ssrc: u32, window: Window) {
        if self.known.len() >= MAX_SOURCES {
            self.retire();
        }
        let at = self.known.partition_point(|known| known.ssrc < ssrc);
        self.known.insert(at, Source { ssrc, window, last: self.accepted });
    }

    /// Keeps only the highest index of the source that was silent for longest.
    fn retire(&mut self) {
        let silent = self.known.iter().enumerate().min_by_key(|(_, known)| known.last).map(|(at, _)| at);
        if let Some(at) = silent {
            let Source { ssrc, window, .. } = self.known.remove(at);
            let at = self.past.partition_point(|(past, _)| *past < ssrc);
            self.past.insert(at, (ssrc, window.highest()));
        }
    }

    fn past_window(&self, at: usize) -> Option<Window> {
        self.past.get(at).map(|(_, highest)| Window::closed_at(*highest))
    }

    /// How many sources there were.
    pub(super) const fn count(&self) -> usize {
        self.known.len() + self.past.len()
    }
}
