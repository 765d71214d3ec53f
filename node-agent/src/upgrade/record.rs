//! An upgrade on the disk: four lines, replaced as a whole and synced. The build on trial and the one before it both
//! read it, so its form must not change.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::disk::{self, DiskError, Durability};
use crate::upgrade::decide::{Stage, Upgrade};

/// What is on record. Nothing that makes sense is nothing.
///
/// # Errors
/// When the file is there but cannot be read.
pub fn read(path: &Path) -> Result<Option<Upgrade>, DiskError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            Ok(None)
        }
        Err(cause) => Err(DiskError::new("read", path, cause)),
    }
}

/// On the disk when this returns.
///
/// # Errors
/// When it cannot be written; what was there before is there then.
pub fn write(path: &Path, upgrade: &Upgrade) -> Result<(), DiskError> {
    disk::replace(path, print(upgrade).as_bytes(), 0o600, Durability::PowerLoss)
}

fn print(upgrade: &Upgrade) -> String {
    let (stage, why) = match &upgrade.stage {
        Stage::Asked => ("asked", ""),
        Stage::OnTrial => ("on-trial", ""),
        Stage::Confirmed => ("confirmed", ""),
        Stage::RolledBack { why } => ("rolled-back", why.as_str()),
    };
    let why = why.replace('\n', " ");
    format!("{stage}\n{}\n{}\n{why}\n", upgrade.digest, upgrade.within.as_millis())
}

fn parse(text: &str) -> Option<Upgrade> {
    let mut lines = text.lines();
    let (stage, digest, within) = (lines.next()?, lines.next()?, lines.next()?);
    let stage = match stage {
        "asked" => Stage::Asked,
        "on-trial" => Stage::OnTrial,
        "confirmed" => Stage::Confirmed,
        "rolled-back" => Stage::RolledBack { why: lines.next().unwrap_or_default().to_owned() },
        _ => return None,
    };
    let within = Duration::from_millis(within.parse().ok()?);
    Some(Upgrade { stage, digest: digest.to_owned(), within })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nonsense_is_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("upgrade");
        assert_eq!(read(&path).expect("read"), None);
        let why = "it was not confirmed within 60 s".to_owned();
        for stage in [Stage::Asked, Stage::OnTrial, Stage::Confirmed, Stage::RolledBack { why }] {
            let upgrade =
                Upgrade { stage, digest: "sha256:b".to_owned(), within: Duration::from_millis(1500) };
            write(&path, &upgrade).expect("written");
            assert_eq!(read(&path).expect("read"), Some(upgrade));
        }
        for text in ["", "on-trial", "flying\nsha256:b\n1\n\n", "asked\nsha256:b\nsoon\n\n"] {
            fs::write(&path, text).expect("written");
            assert_eq!(read(&path).expect("read"), None, "{text:?}");
        }
        fs::write(&path, [0xff, 0xfe]).expect("written");
        assert_eq!(read(&path).expect("read"), None);
    }
}
