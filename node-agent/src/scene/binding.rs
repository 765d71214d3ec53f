//! The ports and volumes of an instance: which numbers and which folders they are on this node.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use proto::v1::InstanceSpec;

use crate::ports::PortBook;
use crate::scene::{Scene, SceneError};

const AUTO: &str = "auto";

impl Scene {
    pub(super) fn bind_ports(
        &mut self,
        book: &PortBook,
        spec: &InstanceSpec,
        kept: &BTreeMap<String, u16>,
    ) -> Result<(), SceneError> {
        for port in &spec.ports {
            let name = &port.name;
            let text = self.render(&format!("port {name}"), &port.port)?;
            let number = if text == AUTO {
                let given = || book.give(&spec.id, name, port.protocol());
                let number = kept.get(name).copied().or_else(given);
                let number = number.ok_or_else(|| SceneError::NoPort { name: name.clone() })?;
                self.automatic.insert(name.clone(), number);
                // Whoever asks for the config value means the port that came of it.
                if let Some(key) = port.port.strip_prefix("${config.").and_then(|key| key.strip_suffix('}')) {
                    self.config.insert(key.to_owned(), number.to_string());
                }
                number
            } else {
                let parsed = text.trim().parse().ok().filter(|port| *port != 0);
                parsed.ok_or_else(|| SceneError::Port { name: name.clone(), found: text.clone() })?
            };
            self.ports.insert(name.clone(), (number, port.protocol()));
        }
        Ok(())
    }

    pub(super) fn place_volumes(&mut self, spec: &InstanceSpec) -> Result<(), SceneError> {
        for volume in &spec.volumes {
            let path = self.render(&format!("volume {}", volume.name), &volume.path)?;
            let leaves = Path::new(&path).components().any(|part| part == Component::ParentDir);
            if leaves || path.is_empty() {
                return Err(SceneError::Volume { name: volume.name.clone(), path });
            }
            self.volumes.insert(volume.name.clone(), self.volume_root.join(path));
        }
        Ok(())
    }
}
