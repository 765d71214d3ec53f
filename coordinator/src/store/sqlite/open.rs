//! Opens the file and brings its schema to the present format.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::store::sqlite::fault::Fault;

/// How long a call waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(5);

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// One step per format; a file of format n has had the first n of them. Never change one, add another.
const MIGRATIONS: [&str; 1] = [
    "CREATE TABLE counter (only INTEGER PRIMARY KEY CHECK (only = 0), revision INTEGER NOT NULL, compacted INTEGER NOT NULL);
     INSERT INTO counter VALUES (0, 0, 0);
     CREATE TABLE leases (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl INTEGER NOT NULL, ends INTEGER NOT NULL);
     CREATE INDEX leases_by_end ON leases (ends);
     CREATE TABLE entries (key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, revision INTEGER NOT NULL, lease INTEGER);
     CREATE INDEX entries_by_lease ON entries (lease) WHERE lease IS NOT NULL;
     CREATE TABLE changes (id INTEGER PRIMARY KEY AUTOINCREMENT, revision INTEGER NOT NULL, key TEXT NOT NULL, value BLOB);
     CREATE INDEX changes_by_revision ON changes (revision);",
];

pub(super) fn open(path: &Path) -> Result<Connection, Fault> {
    create(path).map_err(Fault::Io)?;
    check_magic(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    if format(&connection)? != known() {
        migrate(&mut connection, path)?;
    }
    // In WAL, FULL syncs the log on every commit: one fsync, and only changes are written.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Makes folder and file for the owner alone; SQLite gives its log the mode of the file.
fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A folder that cannot be written may still hold a file that can be opened: let SQLite say.
        Err(_) if path.exists() => Ok(()),
        made => made.map(drop),
    }
}

/// SQLite takes a file of a few bytes for an empty one, and would write over it. What cannot be read it tells itself.
fn check_magic(path: &Path) -> Result<(), Fault> {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut begin));
    if read.is_ok() && !begin.is_empty() && begin != MAGIC {
        return Err(Fault::Foreign);
    }
    Ok(())
}

fn known() -> i64 {
    MIGRATIONS.len() as i64
}

fn format(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Fault> {
    // SQLite does not wait for others when it switches to WAL, so one process at a time gets here.
    let _lock = lock_folder(path).map_err(Fault::Io)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = format(&transaction)?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(missing) = MIGRATIONS.get(done..) else {
        return Err(Fault::Newer { found, known: known() });
    };
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known())?;
    transaction.commit()?;
    Ok(())
}

fn lock_folder(path: &Path) -> io::Result<File> {
    let folder = fs::canonicalize(path)?;
    let folder = File::open(folder.parent().unwrap_or(Path::new("/")))?;
    folder.lock()?;
    Ok(folder)
}
