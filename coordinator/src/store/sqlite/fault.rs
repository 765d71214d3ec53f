//! What can go wrong on the connection's thread, and what it means to the caller.

use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::store::StoreError;

#[derive(Debug)]
pub(super) enum Fault {
    Store(StoreError),
    Sqlite(rusqlite::Error),
    Io(std::io::Error),
    /// Something else is in the file.
    Foreign,
    Newer {
        found: i64,
        known: i64,
    },
    /// The thread has ended, by a panic.
    Gone,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl Fault {
    pub(super) fn into_error(self, store: &str, operation: &'static str) -> StoreError {
        let store = store.to_owned();
        match self {
            Fault::Store(error) => error,
            Fault::Foreign => StoreError::Damaged { store, cause: "it is no SQLite database".into() },
            Fault::Newer { found, known } => StoreError::Newer { store, found, known },
            Fault::Gone => {
                StoreError::Backend { operation, store, cause: "the thread of the database has ended".into() }
            }
            Fault::Io(cause) => match cause.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    StoreError::Full { store }
                }
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    StoreError::ReadOnly { store, cause: cause.into() }
                }
                _ => StoreError::Backend { operation, store, cause: cause.into() },
            },
            Fault::Sqlite(cause) => from_sqlite(cause, store, operation),
        }
    }
}

fn from_sqlite(cause: rusqlite::Error, store: String, operation: &'static str) -> StoreError {
    let extended = cause.sqlite_error().map(|error| error.extended_code);
    if let Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) = extended {
        return StoreError::Uncertain { store, cause: cause.into() };
    }
    // The index of the log is mapped memory: that it cannot grow is how a full disk shows there.
    if extended == Some(ffi::SQLITE_IOERR_SHMSIZE) {
        return StoreError::Full { store };
    }
    match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked { store },
        Some(ErrorCode::DiskFull) => StoreError::Full { store },
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly { store, cause: cause.into() }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Damaged { store, cause: cause.into() }
        }
        _ => StoreError::Backend { operation, store, cause: cause.into() },
    }
}
