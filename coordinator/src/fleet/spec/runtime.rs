//! How an instance is run, as its node is told.

use modules::spec::ModuleSpec;
use modules::spec::container::{Container, ContainerNetwork};
use modules::spec::health::Check;
use modules::spec::install::InstallStep;
use modules::spec::runtime::Runtime;
use proto::v1;
use proto::v1::instance_spec::Runtime as Wire;

use super::{Resolved, millis, protocol};

/// The service that stands for a module of one container.
const MAIN: &str = "main";

pub fn install_step(step: &InstallStep) -> v1::InstallStep {
    use v1::install_step::{Packages, Step};
    let packages = |names: &[String]| Packages { names: names.to_vec() };
    let step = match step {
        InstallStep::Apt(names) => Step::Apt(packages(names)),
        InstallStep::Pip(names) => Step::Pip(packages(names)),
        InstallStep::Npm(names) => Step::Npm(packages(names)),
        InstallStep::Run(argv) => Step::Run(v1::Command { argv: argv.clone() }),
    };
    v1::InstallStep { step: Some(step) }
}

pub fn runtime(module: &Resolved) -> Option<Wire> {
    let spec = &module.spec;
    match &spec.runtime {
        Runtime::Process(process) => Some(Wire::Process(v1::ProcessRuntime {
            command: process.command.clone(),
            env: process.env.clone(),
            working_dir: process.working_dir.clone().unwrap_or_default(),
            stop_timeout_ms: millis(process.stop_timeout),
            user: process.user.clone().unwrap_or_default(),
        })),
        Runtime::Container(container) => Some(Wire::Containers(v1::ContainerGroup {
            services: vec![service(spec, container)],
            ..Default::default()
        })),
        Runtime::Systemd(systemd) => Some(Wire::Systemd(v1::SystemdRuntime { unit: systemd.unit.clone() })),
        // Without its containers it is refused by `check`, before a wish is recorded.
        Runtime::Compose(_) => module.containers.clone().map(Wire::Containers),
    }
}

/// The one container of a module with runtime container.
fn service(spec: &ModuleSpec, container: &Container) -> v1::ContainerService {
    v1::ContainerService {
        name: MAIN.to_owned(),
        image: container.image.clone(),
        load: container.load.clone().unwrap_or_default(),
        entrypoint: container.entrypoint.clone(),
        has_entrypoint: !container.entrypoint.is_empty(),
        command: container.command.clone(),
        env: container.env.clone(),
        user: container.user.clone().unwrap_or_default(),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        hostname: container.hostname.clone().unwrap_or_default(),
        network_mode: match container.network {
            ContainerNetwork::Bridge => String::new(),
            other @ (ContainerNetwork::Host | ContainerNetwork::None) => other.as_str().to_owned(),
        },
        cap_add: container.cap_add.clone(),
        cap_drop: container.cap_drop.clone(),
        privileged: spec.permissions.privileged,
        read_only: container.read_only,
        devices: spec.permissions.devices.clone(),
        sysctls: container.sysctls.clone(),
        tmpfs: container.tmpfs.clone(),
        shm_bytes: container.shm_size.map_or(0, |size| size.0),
        init: container.init,
        extra_hosts: container.extra_hosts.clone(),
        ports: published(spec, container),
        mounts: spec.volumes.iter().filter_map(mount).collect(),
        stop_timeout_ms: millis(container.stop_timeout),
        memory_bytes: spec.limits.memory.map_or(0, |size| size.0),
        cpus: spec.limits.cpu.unwrap_or(0.0),
        pids: spec.limits.processes.unwrap_or(0),
        ulimits: spec.limits.open_files.map(open_files).into_iter().collect(),
        pull_secret: container.pull_secret.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..Default::default()
    }
}

fn published(spec: &ModuleSpec, container: &Container) -> Vec<v1::PublishedPort> {
    if container.network != ContainerNetwork::Bridge {
        return Vec::new();
    }
    let publish = |port: &modules::spec::network::Port| v1::PublishedPort {
        target: port.inside().map_or(0, u32::from),
        published: format!("${{port.{}}}", port.name),
        protocol: protocol(port.protocol).into(),
        host_ip: String::new(),
    };
    spec.ports.iter().map(publish).collect()
}

fn mount(volume: &modules::spec::volume::Volume) -> Option<v1::Mount> {
    use v1::mount::Source;
    let source = match volume.is_host_path() {
        true => Source::HostPath(volume.path.clone()),
        false => Source::Volume(volume.name.to_string()),
    };
    let target = volume.target.clone()?;
    Some(v1::Mount { source: Some(source), target, read_only: volume.read_only, ..Default::default() })
}

fn open_files(count: u32) -> v1::Ulimit {
    v1::Ulimit { name: "nofile".to_owned(), soft: count.into(), hard: count.into() }
}

pub fn health(health: &modules::spec::health::Health) -> v1::Health {
    use v1::health::{Check as Wire, Http, Tcp};
    let check = match &health.check {
        Check::Http(http) => Wire::Http(Http {
            port: http.port.as_ref().map(ToString::to_string).unwrap_or_default(),
            path: http.path.clone(),
            target: http.target.unwrap_or_default().into(),
            service: http.service.clone().unwrap_or_default(),
        }),
        Check::Tcp(tcp) => Wire::Tcp(Tcp {
            port: tcp.port.as_ref().map(ToString::to_string).unwrap_or_default(),
            target: tcp.target.unwrap_or_default().into(),
            service: tcp.service.clone().unwrap_or_default(),
        }),
        Check::Exec(exec) => Wire::Exec(v1::Command { argv: exec.command.clone() }),
    };
    v1::Health {
        check: Some(check),
        interval_ms: millis(health.interval),
        timeout_ms: millis(health.timeout),
        retries: health.retries,
        start_period_ms: millis(health.start_period),
    }
}
