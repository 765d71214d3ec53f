//! What the containers of one service see of the node, the release and the instance.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proto::v1::Mount;
use proto::v1::mount::{Source, Text};

use crate::runtime::group::body::{From, MountPlan};
use crate::runtime::group::plan::{Owner, TextFile};
use crate::scene::containers::parts::Part;
use crate::scene::{Scene, SceneError};

/// Files that are made for containers, where none of them can change what they are.
const TEXTS: &str = "mounted";
const READABLE: u32 = 0o444;

pub struct Mounting<'m> {
    scene: &'m Scene,
    owner: &'m Owner,
    service: &'m str,
    pub volumes: BTreeMap<String, PathBuf>,
    pub subfolders: Vec<(PathBuf, String)>,
    pub texts: Vec<TextFile>,
    pub parts: Vec<Part>,
}

impl<'m> Mounting<'m> {
    pub fn new(scene: &'m Scene, owner: &'m Owner, service: &'m str) -> Self {
        let (volumes, subfolders, texts, parts) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { scene, owner, service, volumes, subfolders, texts, parts }
    }

    pub fn mount(&mut self, mount: &Mount) -> Result<MountPlan, SceneError> {
        let scene = self.scene;
        let (from, is_read_only) = match &mount.source {
            Some(Source::Volume(name)) => self.volume(name, mount)?,
            Some(Source::HostPath(path)) => (From::Path(PathBuf::from(scene.render("mount", path)?)), false),
            Some(Source::ReleasePath(path)) => (From::Path(scene.inside(&scene.release_dir, path)?), true),
            Some(Source::InstancePath(path)) => (From::Path(scene.inside(&scene.instance_dir, path)?), false),
            Some(Source::Text(text)) => (From::Path(self.text(text, &mount.target)?), true),
            Some(Source::Anonymous(_)) | None => (From::Anonymous, false),
        };
        Ok(MountPlan {
            from,
            target: mount.target.clone(),
            is_read_only: is_read_only || mount.read_only,
            // Nothing is copied into a part of a volume, as it is with Docker.
            stays_empty: mount.no_copy || !mount.subpath.is_empty(),
            propagation: mount.propagation.clone(),
        })
    }

    fn volume(&mut self, name: &str, mount: &Mount) -> Result<(From, bool), SceneError> {
        let (scene, subpath) = (self.scene, &mount.subpath);
        let mut part = |path: &PathBuf| {
            let service = self.service.to_owned();
            self.parts.push(Part { service, path: path.clone(), is_read_only: mount.read_only });
        };
        let default = || scene.inside(&scene.volume_root, name);
        let folder = scene.volumes.get(name).cloned().map_or_else(default, Ok)?;
        if subpath.is_empty() {
            part(&folder);
            return Ok(self.kept(name, folder));
        }
        let inner = scene.inside(&folder, subpath)?;
        part(&inner);
        self.subfolders.push((folder, subpath.to_owned()));
        Ok(self.kept(&format!("{name}.{}", one_name(subpath)), inner))
    }

    /// A folder that is kept for the instance becomes a volume of the engine, which fills a new one with what the
    /// image has in its place and gives it to the image's user. Any other path is mounted as it is.
    fn kept(&mut self, name: &str, folder: PathBuf) -> (From, bool) {
        if !folder.starts_with(&self.scene.volume_root) {
            let is_of_release = folder.starts_with(&self.scene.release_dir);
            return (From::Path(folder), is_of_release);
        }
        let volume = self.owner.name(name);
        self.volumes.insert(volume.clone(), folder);
        (From::Volume(volume), false)
    }

    /// A file with this content.
    fn text(&mut self, text: &Text, target: &str) -> Result<PathBuf, SceneError> {
        let what = format!("{target} of service {}", self.service);
        let content = self.scene.render(&what, &text.content)?;
        let folder = self.scene.records.join(TEXTS);
        let path = self.scene.inside(&folder, self.service)?.join(one_name(target));
        let mode = if text.mode == 0 { READABLE } else { text.mode & 0o777 };
        self.texts.push(TextFile { path: path.clone(), content, mode, uid: text.uid, gid: text.gid });
        Ok(path)
    }
}

/// A path as one name, another one for each path.
fn one_name(path: &str) -> String {
    path.replace('_', "__").replace('/', "_")
}
