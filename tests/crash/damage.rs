//! Stores that were cut, overwritten or mixed up: recognised, set aside, and never read in part.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anteroom::base::Random;
use anteroom::store::{Saved, Store};

use super::herd::{records, settings};
use super::is_long;
use super::server::{Home, copy};
use super::tally::Tally;

/// A store as a killed server leaves it, whose journal holds much, and as one leaves it that was started
/// since; each with what is saved in it.
fn killed(folder: &Path) -> Vec<(PathBuf, Saved)> {
    let home = Home::new();
    let server = home.start();
    for room in 0..40 {
        let body = format!("{{\"name\": \"room {room}\"}}");
        assert_eq!(server.admin("POST /v1/rooms", &body).0, 201, "{}", home.said());
    }
    for room in 0..10 {
        assert_eq!(server.admin(&format!("DELETE /v1/rooms/room%20{room}"), "").0, 200);
    }
    server.kill();
    let fresh = folder.join("fresh");
    copy(&home.store(), &fresh);
    // The thread that flushes takes the journal over at the first chance.
    let settled = folder.join("settled");
    copy(&fresh, &settled);
    drop(Store::open(&settings(&settled)).unwrap());
    [fresh, settled]
        .into_iter()
        .map(|path| {
            let look = folder.join("look");
            let _ = fs::remove_dir_all(&look);
            copy(&path, &look);
            let saved = Store::open(&settings(&look)).unwrap().1;
            assert_eq!(saved.len(), 30);
            (path, saved)
        })
        .collect()
}

/// What was done to a store.
#[derive(Debug)]
enum Harm {
    Flip(PathBuf, usize, u8),
    Cut(PathBuf, usize),
    Blank(PathBuf, usize, usize),
    Remove(PathBuf),
}

impl Harm {
    fn draw(random: &mut Random, store: &Path) -> Self {
        let mut files: Vec<PathBuf> =
            fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| fs::metadata(file).unwrap().len() > 0);
        files.sort();
        let file = files[random.below(files.len() as u64) as usize].clone();
        let length = fs::metadata(&file).unwrap().len();
        let at = random.below(length) as usize;
        match random.below(8) {
            0..=4 => Self::Flip(file, at, 1 << random.below(8)),
            5 => Self::Cut(file, at),
            6 => Self::Blank(file, at, 512),
            _ => Self::Remove(file),
        }
    }

    fn do_it(&self) {
        let (Self::Flip(file, ..) | Self::Cut(file, ..) | Self::Blank(file, ..) | Self::Remove(file)) = self;
        let mut bytes = fs::read(file).unwrap();
        match self {
            Self::Flip(_, at, bit) => bytes[*at] ^= bit,
            Self::Cut(_, at) => bytes.truncate(*at),
            Self::Blank(_, at, length) => bytes.iter_mut().skip(*at).take(*length).for_each(|byte| *byte = 0),
            Self::Remove(_) => return fs::remove_file(file).unwrap(),
        }
        fs::write(file, bytes).unwrap();
    }
}

fn aside_of(folder: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
}

#[test]
fn f06_what_is_in_a_folder_that_cannot_be_renamed_is_set_aside_inside_it() {
    let folder = tempfile::tempdir().unwrap();
    // The system allows no longer name. Nor could it be renamed if a disk were mounted there.
    let path = folder.path().join("s".repeat(250));
    drop(Store::open(&settings(&path)).unwrap());
    let database = path.join("rooms.db");
    fs::write(&database, b"something else").unwrap();
    assert!(Store::open(&settings(&path)).unwrap().1.is_empty());
    let aside = aside_of(&path);
    assert_eq!(aside.len(), 1);
    assert_eq!(fs::read(aside[0].join("rooms.db")).unwrap(), b"something else");
    assert!(Store::open(&settings(&path)).unwrap().1.is_empty());
    assert_eq!(aside_of(&path).len(), 1, "once");
}

#[test]
fn f06_a_store_that_was_harmed_is_whole_or_is_set_aside() {
    let mut tally = Tally::of("faults", "F6");
    let folder = tempfile::tempdir().unwrap();
    let stores = killed(folder.path());
    let rounds = if is_long() { 2_000 } else { 150 };
    let mut counts = BTreeMap::new();
    for seed in 0..rounds {
        let mut random = Random::from_number(seed);
        let (pristine, saved) = &stores[(seed % 2) as usize];
        let place = folder.path().join(format!("trial {seed}"));
        let path = place.join("store");
        copy(pristine, &path);
        let harm = Harm::draw(&mut random, &path);
        harm.do_it();
        let (store, found) =
            Store::open(&settings(&path)).unwrap_or_else(|error| panic!("seed {seed}, {harm:?}: {error}"));
        let aside = aside_of(&place);
        // Nothing is between all of it and nothing.
        let what = match aside.len() {
            0 => {
                assert!(found == *saved, "seed {seed}: {harm:?}: {} of {} records", found.len(), saved.len());
                "whole"
            }
            1 => {
                assert!(found.is_empty(), "seed {seed}: {harm:?}");
                assert!(aside[0].join("mark").exists() || matches!(harm, Harm::Remove(_)));
                "set aside"
            }
            more => panic!("seed {seed}: set aside {more} times"),
        };
        *counts.entry(what).or_insert(0) += 1;
        drop(store);
        // What is there now can be used.
        assert_eq!(Store::open(&settings(&path)).unwrap().1, found, "seed {seed}: {harm:?}");
        assert_eq!(aside_of(&place).len(), aside.len(), "seed {seed}: once");
        fs::remove_dir_all(&place).unwrap();
    }
    println!("{rounds} stores were harmed: {counts:?}");
    assert!(counts["set aside"] * 4 > rounds && counts.contains_key("whole"), "{counts:?}");
    tally.count(rounds, "harmed stores");
}

#[test]
fn a_server_says_that_its_store_is_damaged_and_starts_without_rooms() {
    let home = Home::new();
    let server = home.start();
    assert_eq!(server.admin("POST /v1/rooms", "{\"name\": \"board\"}").0, 201);
    server.kill();
    let journal = home.store().join("rooms.db-wal");
    let length = fs::metadata(&journal).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&journal).unwrap();
    // The last step is gone.
    file.set_len(length - 4_096).unwrap();
    let server = home.start();
    assert_eq!(server.rooms(), [""; 0]);
    let aside = home.set_aside();
    assert_eq!(aside.len(), 1);
    let said = home.said();
    for word in ["ERROR", "damaged", "set aside", aside[0].file_name().unwrap().to_str().unwrap()] {
        assert!(said.contains(word), "{word} in {said}");
    }
    // And the one that took its place keeps.
    assert_eq!(server.admin("POST /v1/rooms", "{\"name\": \"board\"}").0, 201);
    server.kill();
    assert_eq!(home.start().rooms(), ["board"]);
    assert_eq!(home.set_aside().len(), 1);
}

#[test]
fn records_that_do_not_fit_together_are_set_aside_as_well() {
    let home = Home::new();
    let (mut store, _) = Store::open(&settings(&home.store())).unwrap();
    let mut saved = records(2, 1);
    saved.retain(|key, _| key.session != 2 || !matches!(key.part, anteroom::message::saved::Part::Head));
    store.write(&saved).unwrap();
    drop(store);
    let server = home.start();
    assert_eq!(server.rooms(), [""; 0], "not even the room that is whole");
    assert_eq!(home.set_aside().len(), 1);
    assert!(home.said().contains("a session has no head"), "{}", home.said());
}

#[test]
fn a_store_whose_mark_could_not_be_written_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (mut store, _) = Store::open(&settings(&path)).unwrap();
    store.write(&records(1, 1)).unwrap();
    let mark = fs::read(path.join("mark")).unwrap();
    for room in 2..6 {
        store.write(&records(room, 1)).unwrap();
    }
    drop(store);
    fs::write(path.join("mark"), mark).unwrap();
    assert_eq!(Store::open(&settings(&path)).unwrap().1.len(), 10);
    assert!(aside_of(folder.path()).is_empty());
}

#[test]
fn the_journal_starts_over_when_it_is_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let (mut store, _) = Store::open(&settings(&path)).unwrap();
    let length = || fs::metadata(path.join("rooms.db-wal")).unwrap().len();
    store.write(&records(1_000, 70)).unwrap();
    assert!(length() > 16 * 1024 * 1024, "{}", length());
    let began = std::time::Instant::now();
    while length() > 1_000_000 {
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "the journal stays long");
        std::thread::sleep(std::time::Duration::from_millis(20));
        // It is looked at when something was written.
        store.write(&records(1, 0)).unwrap();
    }
    drop(store);
    let saved = Store::open(&settings(&path)).unwrap().1;
    assert_eq!(saved.len(), 71_000);
}
