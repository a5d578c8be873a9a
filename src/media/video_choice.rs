//! Which videos a listener sees: share, canvas, then cameras of the loudest.

use std::collections::BTreeMap;

use super::slab::Key;
use super::stream::Stream;
use crate::base::Kind;

/// What a stream is worth, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Share,
    Canvas,
    /// The camera of somebody who is heard, by rank.
    Talker(usize),
    /// Any other camera.
    Camera,
}

/// The videos of one group.
#[derive(Clone, Debug, Default)]
pub(super) struct VideoChoice {
    ranked: Vec<(Worth, Key<Stream>)>,
    worth: BTreeMap<Key<Stream>, Worth>,
}

impl VideoChoice {
    /// Adds a stream that may send. A camera counts once it has sent something; `talks` is its owner's
    /// rank among the talkers.
    pub(super) fn add(&mut self, stream: Key<Stream>, kind: Kind, seen: bool, talks: Option<usize>) {
        let worth = match (kind, talks) {
            (Kind::Audio, _) => return,
            (Kind::Share, _) => Worth::Share,
            (Kind::Canvas, _) => Worth::Canvas,
            (Kind::Video, _) if !seen => return,
            (Kind::Video, Some(rank)) => Worth::Talker(rank),
            (Kind::Video, None) => Worth::Camera,
        };
        self.ranked.push((worth, stream));
        self.worth.insert(stream, worth);
    }

    /// Puts them into their order; equals stay as they were added.
    pub(super) fn rank(&mut self) {
        self.ranked.sort_by_key(|(worth, _)| *worth);
    }

    /// The streams for one listener that has so many places, best first, of those that it may see. Among cameras
    /// that are worth the same, those that it sees already go first, so that nothing changes without need. Looks at
    /// few of them: a room may have thousands, and as many listeners.
    pub(super) fn for_listener(
        &self,
        held: &[Option<Key<Stream>>],
        places: usize,
        may_see: impl Fn(&Key<Stream>) -> bool,
    ) -> Vec<Key<Stream>> {
        let mut wanted = Vec::with_capacity(places);
        for equals in self.ranked.chunk_by(|(one, _), (other, _)| one == other) {
            let is_equal =
                |stream: &&Key<Stream>| self.worth.get(*stream) == equals.first().map(|(worth, _)| worth);
            let seen = held.iter().flatten().filter(is_equal);
            let others =
                equals.iter().map(|(_, stream)| stream).filter(|stream| !held.contains(&Some(**stream)));
            let left = places.saturating_sub(wanted.len());
            wanted.extend(seen.chain(others).copied().filter(&may_see).take(left));
            if wanted.len() >= places {
                break;
            }
        }
        wanted
    }
}

/// Gives wanted streams places: who has one keeps it, the others take the free ones in order.
pub(super) fn assign(held: &[Option<Key<Stream>>], wanted: &[Key<Stream>]) -> Vec<Option<Key<Stream>>> {
    let mut assigned: Vec<_> =
        held.iter().map(|stream| stream.filter(|stream| wanted.contains(stream))).collect();
    for stream in wanted {
        if !assigned.contains(&Some(*stream))
            && let Some(free) = assigned.iter_mut().find(|place| place.is_none())
        {
            *free = Some(*stream);
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::slab::Slab;

    fn streams(count: usize) -> Vec<Key<Stream>> {
        let mut keys: Slab<()> = Slab::default();
        (0..count).map(|_| keys.insert(()).cast()).collect()
    }

    #[test]
    fn the_order_is_share_canvas_and_cameras_of_the_loudest() {
        let all = streams(6);
        let mut choice = VideoChoice::default();
        choice.add(all[0], Kind::Video, true, None);
        choice.add(all[1], Kind::Video, true, Some(1));
        choice.add(all[2], Kind::Video, true, Some(0));
        choice.add(all[3], Kind::Canvas, false, None);
        choice.add(all[4], Kind::Share, false, None);
        choice.add(all[5], Kind::Video, false, Some(2));
        choice.rank();
        assert_eq!(choice.for_listener(&[], 9, |_| true), [all[4], all[3], all[2], all[1], all[0]]);
    }

    #[test]
    fn a_camera_that_is_seen_stays_among_equals() {
        let all = streams(3);
        let mut choice = VideoChoice::default();
        for stream in &all {
            choice.add(*stream, Kind::Video, true, None);
        }
        choice.rank();
        assert_eq!(choice.for_listener(&[None, Some(all[2])], 2, |_| true), [all[2], all[0]]);
        assert_eq!(choice.for_listener(&[None, Some(all[2])], 2, |of| *of != all[2]), [all[0], all[1]]);
    }

    #[test]
    fn a_stream_keeps_its_slot() {
        let all = streams(4);
        let held = [Some(all[0]), None, Some(all[2])];
        assert_eq!(assign(&held, &[all[3], all[2], all[1]]), [Some(all[3]), Some(all[1]), Some(all[2])]);
        assert_eq!(assign(&held, &[all[2]]), [None, None, Some(all[2])]);
    }
}
