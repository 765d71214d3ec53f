//! Runtime `compose`: from the compose file of a package to the containers a node is asked to run.

use std::collections::BTreeSet;

use modules::compose::model::{
    Condition, Dependency, Healthcheck, Network, NetworkMode, Project, Restart, Service, Test,
};
use modules::compose::module::{ComposeFiles, registry_of};
use modules::spec::ModuleSpec;
use modules::spec::runtime::{Compose, Runtime};
use proto::v1;
use proto::v1::container_service::RestartPolicy;
use proto::v1::network_options::Pool;

use super::FleetError;
use super::spec::millis;

mod folders;
mod mounts;
mod names;
mod ports;
mod replicas;
#[cfg(test)]
mod tests;

/// What a compose file comes to.
pub struct Carried {
    pub group: v1::ContainerGroup,
    /// What people should know of how it is read.
    pub notes: Vec<String>,
}

/// The containers of a module by its compose file, read as it was checked.
///
/// # Errors
/// What in the compose file is wrong, or cannot be carried out.
pub fn group(spec: &ModuleSpec, files: &ComposeFiles) -> Result<Carried, FleetError> {
    let project = files.project(spec).map_err(|errors| invalid(errors.to_string()))?;
    let mut notes: Vec<String> = project.notes.iter().map(ToString::to_string).collect();
    let folders = folders::Folders::of(&project, spec, &files.paths);
    notes.extend(folders.notes());
    let carrier = Carrier { spec, project: &project, paths: &files.paths, folders: &folders };
    let services: Vec<v1::ContainerService> =
        project.services.iter().map(|service| carrier.service(service)).collect::<Result<_, _>>()?;
    let counts =
        project.services.iter().filter_map(|service| Some((service.name.clone(), service.replicas?)));
    let services = replicas::expand(services, &counts.collect())?;
    let networks = project.networks.iter().map(|(name, network)| (name.clone(), options(name, network)));
    let group = v1::ContainerGroup { services, networks: networks.collect() };
    Ok(Carried { group, notes })
}

fn options(name: &str, network: &Network) -> v1::NetworkOptions {
    let pools: Vec<Pool> = network
        .pools
        .iter()
        .map(|pool| Pool {
            subnet: pool.subnet.clone(),
            gateway: pool.gateway.clone().unwrap_or_default(),
            range: pool.range.clone().unwrap_or_default(),
            taken: pool.taken.clone(),
        })
        .collect();
    let is_plain = |pool: &Pool| *pool == Pool { subnet: pool.subnet.clone(), ..Pool::default() };
    v1::NetworkOptions {
        internal: network.is_internal,
        subnet: pools.first().map(|pool| pool.subnet.clone()).unwrap_or_default(),
        // One subnet with nothing more to say is told as it always was.
        pools: if pools.len() == 1 && is_plain(&pools[0]) { Vec::new() } else { pools },
        external: match network.is_external {
            true => network.name.clone().unwrap_or_else(|| name.to_owned()),
            false => String::new(),
        },
        driver: network.driver.clone().unwrap_or_default(),
        driver_options: network.driver_opts.clone(),
        ipv6: network.has_ipv6,
    }
}

fn invalid(message: String) -> FleetError {
    FleetError::Invalid { message, hint: None }
}

/// What a service is carried over with.
struct Carrier<'c> {
    spec: &'c ModuleSpec,
    project: &'c Project,
    /// All files of the package.
    paths: &'c BTreeSet<String>,
    folders: &'c folders::Folders,
}

impl Carrier<'_> {
    fn service(&self, service: &Service) -> Result<v1::ContainerService, FleetError> {
        let (mounts, tmpfs) = self.mounts(service)?;
        Ok(v1::ContainerService {
            name: service.name.clone(),
            image: service.image.clone().unwrap_or_default(),
            entrypoint: service.entrypoint.clone().unwrap_or_default(),
            has_entrypoint: service.entrypoint.is_some(),
            command: service.command.clone().unwrap_or_default(),
            env: service.env.clone(),
            user: service.user.clone().unwrap_or_default(),
            working_dir: service.working_dir.clone().unwrap_or_default(),
            hostname: service.hostname.clone().unwrap_or_default(),
            network_mode: network_mode(service)?,
            networks: service.networks.iter().map(|attachment| attachment.network.clone()).collect(),
            aliases: names::aliases(service),
            alias_networks: names::alias_networks(service),
            cap_add: service.cap_add.clone(),
            cap_drop: service.cap_drop.clone(),
            privileged: service.privileged,
            read_only: service.read_only,
            security_opt: service.security_opt.clone(),
            group_add: service.group_add.clone(),
            devices: service
                .devices
                .iter()
                .map(|device| format!("{}:{}:{}", device.source, device.target, device.permissions))
                .collect(),
            sysctls: service.sysctls.clone(),
            tmpfs,
            shm_bytes: service.resources.shm.unwrap_or(0),
            init: service.init,
            extra_hosts: service.extra_hosts.clone(),
            ports: ports::published(service),
            mounts,
            depends_on: service.depends_on.iter().map(depends_on).collect(),
            // 0 is what nobody asked for.
            stop_timeout_ms: service.stop_grace_period.map_or(0, |grace| millis(grace).max(1)),
            stop_signal: service.stop_signal.clone().unwrap_or_default(),
            memory_bytes: service.resources.memory.unwrap_or(0),
            cpus: service.resources.cpus.unwrap_or(0.0),
            pids: service.resources.pids.unwrap_or(0),
            restart: restart(service.restart, self.is_one_shot(service)).into(),
            platform: service.platform.clone().unwrap_or_default(),
            labels: service.labels.clone(),
            ulimits: service
                .ulimits
                .iter()
                .map(|(name, limit)| v1::Ulimit { name: name.clone(), soft: limit.soft, hard: limit.hard })
                .collect(),
            one_shot: self.is_one_shot(service),
            health: service.healthcheck.as_ref().and_then(health),
            no_healthcheck: service.healthcheck.as_ref().is_some_and(|check| check.test == Test::Disabled),
            tty: service.tty,
            pid_mode: service.pid.clone().unwrap_or_default(),
            ipc_mode: service.ipc.clone().unwrap_or_default(),
            dns: service.dns.clone(),
            dns_search: service.dns_search.clone(),
            dns_options: service.dns_opt.clone(),
            addresses: names::addresses(service),
            stdin_open: service.stdin_open,
            memory_reservation_bytes: service.resources.memory_reservation.unwrap_or(0),
            gpus: service.gpus,
            load: self.compose().and_then(|compose| compose.load.clone()).unwrap_or_default(),
            pull_secret: self.login(service),
        })
    }

    /// Whether somebody waits for its end.
    fn is_one_shot(&self, service: &Service) -> bool {
        let waits = self.project.services.iter().flat_map(|other| &other.depends_on);
        waits.into_iter().any(|dependency| {
            dependency.service == service.name && dependency.condition == Condition::Completed
        })
    }

    fn compose(&self) -> Option<&Compose> {
        match &self.spec.runtime {
            Runtime::Compose(compose) => Some(compose),
            Runtime::Process(_) | Runtime::Container(_) | Runtime::Systemd(_) => None,
        }
    }

    /// The secret that opens the registry of its image, and no other registry.
    fn login(&self, service: &Service) -> String {
        let secrets = self.compose().and_then(|compose| compose.pull_secret.as_ref());
        let registry = service.image.as_deref().map(registry_of).unwrap_or_default();
        secrets.and_then(|secrets| secrets.of(&registry)).map(ToString::to_string).unwrap_or_default()
    }
}

fn network_mode(service: &Service) -> Result<String, FleetError> {
    match &service.network_mode {
        NetworkMode::Networks | NetworkMode::Bridge => Ok(String::new()),
        NetworkMode::Host => Ok("host".to_owned()),
        NetworkMode::None => Ok("none".to_owned()),
        NetworkMode::Service(name) => Ok(format!("service:{name}")),
        NetworkMode::Container(name) => {
            let message = format!(
                "service {} joins the network of container {name}, which is not of this file",
                service.name
            );
            Err(invalid(message))
        }
    }
}

fn depends_on(dependency: &Dependency) -> v1::DependsOn {
    use v1::depends_on::Condition as Wire;
    let condition = match dependency.condition {
        Condition::Started => Wire::Started,
        Condition::Healthy => Wire::Healthy,
        Condition::Completed => Wire::Completed,
    };
    v1::DependsOn {
        service: dependency.service.clone(),
        condition: condition.into(),
        optional: !dependency.required,
    }
}

/// A service that fails is started again whatever the file says: that is what it is deployed for. Where others wait for
/// its end, a failure is one, unless the file says that it is to be tried again.
fn restart(restart: Restart, is_one_shot: bool) -> RestartPolicy {
    match restart {
        Restart::Always | Restart::UnlessStopped => RestartPolicy::Always,
        Restart::No if is_one_shot => RestartPolicy::Never,
        Restart::No | Restart::OnFailure { .. } => RestartPolicy::OnFailure,
    }
}

/// Without a command where the image's own is to be run at another pace.
fn health(check: &Healthcheck) -> Option<v1::Health> {
    let argv = match &check.test {
        Test::Disabled => return None,
        Test::Image => None,
        Test::Exec(argv) => Some(argv.clone()),
        Test::Shell(line) => Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()]),
    };
    Some(v1::Health {
        check: argv.map(|argv| v1::health::Check::Exec(v1::Command { argv })),
        interval_ms: check.interval.map_or(0, millis),
        timeout_ms: check.timeout.map_or(0, millis),
        retries: check.retries.unwrap_or(0),
        start_period_ms: check.start_period.map_or(0, millis),
    })
}
