//! From a service's plan to its running container: taken over or started again if it is there, made otherwise.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::found::{self, Use, use_of};
use super::plan::{BODY, CONTENT, NetworkPlan, SERVICE, ServicePlan, TextFile};
use super::state::State;
use super::{Shared, remove_all};
use crate::disk::{self, DiskError, Durability, Folder};
use crate::fault;
use crate::log;
use crate::runtime::engine::{Engine, EngineError, Kind, text};

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
    /// The container of a service: the one of this very content where there is one, started unless it runs.
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
        let mut ended = None;
        for found in engine.list(&filters).await? {
            let id = text(&found["Id"]);
            let inspected = match engine.inspect(&id).await {
                Err(error) if error.is_missing() => continue,
                inspected => inspected?,
            };
            let is_over = service.is_one_shot || self.has_completed(service, &id);
            let has_ended = match use_of(&inspected, self.is_current(&found), is_over) {
                Use::Adopt if self.is_cut_off(engine, service, &inspected).await? => {
                    engine.stop(&id, service.stop_timeout).await?;
                    ended = Some(inspected);
                    continue;
                }
                Use::Adopt => None,
                Use::Done => Some(0),
                Use::Again => {
                    ended = Some(inspected);
                    continue;
                }
                Use::Replace => {
                    engine.remove(&id).await?;
                    continue;
                }
            };
            self.say(&format!("adopted container {} of service {}", short(&id), service.name));
            return Ok(Container { id, pid: pid(&inspected["State"]), has_ended, image_health });
        }
        let _starting = self.starting.read().await;
        if self.is_stopping() {
            return Err(EngineError::Image("it is to stop".to_owned()));
        }
        self.make_surroundings(engine, service).await?;
        let body = self.body(engine, service, &image.id).await?;
        let started = match &ended {
            Some(ended) => self.start_again(engine, service, &body, ended).await?,
            None => None,
        };
        let id = match started {
            Some(id) => id,
            None => self.make(engine, service, &body, &image.volumes).await?,
        };
        let state = &engine.inspect(&id).await?["State"];
        Ok(Container { pid: pid(state), id, has_ended: None, image_health })
    }

    fn is_current(&self, listed: &Value) -> bool {
        listed["Labels"][CONTENT].as_str() == Some(&self.plan.content.hex())
    }

    /// Containers of the instance that are not of this content: an agent that was killed may have left them.
    pub(super) async fn remove_others(&self) -> Result<(), EngineError> {
        let engine = self.engine().await;
        let containers = engine.list(&self.plan.owner.filters()).await?;
        let others = containers.iter().filter(|found| !self.is_current(found));
        remove_all(&engine, others.filter_map(|found| found["Id"].as_str()).collect()).await
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

    /// What the engine is asked to make.
    async fn body(&self, engine: &Engine, service: &ServicePlan, image: &str) -> Result<Value, EngineError> {
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
        body["Labels"][BODY] = json!(found::digest(&body));
        Ok(body)
    }

    /// Starts a container that has ended, with all that it wrote. None where another is wanted, or it cannot be
    /// started any more; then it is gone.
    async fn start_again(
        &self,
        engine: &Engine,
        service: &ServicePlan,
        body: &Value,
        ended: &Value,
    ) -> Result<Option<String>, EngineError> {
        let id = text(&ended["Id"]);
        if !found::is_same(ended, body) {
            engine.remove(&id).await?;
            return Ok(None);
        }
        fault::point("spawn.before");
        match engine.start(&id).await {
            Ok(()) => {}
            Err(error) if has_lost_network(&error) => {
                let (id, name, why) = (short(&id), &service.name, log::chain(&error));
                self.say(&format!("container {id} of service {name} is replaced by a new one: {why}"));
                engine.remove(&text(&ended["Id"])).await?;
                return Ok(None);
            }
            Err(error) if error.passes() => return Err(error),
            Err(error) => {
                let (id, why) = (short(&id), log::chain(&not_started(error)));
                return Err(EngineError::Image(format!(
                    "container {id} cannot be started again: {why}; a restart of the deployment makes a new one, without what \
                     is in this one"
                )));
            }
        }
        fault::point("spawn.after");
        self.say(&format!("started container {} of service {} again", short(&id), service.name));
        Ok(Some(id))
    }

    async fn make(
        &self,
        engine: &Engine,
        service: &ServicePlan,
        body: &Value,
        image_volumes: &[String],
    ) -> Result<String, EngineError> {
        let name = self.plan.owner.name(&service.name);
        fault::point("spawn.before");
        let (id, warnings) = engine.create(&name, body).await?;
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
        for path in found::unkept(body, image_volumes) {
            self.say(&format!(
                "service {}: what it keeps in {path} lasts until the next release, restart or removal by hand, and no \
                 longer; a volume of the module mounted there keeps it",
                service.name
            ));
        }
        Ok(id)
    }

    pub(super) async fn container_of(&self, engine: &Engine, service: &str) -> Result<String, EngineError> {
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
        let (above, inner) = make_above(&service.volume_root, folder)?;
        above.enter_all(inner, 0o755)?.enter_all(Path::new(path), 0o755)?;
    }
    for (_, folder) in &service.volumes {
        let (above, inner) = make_above(&service.volume_root, folder)?;
        // Not entered: the container may have closed it to others.
        above.make_all(inner, 0o755)?;
    }
    for text in &service.texts {
        if let Some(folder) = text.path.parent() {
            disk::make_dir(folder, 0o700)?;
        }
        let TextFile { path, content, mode, uid, gid } = text;
        disk::replace(path, content.as_bytes(), 0o600, Durability::Crash)?;
        // What is root's there is the agent's own where the agent is not root.
        if (*uid, *gid) != (0, 0) || rustix::process::geteuid().is_root() {
            let owned = std::os::unix::fs::chown(path, Some(*uid), Some(*gid));
            owned.map_err(|cause| DiskError::new("hand over", path, cause))?;
        }
        let permitted = std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode));
        permitted.map_err(|cause| DiskError::new("open to readers", path, cause))?;
    }
    Ok(())
}

/// Where a volume lies, opened, and its path from there. One may lie in another, which a container may have filled with
/// anything.
fn make_above<'p>(root: &Path, folder: &'p Path) -> Result<(Folder, &'p Path), DiskError> {
    let (above, inner, mode) = match (folder.strip_prefix(root), folder.parent(), folder.file_name()) {
        (Err(_), Some(above), Some(name)) => (above, Path::new(name), 0o755),
        (inner, ..) => (root, inner.unwrap_or(Path::new("")), 0o711),
    };
    disk::make_dir(above, mode)?;
    Ok((Folder::open(above)?, inner))
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

/// Somebody removed it, and what was made anew under its name is another one to the engine.
fn has_lost_network(error: &EngineError) -> bool {
    matches!(error, EngineError::Refused { message, .. }
        if message.contains("network") && message.contains("not found"))
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
