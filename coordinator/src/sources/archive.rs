//! A package file: its MODULE.yaml, checked the way a node will.

use std::path::Path;

use super::{File, Project, SourceError, name_of};

pub fn read(path: &Path) -> Result<Project, SourceError> {
    let text = path.display().to_string();
    let verified = modules::package::verify(path)
        .map_err(|cause| SourceError::Package { path: text.clone(), cause: Box::new(cause) })?;
    let manifest = verified.spec.to_yaml().into_bytes();
    Ok(Project {
        name: name_of(&text),
        origin: text,
        files: vec![File { path: modules::unpack::MANIFEST.to_owned(), bytes: manifest }],
        ..Project::default()
    })
}
