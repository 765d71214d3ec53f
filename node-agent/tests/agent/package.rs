//! Packages and specs for the tests to deploy.

use std::collections::BTreeMap;

use flate2::Compression;
use flate2::write::GzEncoder;
use modules::digest::Digest;
use proto::v1::{
    Command, Health, InstallStep, InstanceSpec, Port, ProcessRuntime, Release, Update, health, install_step,
    instance_spec,
};

#[derive(Clone)]
pub struct Package {
    pub bytes: Vec<u8>,
    pub digest: String,
}

/// A package with these files; a version makes it differ from others.
pub fn package(version: &str, files: &[(&str, &str)]) -> Package {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let manifest = format!("name: test\nversion: {version}\n");
    let mut files: Vec<_> = files.to_vec();
    files.push(("MODULE.yaml", &manifest));
    files.sort_unstable();
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, name, content.as_bytes()).expect("added");
    }
    let bytes = tar.into_inner().and_then(GzEncoder::finish).expect("packed");
    let digest = Digest::of(&bytes).to_string();
    Package { bytes, digest }
}

/// An instance `web/0` of the package that runs its `run.sh`, healthy while `health.sh` says so.
pub fn spec(package: &Package, attempt: u64) -> InstanceSpec {
    InstanceSpec {
        id: "web/0".into(),
        deployment: "web".into(),
        release: Some(Release {
            module: "test".into(),
            version: "1.0.0".into(),
            digest: package.digest.clone(),
        }),
        attempt,
        runtime: Some(instance_spec::Runtime::Process(ProcessRuntime {
            command: vec!["./run.sh".into()],
            stop_timeout_ms: 2000,
            ..Default::default()
        })),
        health: Some(Health {
            check: Some(health::Check::Exec(Command { argv: vec!["./health.sh".into()] })),
            interval_ms: 200,
            timeout_ms: 2000,
            retries: 2,
            start_period_ms: 100,
        }),
        update: Some(Update { health_deadline_ms: 20_000, ..Default::default() }),
        ..Default::default()
    }
}

pub const SLEEP: (&str, &str) = ("run.sh", "#!/bin/sh\necho hello from $$\nexec sleep 1000\n");
pub const HEALTHY: (&str, &str) = ("health.sh", "#!/bin/sh\nexit 0\n");
pub const SICK: (&str, &str) = ("health.sh", "#!/bin/sh\necho the belt is torn\nexit 4\n");

/// An instance that serves HTTP on an automatic port.
pub fn web_spec(package: &Package, attempt: u64) -> InstanceSpec {
    let exe = std::env::current_exe().expect("our own path").to_string_lossy().into_owned();
    let argv = [exe.as_str(), "--exact", "serve_http", "--ignored", "--nocapture"];
    let http = health::Http { port: "web".into(), path: "/".into(), ..Default::default() };
    let mut spec = spec(package, attempt);
    spec.config = BTreeMap::from([("port".to_owned(), "auto".to_owned())]);
    spec.ports =
        vec![Port { name: "web".into(), port: "${config.port}".into(), protocol: 0, ..Default::default() }];
    process(&mut spec).command = argv.map(String::from).to_vec();
    if let Some(health) = &mut spec.health {
        health.check = Some(health::Check::Http(http));
    }
    spec
}

pub fn process(spec: &mut InstanceSpec) -> &mut ProcessRuntime {
    let Some(instance_spec::Runtime::Process(process)) = &mut spec.runtime else { panic!("a process") };
    process
}

pub fn run_step(argv: &[&str]) -> InstallStep {
    let argv = argv.iter().map(|arg| (*arg).to_owned()).collect();
    InstallStep { step: Some(install_step::Step::Run(Command { argv })) }
}
