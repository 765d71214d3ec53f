//! The image that comes with a module: its archive sets no name but its own, and says on which nodes it can run.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use flate2::read::GzDecoder;

use super::PackageError;
use crate::arch::Arch;
use crate::compose::module::ComposeFiles;
use crate::image::ImageName;
use crate::image::archive::{self, ArchiveError, ImageArchive};
use crate::spec::ModuleSpec;
use crate::spec::runtime::Runtime;

/// Looks at the archive and lets the module require a processor that the image is for, so that no other node is sent it.
///
/// # Errors
/// When the archive is no good, or for no node that the module is for.
pub(super) fn fit(
    spec: &mut ModuleSpec,
    compose: Option<&ComposeFiles>,
    read: impl FnOnce(&str) -> Result<Option<ImageArchive>, ArchiveError>,
) -> Result<(), PackageError> {
    let (path, images) = match &spec.runtime {
        Runtime::Container(container) => (container.load.clone(), vec![container.image.clone()]),
        Runtime::Compose(runtime) => (runtime.load.clone(), images_of(compose, spec)?),
        Runtime::Process(_) | Runtime::Systemd(_) => return Ok(()),
    };
    let Some(path) = path else { return Ok(()) };
    let failed = |cause| PackageError::Image { path: path.clone(), cause };
    let Some(archive) = read(&path).map_err(failed)? else { return Ok(()) };
    // Names with parts that are filled in later are looked at by the agent.
    if let Ok(wanted) = images.iter().map(|image| ImageName::parse(image)).collect::<Result<Vec<_>, _>>() {
        archive.check(&wanted).map_err(failed)?;
    }
    let platforms = archive.platforms();
    if platforms.is_empty() {
        return Ok(());
    }
    let runs_on: BTreeSet<Arch> = platforms.iter().flat_map(|platform| platform.runs_on()).collect();
    let asked = if spec.requires.arch.is_empty() { Arch::ALL.to_vec() } else { spec.requires.arch.clone() };
    let left: Vec<Arch> = asked.iter().copied().filter(|arch| runs_on.contains(arch)).collect();
    if left.is_empty() {
        let join = |names: Vec<String>| names.join(", ");
        return Err(PackageError::ImageArch {
            image: join(images),
            path: path.clone(),
            is_for: join(platforms.iter().map(ToString::to_string).collect()),
            asked: join(asked.iter().map(ToString::to_string).collect()),
        });
    }
    spec.requires.arch = left;
    Ok(())
}

/// The images of all services.
fn images_of(compose: Option<&ComposeFiles>, spec: &ModuleSpec) -> Result<Vec<String>, PackageError> {
    let Some(files) = compose else { return Ok(Vec::new()) };
    Ok(files.project(spec)?.services.into_iter().filter_map(|service| service.image).collect())
}

/// The archive in a folder.
pub(super) fn in_folder(folder: &Path, path: &str) -> Result<Option<ImageArchive>, ArchiveError> {
    let file = File::open(folder.join(path)).map_err(|cause| ArchiveError::Read { cause })?;
    archive::read_file(file).map(Some)
}

/// The archive in a package that was verified; nothing where it is there by a link.
pub(super) fn in_package(package: &Path, path: &str) -> Result<Option<ImageArchive>, ArchiveError> {
    let unreadable = |cause| ArchiveError::Read { cause };
    let file = File::open(package).map_err(unreadable)?;
    let mut entries = tar::Archive::new(GzDecoder::new(file));
    for entry in entries.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let is_it = entry.path_bytes().as_ref() == path.trim_start_matches("./").as_bytes();
        if is_it && entry.header().entry_type().is_file() {
            return archive::read(entry).map(Some);
        }
    }
    Ok(None)
}
