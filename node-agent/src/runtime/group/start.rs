//! From a service's plan to its running container: taken over if it is there, made otherwise.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::Shared;
use super::plan::{CONTENT, NetworkPlan, SERVICE, ServicePlan, TextFile};
use super::state::State;
use crate::disk::{self, DiskError, Durability, Folder};
use crate::fault;
use crate::log;
use crate::runtime::engine::{Engine, EngineError, Kind};

/// A container as it was found or made.
pub struct Container {
    pub id: String,
    pub pid: i32,
    /// Ended before we looked: its exit code.
    pub has_ended: Option<i64>,
    /// The check that its image brings.
    pub image_health: Option<Value>,
}

impl Shared {
    /// The container of a service, made and started unless it is there with this very content.
    pub(super) async fn ensure(
        &self,
        engine: &Engine,
        service: &ServicePlan,
    ) -> Result<Container, EngineError> {
        let tell = |text: String| self.set(&service.name, State::Waiting(text));
        let warn = |text: String| self.say(&text);
        let image = self.images.ensure(engine, &self.plan.digest, service.wanted(), &tell, &warn).await?;
        let image_health = image.healthcheck.clone();
        let mut filters = self.plan.owner.filters();
        filters.push(format!("{SERVICE}={}", service.name));
        for found in engine.list(&filters).await? {
            let id = found["Id"].as_str().unwrap_or_default();
            let is_current = found["Labels"][CONTENT].as_str() == Some(&self.plan.content.hex());
            let state = &engine.inspect(id).await?["State"];
            let is_running = state["Running"].as_bool().unwrap_or(false);
            let has_done =
                service.is_one_shot && state["ExitCode"].as_i64() == Some(0) && state["Status"] == "exited";
            if is_current && (is_running || has_done) {
                let has_ended = (!is_running).then_some(0);
                self.say(&format!("adopted container {} of service {}", short(id), service.name));
                return Ok(Container { id: id.to_owned(), pid: pid(state), has_ended, image_health });
            }
            engine.remove(id).await?;
        }
        self.make_surroundings(engine, service).await?;
        let id = self.make(engine, service, &image.id).await?;
        let state = &engine.inspect(&id).await?["State"];
        Ok(Container { pid: pid(state), id, has_ended: None, image_health })
    }

    /// Containers of the instance that are not of this content: an agent that was killed may have left them.
    pub(super) async fn remove_others(&self) -> Result<(), EngineError> {
        let engine = self.engine().await;
        for found in engine.list(&self.plan.owner.filters()).await? {
            let is_current = found["Labels"][CONTENT].as_str() == Some(&self.plan.content.hex());
            if !is_current {
                engine.remove(found["Id"].as_str().unwrap_or_default()).await?;
            }
        }
        Ok(())
    }

    /// With CNI, Podman gives no address that is outside of the range.
    fn drops_ranges(&self, network: &NetworkPlan) -> bool {
        self.kind == Kind::Podman && self.plan.has_own_addresses(&network.name)
    }

    /// What is not as the module wants it here.
    pub(super) fn tell_limits(&self) {
        for network in self.plan.networks.iter().filter(|network| self.drops_ranges(network)) {
            if network.options.pools.iter().any(|pool| !pool.range.is_empty()) {
                self.say(&format!(
                    "network {}: Podman cannot keep to `ip_range` where services ask for addresses of their own; it gives \
                     out any address of the subnet",
                    network.name
                ));
            }
        }
    }

    async fn make_surroundings(&self, engine: &Engine, service: &ServicePlan) -> Result<(), EngineError> {
        // Docker makes two networks of one name, and neither can be used then.
        let _turn = self.making.lock().await;
        let used = |name: &str| service.networks.iter().any(|joined| joined.network == name);
        for network in self.plan.networks.iter().filter(|network| used(&network.name)) {
            if network.options.external.is_empty() {
                let body = self.plan.network_body(network, self.drops_ranges(network));
                engine.make_network(&network.name, &body).await?;
            }
        }
        make_files(service).map_err(|error| EngineError::Image(log::chain(&error)))?;
        let labels: Value = self.plan.owner.labels().into();
        for (name, folder) in &service.volumes {
            engine.make_volume(name, &folder.to_string_lossy(), &labels).await?;
        }
        Ok(())
    }

    async fn make(&self, engine: &Engine, service: &ServicePlan, image: &str) -> Result<String, EngineError> {
        let shared = match &service.shares_network_of {
            Some(other) => Some(self.container_of(engine, other).await?),
            None => None,
        };
        let mut body = self.plan.body(service, image, shared.as_deref());
        for key in ["PidMode", "IpcMode"] {
            let of = body["HostConfig"][key].as_str().and_then(|mode| mode.strip_prefix("service:"));
            if let Some(other) = of.map(str::to_owned) {
                let container = self.container_of(engine, &other).await?;
                body["HostConfig"][key] = json!(format!("container:{container}"));
            }
        }
        let name = self.plan.owner.name(&service.name);
        fault::point("spawn.before");
        let (id, warnings) = engine.create(&name, &body).await?;
        for warning in warnings {
            self.say(&format!("service {}: {warning}", service.name));
        }
        for joined in service.networks.iter().skip(1) {
            let body = json!({ "Container": id, "EndpointConfig": joined.endpoint() });
            engine.join(&joined.network, &body).await?;
        }
        engine.start(&id).await.map_err(not_started)?;
        fault::point("spawn.after");
        self.say(&format!("started container {} of service {}", short(&id), service.name));
        Ok(id)
    }

    async fn container_of(&self, engine: &Engine, service: &str) -> Result<String, EngineError> {
        let mut filters = self.plan.owner.filters();
        filters.push(format!("{SERVICE}={service}"));
        let found = engine.list(&filters).await?;
        let id = found.first().and_then(|container| container["Id"].as_str());
        id.map(str::to_owned).ok_or_else(|| EngineError::Image(format!("service {service} has no container")))
    }
}

/// The folders behind its volumes, and the files that are made for it.
fn make_files(service: &ServicePlan) -> Result<(), DiskError> {
    for (folder, path) in &service.subfolders {
        make_volume(&service.volume_root, folder)?.enter_all(Path::new(path), 0o755)?;
    }
    for (_, folder) in &service.volumes {
        make_volume(&service.volume_root, folder)?;
    }
    for text in &service.texts {
        if let Some(folder) = text.path.parent() {
            disk::make_dir(folder, 0o700)?;
        }
        let TextFile { path, content, mode, uid, gid } = text;
        disk::replace(path, content.as_bytes(), 0o600, Durability::Crash)?;
        let owned = std::os::unix::fs::chown(path, Some(*uid), Some(*gid));
        owned.map_err(|cause| DiskError::new("hand over", path, cause))?;
        let permitted = std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode));
        permitted.map_err(|cause| DiskError::new("open to readers", path, cause))?;
    }
    Ok(())
}

/// One may lie in another, which a container may have filled with anything.
fn make_volume(root: &Path, folder: &Path) -> Result<Folder, DiskError> {
    match folder.strip_prefix(root) {
        Ok(inner) => {
            disk::make_dir(root, 0o711)?;
            Folder::open(root)?.enter_all(inner, 0o755)
        }
        Err(_) => {
            disk::make_dir(folder, 0o755)?;
            Folder::open(folder)
        }
    }
}

/// Docker says it in the words of runc.
fn not_started(error: EngineError) -> EngineError {
    match &error {
        EngineError::Refused { message, .. } if message.contains("exec format error") => {
            EngineError::Image(wrong_processor())
        }
        _ => error,
    }
}

pub fn wrong_processor() -> String {
    format!("the image's program is not made for this node's processor ({})", std::env::consts::ARCH)
}

fn pid(state: &Value) -> i32 {
    state["Pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0)
}

pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
