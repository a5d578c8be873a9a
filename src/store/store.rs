//! Opens what was saved and saves what changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::database::{Database, ReadError};
use super::error::StoreError;
use super::flush::{Flush, Progress, connect_to_flush};
use super::folder::{Folder, Place};
use super::mark::{Boot, Found, Mark, this_boot};
use super::settings::{StoreSettings, Sync};
use crate::message::saved::{Key, Record, VERSION};

/// Everything that was saved.
pub type Saved = BTreeMap<Key, Record>;

/// A store that this process alone uses.
#[derive(Debug)]
pub struct Store {
    // Ends before the connection that it shares the database with.
    flush: Flush,
    database: Database,
    folder: Folder,
    /// The files that were opened.
    place: Place,
    boot: Boot,
    sync: Sync,
    progress: Arc<Progress>,
}

impl Store {
    /// Opens the store and answers what was saved in it. One that is damaged is set aside under another
    /// name, which the log tells, and an empty one takes its place.
    ///
    /// # Errors
    /// Where it cannot be had, or a later version has written it.
    pub fn open(settings: &StoreSettings) -> Result<(Self, Saved), StoreError> {
        let StoreSettings { path, sync, .. } = settings;
        let folder = Folder::open(path)?;
        match Self::read(&folder, *sync) {
            Ok((database, saved)) => Ok((Self::start(folder, database, *sync)?, saved)),
            Err(Unread::Not(error)) => Err(error),
            Err(Unread::Damaged(reason)) => {
                set_aside(folder, &reason)?;
                let folder = Folder::open(path)?;
                let database = Self::create(&folder, *sync)?;
                Ok((Self::start(folder, database, *sync)?, Saved::new()))
            }
        }
    }

    /// Sets this store aside and answers an empty one in its place.
    ///
    /// # Errors
    /// Where it cannot be set aside, or no other can be made.
    pub fn replaced(self, reason: &str) -> Result<Self, StoreError> {
        let Self { flush, database, folder, sync, .. } = self;
        drop((flush, database));
        let path = folder.path().to_owned();
        set_aside(folder, reason)?;
        let folder = Folder::open(&path)?;
        let database = Self::create(&folder, sync)?;
        Self::start(folder, database, sync)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Random bytes that are the same after every restart; `fresh` where there are none yet.
    ///
    /// # Errors
    /// Where they cannot be kept.
    pub fn lasting_seed(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.folder.lasting_seed(fresh).map_err(in_folder(&self.folder))
    }

    /// Saves changes as one step: after a crash they are all there, or none is. Answers how many bytes
    /// were written.
    ///
    /// # Errors
    /// Where they are not saved.
    pub fn write(&mut self, changes: &BTreeMap<Key, Option<Record>>) -> Result<usize, StoreError> {
        let bytes = self
            .database
            .write(changes)
            .map_err(|error| StoreError::Database { path: self.folder.path().to_owned(), error })?;
        self.progress.written.fetch_add(1, Ordering::AcqRel);
        Mark::new(self.boot, self.database.steps())
            .write(&self.folder.mark)
            .map_err(in_folder(&self.folder))?;
        // What was written to files that nobody finds again is not kept.
        if self.folder.place() != self.place {
            return Err(StoreError::Gone { path: self.folder.path().to_owned() });
        }
        Ok(bytes)
    }

    /// Whether something is saved under a key.
    #[must_use]
    pub fn has(&self, key: &Key) -> bool {
        self.database.has(key)
    }

    /// Whether what was written reaches the disk.
    #[must_use]
    pub fn reaches_disk(&self) -> bool {
        !self.progress.failed.load(Ordering::Acquire)
    }

    fn start(folder: Folder, database: Database, sync: Sync) -> Result<Self, StoreError> {
        let progress = Arc::new(Progress::default());
        let path = folder.database();
        let connection = connect_to_flush(&path)
            .map_err(|error| StoreError::Database { path: folder.path().to_owned(), error })?;
        let flush = Flush::start(path, connection, Arc::clone(&progress)).map_err(in_folder(&folder))?;
        let boot = this_boot();
        // From here on it is this boot's. The first mark is on the disk before anything is saved.
        let mark = Mark::new(boot, database.steps());
        mark.write(&folder.mark).and_then(|()| folder.sync()).map_err(in_folder(&folder))?;
        let place = folder.place();
        Ok(Self { flush, database, folder, place, boot, sync, progress })
    }

    fn create(folder: &Folder, sync: Sync) -> Result<Database, StoreError> {
        // The mark comes first: a database without one would count as damaged.
        Mark::new(this_boot(), 0).write(&folder.mark).map_err(in_folder(folder))?;
        let failed = |error| StoreError::Database { path: folder.path().to_owned(), error };
        Database::create(&folder.database(), sync).map_err(failed)
    }

    fn read(folder: &Folder, sync: Sync) -> Result<(Database, Saved), Unread> {
        let path = folder.database();
        let is_there = path.exists();
        let mark = match Mark::read(&folder.mark).map_err(in_folder(folder))? {
            Found::Mark(mark) => mark,
            // What is in a journal alone was saved, too.
            Found::Nothing if !is_there && !beside(&path, "-wal").exists() => {
                return Ok((Self::create(folder, sync)?, Saved::new()));
            }
            Found::Nothing | Found::Damaged => return Err(Unread::Damaged("its mark is none".to_owned())),
        };
        if mark.version > VERSION {
            let path = folder.path().to_owned();
            return Err(StoreError::Newer { path, found: mark.version, known: VERSION }.into());
        }
        if mark.steps == 0 {
            // Whoever made it was stopped before anything was saved.
            remove_database(&path).map_err(in_folder(folder))?;
            return Ok((Self::create(folder, sync)?, Saved::new()));
        }
        if !is_there {
            return Err(Unread::Damaged("its database is gone".to_owned()));
        }
        let (database, saved) = Database::open(&path, sync).map_err(|error| match error {
            ReadError::Damaged(reason) => Unread::Damaged(reason),
            ReadError::Blocked(error) => {
                Unread::Not(StoreError::Database { path: folder.path().to_owned(), error })
            }
        })?;
        check_steps(&mark, database.steps())?;
        Ok((database, saved))
    }
}

/// Holds how many steps the database has against the mark.
fn check_steps(mark: &Mark, steps: u64) -> Result<(), Unread> {
    // A crash can come between the two, and the mark may not be written where the database can: one that
    // is ahead has lost nothing.
    if steps >= mark.steps {
        return Ok(());
    }
    let boot = this_boot();
    if boot == mark.boot && boot != Boot::default() {
        return Err(Unread::Damaged(format!("it ends after {steps} of {} steps", mark.steps)));
    }
    // Since then the machine was without power: what had not reached the disk is not there.
    let lost = mark.steps - steps;
    tracing::warn!(lost, "the newest steps of the store were lost when the machine stopped");
    Ok(())
}

/// Why there is nothing to go on with.
enum Unread {
    Damaged(String),
    Not(StoreError),
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Not(error)
    }
}

fn in_folder(folder: &Folder) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = folder.path().to_owned();
    move |error| StoreError::Io { path, error }
}

/// A file of the database, by the ending of its name.
fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.to_owned().into_os_string();
    name.push(ending);
    PathBuf::from(name)
}

fn remove_database(path: &Path) -> std::io::Result<()> {
    for ending in ["", "-wal", "-shm"] {
        match std::fs::remove_file(beside(path, ending)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn set_aside(folder: Folder, reason: &str) -> Result<(), StoreError> {
    let path = folder.path().to_owned();
    match folder.set_aside() {
        Ok(aside) => {
            tracing::error!(
                store = %path.display(),
                set_aside = %aside.display(),
                reason,
                "the store is damaged and nothing of it is used: it was set aside, and the server starts with no rooms"
            );
            Ok(())
        }
        Err(error) => Err(StoreError::SetAside { path, reason: reason.to_owned(), error }),
    }
}
