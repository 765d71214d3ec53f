//! The containers of an instance, with all references resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use proto::v1::mount::Source;
use proto::v1::port::Protocol;
use proto::v1::{ContainerGroup, ContainerService, Mount, PublishedPort, instance_spec};

use crate::content::Candidate;
use crate::runtime::group::plan::{From, NetworkPlan, Owner, Plan, Resolved, ServicePlan};
use crate::scene::{Scene, SceneError};

const DEFAULT: &str = "default";
const STOP: Duration = Duration::from_secs(10);

impl Scene {
    /// None for what does not run in containers.
    ///
    /// # Errors
    /// When a reference is unknown or a path leaves its folder.
    pub fn plan(&self, candidate: &Candidate) -> Result<Option<Plan>, SceneError> {
        let Some(instance_spec::Runtime::Containers(group)) = &candidate.spec.runtime else {
            return Ok(None);
        };
        let owner = self.owner();
        let services = group
            .services
            .iter()
            .map(|service| self.service(&owner, group, service))
            .collect::<Result<_, _>>()?;
        Ok(Some(Plan {
            networks: networks(&owner, group),
            services,
            owner,
            content: candidate.content,
            digest: candidate.release_digest().to_owned(),
        }))
    }

    pub fn owner(&self) -> Owner {
        Owner { token: self.token.clone(), node: self.node_name.clone(), id: self.id.clone() }
    }

    fn service(
        &self,
        owner: &Owner,
        group: &ContainerGroup,
        service: &ContainerService,
    ) -> Result<ServicePlan, SceneError> {
        let what = |part: &str| format!("{} of service {}", part, service.name);
        let text = |part: &str, text: &str| self.render(&what(part), text);
        let mut volumes = BTreeMap::new();
        let mut mounts = Vec::new();
        for mount in &service.mounts {
            mounts.push(self.mount(owner, mount, &mut volumes)?);
        }
        let env = service.env.iter().filter_map(|(name, value)| {
            let value = self.render_variable(&what(&format!("env {name}")), value).transpose()?;
            Some(value.map(|value| (name.clone(), value)))
        });
        let resolved = Resolved {
            service,
            entrypoint: self.render_all(&what("entrypoint"), &service.entrypoint)?,
            command: self.render_all(&what("command"), &service.command)?,
            env: env.collect::<Result<_, SceneError>>()?,
            user: text("user", &service.user)?,
            working_dir: text("working_dir", &service.working_dir)?,
            hostname: text("hostname", &service.hostname)?,
            ports: service.ports.iter().map(|port| self.published(port)).collect::<Result<_, _>>()?,
            mounts,
        };
        let mut body = resolved.body();
        if matches!(service.network_mode.as_str(), "host" | "none") {
            body["HostConfig"]["NetworkMode"] = service.network_mode.as_str().into();
        }
        let stop = Duration::from_millis(service.stop_timeout_ms.into());
        Ok(ServicePlan {
            name: service.name.clone(),
            image: text("image", &service.image)?,
            archive: self.archive(service)?,
            login: self.login(service),
            platform: service.platform.clone(),
            depends_on: service.depends_on.clone(),
            restart: service.restart(),
            is_one_shot: service.one_shot,
            has_terminal: service.tty,
            stop_timeout: if stop.is_zero() { STOP } else { stop },
            health: service.health.clone(),
            uses_image_health: !service.no_healthcheck,
            shares_network_of: service.network_mode.strip_prefix("service:").map(str::to_owned),
            networks: joined(owner, group, service),
            volumes: volumes.into_iter().collect(),
            body,
        })
    }

    fn archive(&self, service: &ContainerService) -> Result<Option<PathBuf>, SceneError> {
        match service.load.as_str() {
            "" => Ok(None),
            path => self.inside(&self.release_dir, path).map(Some),
        }
    }

    /// What nobody set is no login.
    fn login(&self, service: &ContainerService) -> String {
        self.config.get(&service.pull_secret).cloned().unwrap_or_default()
    }

    fn published(&self, port: &PublishedPort) -> Result<(String, String, u16), SceneError> {
        let text = self.render("published port", &port.published)?;
        let number = text.parse().ok().filter(|number| *number != 0);
        let number = number.ok_or_else(|| SceneError::Port { name: port.target.to_string(), found: text })?;
        let protocol = match port.protocol() {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        Ok((format!("{}/{protocol}", port.target), port.host_ip.clone(), number))
    }

    fn mount(
        &self,
        owner: &Owner,
        mount: &Mount,
        volumes: &mut BTreeMap<String, PathBuf>,
    ) -> Result<(From, String, bool), SceneError> {
        let (from, is_read_only) = match &mount.source {
            Some(Source::Volume(name)) => {
                let default = || self.inside(&self.volume_root, name);
                let folder = self.volumes.get(name).cloned().map_or_else(default, Ok)?;
                self.kept(owner, name, folder, volumes)
            }
            Some(Source::HostPath(path)) => (From::Path(PathBuf::from(self.render("mount", path)?)), false),
            Some(Source::ReleasePath(path)) => (From::Path(self.inside(&self.release_dir, path)?), true),
            Some(Source::InstancePath(path)) => (From::Path(self.inside(&self.instance_dir, path)?), false),
            Some(Source::Anonymous(_)) | None => (From::Anonymous, false),
        };
        Ok((from, mount.target.clone(), is_read_only || mount.read_only))
    }

    /// A folder that is kept for the instance becomes a volume of the engine, which fills a new one with what the
    /// image has in its place and gives it to the image's user. Any other path is mounted as it is.
    fn kept(
        &self,
        owner: &Owner,
        name: &str,
        folder: PathBuf,
        volumes: &mut BTreeMap<String, PathBuf>,
    ) -> (From, bool) {
        if !folder.starts_with(&self.volume_root) {
            let is_of_release = folder.starts_with(&self.release_dir);
            return (From::Path(folder), is_of_release);
        }
        let volume = owner.name(name);
        volumes.insert(volume.clone(), folder);
        (From::Volume(volume), false)
    }

    fn inside(&self, folder: &Path, path: &str) -> Result<PathBuf, SceneError> {
        let leaves = Path::new(path)
            .components()
            .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
        if leaves {
            return Err(SceneError::Volume { name: path.to_owned(), path: path.to_owned() });
        }
        Ok(folder.join(path))
    }

    /// Paths on the node that containers are to see and nobody made yet.
    pub(super) fn missing_paths(&self, group: &ContainerGroup) -> BTreeSet<PathBuf> {
        let mounts = group.services.iter().flat_map(|service| &service.mounts);
        let paths = mounts.filter_map(|mount| match &mount.source {
            Some(Source::HostPath(path)) => self.render("mount", path).ok().map(PathBuf::from),
            _ => None,
        });
        paths.filter(|path| !path.exists() && path.extension().is_none_or(|kind| kind != "sock")).collect()
    }
}

fn network_name(owner: &Owner, group: &ContainerGroup, name: &str) -> String {
    match group.networks.get(name) {
        Some(options) if !options.external.is_empty() => options.external.clone(),
        Some(_) | None => owner.name(name),
    }
}

fn networks(owner: &Owner, group: &ContainerGroup) -> Vec<NetworkPlan> {
    let mut names: BTreeSet<&str> = group.networks.keys().map(String::as_str).collect();
    names.insert(DEFAULT);
    let plan = |name: &str| NetworkPlan {
        name: network_name(owner, group, name),
        options: group.networks.get(name).cloned().unwrap_or_default(),
    };
    names.into_iter().map(plan).collect()
}

fn joined(owner: &Owner, group: &ContainerGroup, service: &ContainerService) -> Vec<(String, Vec<String>)> {
    if !service.network_mode.is_empty() {
        return Vec::new();
    }
    let names = std::iter::once(&service.name).chain(&service.aliases).cloned().collect::<Vec<_>>();
    let networks = match &service.networks[..] {
        [] => vec![DEFAULT.to_owned()],
        some => some.to_vec(),
    };
    networks.iter().map(|network| (network_name(owner, group, network), names.clone())).collect()
}
