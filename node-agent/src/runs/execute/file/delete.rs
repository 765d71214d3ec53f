//! `file.delete`: files, never folders, never links. What is not there is no error.

use plan::policy::path::Access;
use rustix::fs::{AtFlags, FileType};
use serde_json::{Value, json};

use super::Trouble;
use crate::runs::execute::Errand;
use crate::runs::execute::safe_path::{PathError, Place};

pub fn run(errand: &Errand) -> Result<Value, Trouble> {
    let mut places = Vec::new();
    for path in errand.texts("paths") {
        match Place::find(errand, &path, Access::Write) {
            Ok(place) => places.extend(checked(place)?),
            Err(PathError::NotThere { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (mut deleted, mut freed_bytes) = (0_u64, 0_u64);
    for (place, bytes) in &places {
        if errand.stop.is_over() && deleted > 0 {
            return Err(Trouble::Partly(format!("{deleted} of {} files were deleted", places.len())));
        }
        match rustix::fs::unlinkat(&place.dir, &place.name, AtFlags::empty()) {
            Ok(()) => (deleted, freed_bytes) = (deleted + 1, freed_bytes + bytes),
            Err(rustix::io::Errno::NOENT) => {}
            Err(cause) if deleted == 0 => return Err(place.system(cause).into()),
            Err(cause) => {
                let why = place.system(cause);
                return Err(Trouble::Partly(format!(
                    "{deleted} of {} files were deleted: {why}",
                    places.len()
                )));
            }
        }
    }
    Ok(json!({"deleted": deleted, "freed_bytes": freed_bytes}))
}

/// The place with the bytes that go with it; nothing when nothing is there.
fn checked(place: Place) -> Result<Option<(Place, u64)>, PathError> {
    let path = || place.path.to_string_lossy().into_owned();
    let stat = match rustix::fs::statat(&place.dir, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(cause) => return Err(place.system(cause)),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Symlink => return Err(PathError::Link { path: path() }),
        _ => return Err(PathError::Other { path: path(), expected: "regular file" }),
    }
    let is_last = stat.st_nlink <= 1;
    let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    Ok(Some((place, if is_last { bytes } else { 0 })))
}
