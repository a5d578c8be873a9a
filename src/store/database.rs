//! The SQLite database of a store: one table of records, and a row that says what is in it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use serde::{Deserialize, Serialize};

use super::mark::checksum;
use super::settings::Sync;
use crate::message::saved::{KEY_BYTES, Key, Record};

/// The key of the row that says what is in the database; records have others.
const SUMMARY_KEY: [u8; KEY_BYTES] = [0; KEY_BYTES];

/// How long one of the two connections waits for the other, which does nothing long under its lock.
const WAIT: Duration = Duration::from_secs(5);

/// What is in the database, as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Summary {
    /// How many steps have been written.
    steps: u64,
    /// How many records there are.
    records: u64,
    /// The checksums of all of them, each added without carry.
    sum: u64,
}

/// Why a database cannot be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It is not what this server has written.
    Damaged(String),
    /// The system is in the way; what was written may be whole.
    Blocked(rusqlite::Error),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory,
            PermissionDenied, ReadOnly, SystemIoFailure,
        };
        // A read behind the end of a file that has been cut.
        const SHORT_READ: i32 = 522;
        let code = error.sqlite_error();
        let is_short = code.is_some_and(|code| code.extended_code == SHORT_READ);
        match code.map(|code| code.code) {
            Some(
                CannotOpen
                | DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | FileLockingProtocolFailed
                | OutOfMemory
                | PermissionDenied
                | ReadOnly
                | SystemIoFailure,
            ) if !is_short => Self::Blocked(error),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

fn damaged<T>(what: impl Into<String>) -> Result<T, ReadError> {
    Err(ReadError::Damaged(what.into()))
}

/// A connection, and what it has written.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    summary: Summary,
    /// The checksum of each record.
    sums: BTreeMap<Key, u64>,
}

/// Opens a connection to a database, which is made if it is not there.
pub(super) fn connect(path: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    // SQLite would let all accounts read it, and its journal with it. What is wrong with the path it says itself.
    let _ = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(WAIT)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        let text = format!("the journal cannot be had: {mode}");
        return Err(rusqlite::Error::InvalidParameterName(text));
    }
    // The journal is emptied by the thread that flushes.
    connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
    connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}"))?;
    Ok(connection)
}

impl Database {
    /// Makes a database in which nothing is.
    pub(super) fn create(path: &Path, sync: Sync) -> rusqlite::Result<Self> {
        let connection = Self::connect(path, sync)?;
        connection
            .execute_batch("CREATE TABLE saved (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")?;
        let mut database = Self { connection, summary: Summary::default(), sums: BTreeMap::new() };
        database.write(&BTreeMap::new())?;
        Ok(database)
    }

    fn connect(path: &Path, sync: Sync) -> rusqlite::Result<Connection> {
        // What a killed process has written is the system's already. A connection that never waits for
        // the disk leaves that to the thread that flushes, which does so before it touches the database
        // itself.
        connect(path, if sync == Sync::Always { "FULL" } else { "OFF" })
    }

    /// Opens a database and reads everything in it.
    pub(super) fn open(path: &Path, sync: Sync) -> Result<(Self, BTreeMap<Key, Record>), ReadError> {
        let connection = Self::connect(path, sync)?;
        let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if found != "ok" {
            return damaged(found);
        }
        let (mut records, mut sums) = (BTreeMap::new(), BTreeMap::new());
        let (mut counted, mut summary) = (Summary::default(), None);
        let mut statement = connection.prepare("SELECT key, value FROM saved ORDER BY key")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            let value = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
            let Some((sum, value)) = unsealed(key, value) else { return damaged("a record's checksum") };
            if key == SUMMARY_KEY {
                let read: Result<Summary, _> = serde_json::from_slice(value);
                summary = Some(read.or_else(|error| damaged(error.to_string()))?);
                continue;
            }
            let key = Key::from_bytes(key).or_else(|error| damaged(error.to_string()))?;
            let record = Record::from_bytes(key.part, value).or_else(|error| damaged(error.to_string()))?;
            (counted.records, counted.sum) = (counted.records + 1, counted.sum ^ sum);
            sums.insert(key, sum);
            records.insert(key, record);
        }
        drop(rows);
        drop(statement);
        let Some(summary) = summary else { return damaged("what it holds is not said") };
        counted.steps = summary.steps;
        if counted != summary {
            return damaged(format!(
                "{} records are there, and {} should be",
                counted.records, summary.records
            ));
        }
        Ok((Self { connection, summary, sums }, records))
    }

    /// How many steps have been written.
    pub(super) const fn steps(&self) -> u64 {
        self.summary.steps
    }

    /// Whether there is a record of this key.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.sums.contains_key(key)
    }

    /// Writes changes as one step; answers how many bytes they are.
    pub(super) fn write(&mut self, changes: &BTreeMap<Key, Option<Record>>) -> rusqlite::Result<usize> {
        let mut summary = self.summary;
        let mut sums = Vec::with_capacity(changes.len());
        let mut bytes = 0;
        let transaction = self.connection.transaction()?;
        let mut put = transaction.prepare("REPLACE INTO saved VALUES (?1, ?2)")?;
        let mut delete = transaction.prepare("DELETE FROM saved WHERE key = ?1")?;
        for (key, record) in changes {
            let name = key.to_bytes();
            if let Some(sum) = self.sums.get(key) {
                (summary.records, summary.sum) = (summary.records.saturating_sub(1), summary.sum ^ sum);
            }
            let sum = match record {
                Some(record) => {
                    let (sum, value) = sealed(&name, &record.to_bytes());
                    (summary.records, summary.sum) = (summary.records + 1, summary.sum ^ sum);
                    bytes += name.len() + value.len();
                    put.execute([&name[..], &value])?;
                    Some(sum)
                }
                None => {
                    delete.execute([&name[..]])?;
                    None
                }
            };
            sums.push((*key, sum));
        }
        summary.steps += 1;
        let text = serde_json::to_vec(&summary).unwrap_or_default();
        put.execute([&SUMMARY_KEY[..], &sealed(&SUMMARY_KEY, &text).1])?;
        drop((put, delete));
        transaction.commit()?;
        self.summary = summary;
        for (key, sum) in sums {
            match sum {
                Some(sum) => self.sums.insert(key, sum),
                None => self.sums.remove(&key),
            };
        }
        Ok(bytes)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The last connection takes the journal over into the database. This one may wait for the disk
        // now; where it cannot, the journal is still there.
        let _ = self.connection.execute_batch("PRAGMA synchronous = FULL");
    }
}

/// A value with the checksum of key and value before it.
fn sealed(key: &[u8], value: &[u8]) -> (u64, Vec<u8>) {
    let sum = checksum(&[key, value]);
    (sum, [&sum.to_be_bytes()[..], value].concat())
}

fn unsealed<'a>(key: &[u8], sealed: &'a [u8]) -> Option<(u64, &'a [u8])> {
    let (sum, value) = sealed.split_first_chunk::<8>()?;
    let sum = u64::from_be_bytes(*sum);
    (sum == checksum(&[key, value])).then_some((sum, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_something_else_holds_is_not_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms.db");
        drop(Database::create(&path, Sync::Interval).unwrap());
        let other = Connection::open(&path).unwrap();
        other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").unwrap();
        let read = Database::open(&path, Sync::Interval);
        assert!(matches!(read, Err(ReadError::Blocked(_))), "{read:?}");
        drop(other);
        assert!(Database::open(&path, Sync::Interval).is_ok());
    }
}
