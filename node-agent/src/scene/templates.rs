//! The files of a package's `templates/`, rendered into the instance's folder.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::disk::{self, DiskError, Durability};
use crate::scene::{Scene, SceneError};

impl Scene {
    /// The package's templates, rendered, by their path below the instance's folder.
    pub(super) fn templates(&self) -> Result<Vec<(PathBuf, String)>, SceneError> {
        let root = self.release_dir.join("templates");
        let mut rendered = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(cause) => return Err(DiskError::new("read", &folder, cause).into()),
            };
            for path in entries.flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = fs::read(&path).map_err(|cause| DiskError::new("read", &path, cause))?;
                let text = String::from_utf8(bytes).map_err(|_| SceneError::NotText(path.clone()))?;
                let name = path.strip_prefix(&root).unwrap_or(&path);
                let what = format!("templates/{}", name.display());
                rendered.push((name.to_owned(), self.render(&what, &text)?));
            }
        }
        Ok(rendered)
    }

    /// Files that have their content already are left alone, so that a full disk does not stop a restart.
    pub(super) fn write_templates(&self) -> Result<(), SceneError> {
        for (name, text) in self.templates()? {
            let target = self.instance_dir.join(&name);
            let parents = name.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
            for parent in parents.collect::<Vec<_>>().into_iter().rev() {
                let folder = self.instance_dir.join(parent);
                disk::make_dir(&folder, 0o700)?;
                self.hand_over(&folder)?;
            }
            if fs::read(&target).ok().as_deref() != Some(text.as_bytes()) {
                disk::replace(&target, text.as_bytes(), 0o600, Durability::Crash)?;
            }
            self.hand_over(&target)?;
        }
        Ok(())
    }
}
