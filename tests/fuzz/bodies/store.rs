//! The files of a store, harmed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use anteroom::base::BreakoutId;
use anteroom::message::saved::{Key, Part, Record};
use anteroom::store::settings::StoreSettings;
use anteroom::store::{Saved, Store};

use super::input::Input;

/// What a killed server leaves: each file, and what is saved in them.
struct Whole {
    files: Vec<(String, Vec<u8>)>,
    saved: Saved,
}

/// Harms files as the input says, and opens the store: what was saved is all there, or the store is set aside.
pub fn store(data: &[u8]) {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    let whole = WHOLE.get_or_init(make);
    let place = tempfile::tempdir().expect("a folder for what is made");
    let path = place.path().join("store");
    fs::create_dir_all(&path).expect("a folder");
    let files = harmed(whole, data);
    let is_left = |name: &str| files.get(name).is_some_and(|bytes| name != "mark" || !bytes.is_empty());
    let is_nothing = !["mark", "rooms.db", "rooms.db-wal"].into_iter().any(is_left);
    for (name, bytes) in &files {
        fs::write(path.join(name), bytes).expect("a file");
    }
    let (store, saved) = Store::open(&settings(&path)).expect("a damaged store is no hindrance");
    drop(store);
    let is_aside = fs::read_dir(place.path()).expect("a folder").count() > 1;
    if is_aside {
        assert!(saved.is_empty(), "set aside, and read all the same: {saved:?}");
        assert!(!data.is_empty(), "nothing was harmed");
    } else if !is_nothing {
        assert_eq!(saved, whole.saved, "read in part");
    }
}

/// Each harm is a file, what is done to it, where, and with which byte; 0 removes the file.
fn harmed(whole: &Whole, data: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = whole.files.iter().cloned().collect();
    let mut input = Input::new(data);
    while !input.is_empty() {
        let (name, _) = &whole.files[usize::from(input.u8()) % whole.files.len()];
        let what = input.u8();
        let Some(bytes) = files.get_mut(name) else { continue };
        let at = usize::from(input.u16()) * 7 % bytes.len().max(1);
        match what % 8 {
            0 => drop(files.remove(name)),
            1 => bytes.truncate(at),
            2 => bytes.iter_mut().skip(at).take(512).for_each(|byte| *byte = 0),
            3 => bytes.splice(at.., input.piece().to_vec()).for_each(drop),
            4 => bytes.extend(input.piece()),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= input.u8()),
        }
    }
    files
}

fn make() -> Whole {
    let place = tempfile::tempdir().expect("a folder for what is made");
    let path = place.path().join("store");
    let (mut store, _) = Store::open(&settings(&path)).expect("a store");
    for step in 1..=20 {
        let key = |session| Key { session, part: Part::Destroyed };
        let rooms: Vec<BreakoutId> = (0..step).map(|room| BreakoutId(u128::from(room * step))).collect();
        let mut changes = BTreeMap::from([(key(step), Some(Record::Destroyed(rooms)))]);
        changes.insert(key(step / 2), None);
        store.write(&changes).expect("a step");
    }
    // While it is open: what is in the journal is not in the database yet, as after a kill.
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).expect("a folder") {
        let file = entry.expect("a file").path();
        let name = file.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        files.push((name, fs::read(file).expect("a file")));
    }
    files.sort();
    drop(store);
    let (_, saved) = Store::open(&settings(&path)).expect("a store");
    assert_eq!(saved.len(), 10);
    Whole { files, saved }
}

fn settings(path: &Path) -> StoreSettings {
    StoreSettings { path: path.to_owned(), ..StoreSettings::default() }
}
