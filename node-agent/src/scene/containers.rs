//! The containers of an instance, with all references resolved.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use proto::v1::mount::Source;
use proto::v1::port::Protocol;
use proto::v1::{ContainerGroup, ContainerService, InstanceSpec, PublishedPort, health, instance_spec};

use crate::content::Candidate;
use crate::health::{InnerPort, Probe};
use crate::runtime::group::body::Resolved;
use crate::runtime::group::plan::{Owner, Plan, ServicePlan, share_archives};
use crate::scene::{Scene, SceneError};

mod mounts;
mod networks;
mod parts;

use mounts::Mounting;
use parts::Part;

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
        let mut parts = Vec::new();
        let mut services = group
            .services
            .iter()
            .map(|service| self.service(&owner, group, service, &mut parts))
            .collect::<Result<Vec<_>, _>>()?;
        parts::check(&parts)?;
        share_archives(&mut services);
        Ok(Some(Plan {
            networks: networks::of(&owner, group),
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
        parts: &mut Vec<Part>,
    ) -> Result<ServicePlan, SceneError> {
        let service = &self.with_texts(service)?;
        let what = |part: &str| format!("{} of service {}", part, service.name);
        let text = |part: &str, text: &str| self.render(&what(part), text);
        let mut mounting = Mounting::new(self, owner, &service.name);
        let mounts = service.mounts.iter().map(|mount| mounting.mount(mount)).collect::<Result<_, _>>()?;
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
        parts.append(&mut mounting.parts);
        let stop = Duration::from_millis(service.stop_timeout_ms.into());
        Ok(ServicePlan {
            name: service.name.clone(),
            image: text("image", &service.image)?,
            archive: self.archive(service)?,
            archived: Vec::new(),
            login: self.login(service),
            platform: service.platform.clone(),
            depends_on: service.depends_on.clone(),
            restart: service.restart(),
            is_one_shot: service.one_shot,
            serves: !service.ports.is_empty() || service.health.is_some(),
            has_terminal: service.tty,
            stop_timeout: if stop.is_zero() { STOP } else { stop },
            health: service.health.clone(),
            uses_image_health: !service.no_healthcheck,
            shares_network_of: service.network_mode.strip_prefix("service:").map(str::to_owned),
            networks: networks::joined(owner, group, service),
            volume_root: self.volume_root.clone(),
            volumes: mounting.volumes.into_iter().collect(),
            subfolders: mounting.subfolders,
            texts: mounting.texts,
            body,
        })
    }

    /// The service with those of its texts resolved that go to the engine as they are.
    fn with_texts(&self, service: &ContainerService) -> Result<ContainerService, SceneError> {
        let mut service = service.clone();
        let name = service.name.clone();
        let render = |part: &str, text: &mut String| -> Result<(), SceneError> {
            *text = self.render(&format!("{part} of service {name}"), text)?;
            Ok(())
        };
        for (part, texts) in [
            ("tmpfs", &mut service.tmpfs),
            ("extra_hosts", &mut service.extra_hosts),
            ("dns", &mut service.dns),
            ("dns_search", &mut service.dns_search),
            ("dns_opt", &mut service.dns_options),
            ("devices", &mut service.devices),
            ("aliases", &mut service.aliases),
        ] {
            texts.iter_mut().try_for_each(|text| render(part, text))?;
        }
        service.labels.values_mut().try_for_each(|text| render("labels", text))?;
        service.sysctls.values_mut().try_for_each(|text| render("sysctls", text))?;
        service.ports.iter_mut().try_for_each(|port| render("published port", &mut port.host_ip))?;
        service.mounts.iter_mut().try_for_each(|mount| render("mount", &mut mount.target))?;
        if let Some(health::Check::Exec(command)) =
            service.health.as_mut().and_then(|health| health.check.as_mut())
        {
            command.argv.iter_mut().try_for_each(|text| render("healthcheck", text))?;
        }
        Ok(service)
    }

    /// The check of a port inside a container.
    pub(super) fn inner_port(
        &self,
        spec: &InstanceSpec,
        service: &str,
        target: u32,
        path: Option<String>,
    ) -> Result<Probe, SceneError> {
        let port = u16::try_from(target).ok();
        let port =
            port.ok_or_else(|| SceneError::Port { name: "health".to_owned(), found: target.to_string() })?;
        let service = if service.is_empty() { self.front(spec) } else { Some(service.to_owned()) };
        let in_hosts = |group: &ContainerGroup| {
            let mut named = group.services.iter().filter(|known| Some(&known.name) == service.as_ref());
            named.any(|known| known.network_mode == "host")
        };
        if self.containers.as_ref().is_some_and(in_hosts) {
            return Ok(match path {
                Some(path) => Probe::Http { port, path },
                None => Probe::Tcp { port },
            });
        }
        Ok(Probe::Address(InnerPort { service, port, path, published: None }))
    }

    /// The check of a port that a container publishes; none for a page that is asked for on the node itself.
    pub(super) fn published_port(&self, name: &str, published: u16, path: Option<String>) -> Option<Probe> {
        let text = format!("${{port.{name}}}");
        let group = self.containers.as_ref()?;
        let is_it = |port: &&PublishedPort| port.published == text;
        let service = group.services.iter().find(|service| service.ports.iter().any(|port| is_it(&port)))?;
        let ports = || service.ports.iter().filter(is_it);
        let port = u16::try_from(ports().next()?.target).ok()?;
        let is_local = ports()
            .any(|port| self.render("published port", &port.host_ip).is_ok_and(|address| is_local(&address)));
        let published = is_local.then_some(published);
        let is_asked_here = is_local && path.is_some();
        let inner = InnerPort { service: Some(service.name.clone()), port, path, published };
        (!is_asked_here).then_some(Probe::Address(inner))
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

/// Whether what is published on this address of the node answers on `localhost`, too.
fn is_local(address: &str) -> bool {
    let everywhere = |address: IpAddr| address.is_unspecified() || address.is_loopback();
    address.is_empty() || address.parse().is_ok_and(everywhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_published_on_one_address_alone_does_not_answer_on_localhost() {
        let addresses = ["", "0.0.0.0", "::", "127.0.0.1", "::1", "192.168.1.5", "fd00::5"];
        let local: Vec<&str> = addresses.into_iter().filter(|address| is_local(address)).collect();
        assert_eq!(local, ["", "0.0.0.0", "::", "127.0.0.1", "::1"]);
    }
}
