//! The folder of a store: made, locked, and set aside.

use std::fs::{
    DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError, metadata, rename, set_permissions,
};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::StoreError;

/// What may be in it; last the one that holds the lock.
const FILES: [&str; 5] = ["seed", "rooms.db", "rooms.db-wal", "rooms.db-shm", "mark"];

/// How often it is tried to open a folder that another process sets aside meanwhile.
const TRIES: usize = 4;

/// Which files are under the names of the mark and the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place([Option<(u64, u64)>; 2]);

/// A folder that this process alone uses, for as long as this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Holds the mark, and the lock, which the system lifts when the process ends in whatever way.
    pub(super) mark: File,
}

impl Folder {
    /// Makes the folder if it is not there, and locks it. Resume secrets are in it: it is the server's alone.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Io { path, error }
        };
        let name = path.join("mark");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        for _ in 0..TRIES {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))?;
            let mark = options.open(&name).map_err(failed(&name))?;
            match mark.try_lock() {
                // Whoever had the lock may have set this folder aside, and have another in its place.
                Ok(()) if identity(metadata(&name)) != identity(mark.metadata()) => {}
                Ok(()) => {
                    keep_to_itself(path).map_err(failed(path))?;
                    return Ok(Self { path: path.to_owned(), mark });
                }
                Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
                Err(TryLockError::Error(error)) => return Err(StoreError::Io { path: name, error }),
            }
        }
        Err(StoreError::InUse { path: path.to_owned() })
    }

    /// Which files are there now.
    pub(super) fn place(&self) -> Place {
        Place([self.path.join("mark"), self.database()].map(|path| identity(metadata(path))))
    }

    /// Has the system write to the disk what is said of the folder: its files and their names.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.mark.sync_all()?;
        File::open(&self.path)?.sync_all()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("rooms.db")
    }

    /// Random bytes that stay the same for as long as the folder does; `fresh` where there are none yet.
    pub(super) fn lasting_seed(&self, fresh: [u8; 32]) -> io::Result<[u8; 32]> {
        let name = self.path.join("seed");
        let known = std::fs::read(&name).ok().and_then(|bytes| bytes.try_into().ok());
        if let Some(seed) = known {
            return Ok(seed);
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&name)?;
        file.write_all_at(&fresh, 0)?;
        Ok(fresh)
    }

    /// Renames the folder, so that somebody can look at it, and answers its new name. What is in a folder that
    /// cannot be renamed, because a disk is mounted there or the folder around it is somebody else's, goes into one
    /// inside it.
    pub(super) fn set_aside(self) -> io::Result<PathBuf> {
        let aside = free_name(&self.path)?;
        if rename(&self.path, &aside).is_ok() {
            return Ok(aside);
        }
        let aside = free_name(&self.path.join("store"))?;
        DirBuilder::new().mode(0o700).create(&aside)?;
        for name in FILES {
            match rename(self.path.join(name), aside.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(aside)
    }
}

/// What tells a file from every other.
fn identity(file: io::Result<Metadata>) -> Option<(u64, u64)> {
    file.ok().map(|file| (file.dev(), file.ino()))
}

/// A name for what is set aside that nothing has yet.
fn free_name(path: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let name = |turn: u32| {
        let mut name = path.to_owned().into_os_string();
        name.push(if turn == 0 { format!(".damaged-{now}") } else { format!(".damaged-{now}-{turn}") });
        PathBuf::from(name)
    };
    let free = (0..1_000).map(name).find(|name| !name.exists());
    free.ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}

impl Drop for Folder {
    /// Not by closing alone: a process that another thread is just starting shares the lock until it runs a
    /// program of its own.
    fn drop(&mut self) {
        // What has no lock any more needs none taken off.
        let _ = self.mark.unlock();
    }
}

/// No other account may read the files, whoever may read the folder: an operator's own can be open to all. The
/// database's journal has the rights of the database.
fn keep_to_itself(folder: &Path) -> io::Result<()> {
    for name in FILES {
        match set_permissions(folder.join(name), Permissions::from_mode(0o600)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
