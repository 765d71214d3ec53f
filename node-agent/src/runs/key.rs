//! The key that signs the receipts of this node: made here when there is none, never leaving.

use std::fs;
use std::io;
use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::config::DataDir;
use crate::disk::{self, DiskError, Durability};

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{path} is not a key")]
    Unreadable { path: String },
    #[error("the system gives no random numbers for a key")]
    Random,
}

/// Reads the key, or makes it at the first start.
///
/// # Errors
/// When it is there and broken, or cannot be made. A broken one is not replaced: earlier receipts belong to it.
pub fn open(data: &DataDir) -> Result<Ed25519KeyPair, KeyError> {
    let path = data.receipt_key();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path)?,
        Err(cause) => return Err(DiskError::new("read", &path, cause).into()),
    };
    Ed25519KeyPair::from_pkcs8(&bytes).map_err(|_| KeyError::Unreadable { path: path.display().to_string() })
}

pub fn public(key: &Ed25519KeyPair) -> Vec<u8> {
    key.public_key().as_ref().to_vec()
}

fn make(path: &Path) -> Result<Vec<u8>, KeyError> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
    disk::replace(path, document.as_ref(), 0o600, Durability::PowerLoss)?;
    Ok(document.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_broken_one_is_told() {
        let dir = tempfile::tempdir().expect("tempdir");
        let data = DataDir(dir.path().to_owned());
        let first = public(&open(&data).expect("made"));
        assert_eq!((first.len(), public(&open(&data).expect("read"))), (32, first));
        let mode = fs::metadata(data.receipt_key()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(data.receipt_key(), "no key").expect("written");
        assert!(open(&data).is_err_and(|error| error.to_string().ends_with("is not a key")));
    }
}
