//! The files of a package's `templates/`, rendered into the instance's folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::{DiskError, Folder};
use crate::scene::{Scene, SceneError, owner};

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

    /// The folder may be the service's, which may have filled it with anything: no link in it is followed.
    pub(super) fn write_templates(&self) -> Result<(), SceneError> {
        let owner = self.account.as_ref().map(owner::owner);
        for (path, text) in self.templates()? {
            let mut folder = Folder::open(&self.instance_dir)?;
            let mut names = path.iter().map(Path::new).peekable();
            while let Some(name) = names.next() {
                if names.peek().is_none() {
                    folder.put(name, text.as_bytes(), 0o600, owner)?;
                    break;
                }
                folder = folder.enter(name, 0o700)?;
                owner.map_or(Ok(()), |owner| folder.hand_over(owner))?;
            }
        }
        Ok(())
    }
}
