//! What a crash would leave: the session as it is, but for what is under way and who presents.

use std::collections::BTreeMap;
use std::time::Duration;

use anteroom::base::{Random, Time};
use anteroom::control::{BreakoutState, Control, ControlSettings, PlaceView, SessionView};
use anteroom::message::saved::{Key, Record, SavedHead};

use super::world::Check;

/// What has been saved.
pub struct Disk {
    settings: ControlSettings,
    saved: BTreeMap<Key, Record>,
}

impl Disk {
    pub fn new(settings: ControlSettings) -> Self {
        Self { settings, saved: BTreeMap::new() }
    }

    pub fn save(&mut self, control: &mut Control) {
        for change in control.take_changes() {
            match change.record {
                // As bytes, so that what they leave out is missed.
                Some(record) => {
                    let read = Record::from_bytes(change.key.part, &record.to_bytes()).unwrap();
                    self.saved.insert(change.key, read);
                }
                None => {
                    self.saved.remove(&change.key);
                }
            }
        }
    }

    /// Starts another control from what was saved and holds the two against each other.
    pub fn check(&self, control: &Control, now: Time, room: &str) -> Check {
        let saved = (now, self.saved.clone());
        let restored = Control::restore(self.settings.clone(), 1, Random::from_number(1), saved);
        let mut restored = restored.map_err(|error| error.to_string())?;
        let is = restored.inspect(room);
        let expected = control.inspect(room).map(|view| after_crash(view, is.as_ref(), now));
        if is != expected {
            return Err(format!("after a crash it is\n{is:#?}\nand should be\n{expected:#?}"));
        }
        if let (Some(is), Some(was)) = (&is, control.inspect(room)) {
            let most = was.seq + SavedHead::UNSAVED_EVENTS;
            if !(was.seq..=most).contains(&is.seq) {
                return Err(format!("after event {} a crash goes on at {}", was.seq, is.seq));
            }
        }
        let changes = restored.take_changes();
        if changes.is_empty() { Ok(()) } else { Err(format!("a crash changes {changes:?}")) }
    }
}

fn after_crash(mut view: SessionView, is: Option<&SessionView>, now: Time) -> SessionView {
    view.presenter = None;
    for (client, seat) in &mut view.seats {
        seat.held_until = Some(now + Duration::from_secs(30));
        if matches!(seat.place, PlaceView::Joining { .. }) {
            seat.place = PlaceView::Parent;
        }
        if let Some(other) = is.and_then(|is| is.seats.get(client)) {
            seat.participant = other.participant;
        }
    }
    for room in view.rooms.values_mut() {
        room.joining.clear();
        room.presenter = None;
        assert_eq!(room.state == BreakoutState::Active, !room.members.is_empty());
    }
    for media in view.media.values_mut() {
        (media.signalling, media.media, media.group) = (false, false, None);
        media.publish = anteroom::base::KindSet::NONE;
    }
    if let Some(is) = is {
        view.seq = is.seq;
    }
    view
}
