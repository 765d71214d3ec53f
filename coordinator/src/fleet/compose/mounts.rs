//! What the containers of a compose file see of the package, the node and the project's secrets.

use modules::compose::model::{FileMount, FileObject, Mount, MountSource, Service};
use modules::compose::module::is_in_package;
use proto::v1;
use proto::v1::mount::{Source as From, Text};

use super::{Carrier, invalid};
use crate::fleet::FleetError;

impl Carrier<'_> {
    /// Its mounts, and its folders in memory.
    pub(super) fn mounts(&self, service: &Service) -> Result<(Vec<v1::Mount>, Vec<String>), FleetError> {
        let mut mounts = Vec::new();
        let mut tmpfs = service.tmpfs.clone();
        for mount in &service.mounts {
            match &mount.source {
                MountSource::Tmpfs { bytes, mode } => tmpfs.push(in_memory(&mount.target, *bytes, *mode)),
                source => mounts.push(self.mount(mount, source)),
            }
        }
        for (files, objects) in
            [(&service.secrets, &self.project.secrets), (&service.configs, &self.project.configs)]
        {
            for file in files {
                mounts.push(self.file(file, objects.get(&file.source))?);
            }
        }
        Ok((mounts, tmpfs))
    }

    /// What is in the package is mounted from there and cannot be written to; any other path beside the compose file
    /// is a folder that is kept for the instance.
    fn mount(&self, mount: &Mount, source: &MountSource) -> v1::Mount {
        let source = match source {
            MountSource::Named(name) => From::Volume(name.clone()),
            MountSource::Relative(path) => self.relative(path),
            MountSource::Absolute(path) => From::HostPath(path.clone()),
            MountSource::Anonymous | MountSource::Tmpfs { .. } => From::Anonymous(true),
        };
        v1::Mount {
            source: Some(source),
            target: mount.target.clone(),
            read_only: mount.read_only,
            subpath: mount.subpath.clone().unwrap_or_default(),
            no_copy: mount.no_copy,
            propagation: mount.propagation.clone().unwrap_or_default(),
        }
    }

    /// `path` is of the package, whatever folder its compose file is in.
    fn relative(&self, path: &str) -> From {
        match is_in_package(path, self.paths) {
            true => From::ReleasePath(path.to_owned()),
            false => From::Volume(self.folders.name(path)),
        }
    }

    fn file(&self, file: &FileMount, object: Option<&FileObject>) -> Result<v1::Mount, FleetError> {
        let source = match object {
            Some(FileObject::File(MountSource::Relative(path))) => self.relative(path),
            Some(FileObject::File(MountSource::Absolute(path))) => From::HostPath(path.clone()),
            Some(FileObject::Value(content)) => From::Text(Text {
                content: content.clone(),
                mode: file.mode.unwrap_or_default(),
                uid: file.uid.unwrap_or_default(),
                gid: file.gid.unwrap_or_default(),
            }),
            Some(FileObject::File(_) | FileObject::External) | None => {
                let message = format!("{}: {:?} is neither a file nor a value", file.field, file.source);
                return Err(invalid(message));
            }
        };
        Ok(v1::Mount {
            source: Some(source),
            target: file.target.clone(),
            read_only: true,
            ..Default::default()
        })
    }
}

/// As `tmpfs` has it: `path[:options]`.
fn in_memory(path: &str, bytes: Option<u64>, mode: Option<u32>) -> String {
    let mut options = Vec::new();
    options.extend(bytes.map(|bytes| format!("size={bytes}")));
    options.extend(mode.map(|mode| format!("mode={mode:o}")));
    if options.is_empty() { path.to_owned() } else { format!("{path}:{}", options.join(",")) }
}
