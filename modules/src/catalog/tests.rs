//! What every built-in module must be: found, safe to begin with, pinned, and at peace with the others on one node.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::compose::model::{Condition, HostPort, MountSource, Project, Service};
use crate::compose::{self, Source};
use crate::image::ImageName;
use crate::spec::config::ConfigItem;
use crate::spec::container::ContainerNetwork;
use crate::spec::install::InstallStep;
use crate::spec::network::{PortNumber, Protocol};
use crate::spec::runtime::{Compose, Runtime};
use crate::value::ValueType;

mod safety;
mod table;

/// The licences of what is in the catalog. Another one is looked up at spdx.org/licenses before it is added.
const LICENSES: [&str; 19] = [
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "EPL-2.0",
    "EUPL-1.2",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "LGPL-3.0-only",
    "LicenseRef-Open-WebUI",
    "MIT",
    "MPL-2.0",
    "PostgreSQL",
    "ISC",
    "Unlicense",
    "Zlib",
];

const CATEGORIES: [&str; 18] = [
    "ai",
    "backup",
    "dashboards",
    "databases",
    "dev tools",
    "dns",
    "downloads",
    "examples",
    "files",
    "home automation",
    "media",
    "messaging",
    "monitoring",
    "passwords",
    "productivity",
    "reading",
    "vpn",
    "web",
];

/// Processes that must be root, and the one that may run as whoever the agent is.
const WITHOUT_USER: [(&str, &str); 2] =
    [("hello-web", "it only serves a page"), ("samba", "the server becomes each of its users itself")];

/// What a module keeps without any of it belonging in a backup.
const NOTHING_TO_BACK_UP: [(&str, &str); 6] = [
    ("llama-cpp", "models are fetched again"),
    ("minidlna", "other people's films, and a list made from them"),
    ("node-exporter", "metrics of the moment"),
    ("ollama", "models are fetched again"),
    ("rest-server", "it is the backup"),
    ("whisper", "models are fetched again"),
];

/// One of these serves a node's DNS; two cannot.
const DNS_SERVERS: [&str; 3] = ["adguard-home", "dnsmasq", "pihole"];

#[test]
fn every_built_in_module_is_good_and_packs_to_the_bytes_of_its_folder() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog");
    for (folder, _) in EMBEDDED {
        let module = Catalog::built_in().get(&ModuleName::parse(folder).expect(folder)).expect(folder);
        let packed = module.pack().unwrap_or_else(|error| panic!("{folder}: {error}"));
        let from_folder = pack(&source.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
        assert_eq!(packed.digest, from_folder.digest, "{folder}");
    }
    assert_eq!(Catalog::built_in().iter().count(), EMBEDDED.len(), "names are those of the folders");
    assert!(EMBEDDED.len() >= 40, "only {}", EMBEDDED.len());
}

#[test]
fn every_module_can_be_found_and_says_what_it_is() {
    for spec in specs() {
        let name = spec.name.as_str();
        assert!((20..=140).contains(&spec.description.chars().count()), "{name}: {}", spec.description);
        assert!(!spec.description.ends_with('.'), "{name}");
        let is_ours = spec.category.as_deref() == Some("examples");
        let has_home = spec.homepage.as_deref().is_some_and(|url| url.starts_with("https://"));
        assert!(has_home || is_ours, "{name} has no homepage");
        assert!(CATEGORIES.contains(&spec.category.as_deref().unwrap_or_default()), "{name}");
        assert!(!spec.tags.is_empty(), "{name}");
        let is_chinese = |text: &&String| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        let chinese = spec.triggers.iter().filter(is_chinese).count();
        assert!(chinese >= 2 && spec.triggers.len() - chinese >= 2, "{name}: {:?}", spec.triggers);
        let different: BTreeSet<_> = spec.triggers.iter().collect();
        assert_eq!(different.len(), spec.triggers.len(), "{name}: {:?}", spec.triggers);
        for license in licenses(spec) {
            assert!(LICENSES.contains(&license.as_str()), "{name}: {license} is no SPDX licence we know");
        }
        for item in &spec.config {
            assert!(!item.description.is_empty(), "{name}: config {} has no description", item.name);
        }
        for (action, what) in &spec.actions {
            assert!(!what.description.is_empty(), "{name}: action {action} has no description");
        }
    }
}

#[test]
fn every_module_says_when_it_is_well_and_what_it_needs() {
    for spec in specs() {
        let name = spec.name.as_str();
        assert!(spec.health.is_some(), "{name} has no health check");
        assert!(spec.requires.memory.0 > 0 && spec.requires.disk.0 > 0 && spec.requires.cpu > 0.0, "{name}");
        let deadline = spec.update.health_deadline;
        let health = spec.health.as_ref().expect("just seen");
        assert!(deadline >= health.start_period, "{name} is given up before it may be asked");
        assert!(health.timeout <= health.interval, "{name}");
        let is_container = matches!(spec.runtime, Runtime::Container(_) | Runtime::Compose(_));
        assert!(!is_container || !spec.requires.arch.is_empty(), "{name}: for which machines is its image?");
        let kept = !spec.volumes.is_empty() && spec.volumes.iter().all(|volume| !volume.backup);
        assert_eq!(kept, listed(&NOTHING_TO_BACK_UP, name), "{name}: what of it belongs in a backup?");
        assert!(!spec.permissions.privileged, "{name}");
    }
}

#[test]
fn no_password_is_known_to_everybody() {
    for spec in specs() {
        for item in &spec.config {
            let name = format!("{}: {}", spec.name, item.name);
            assert_eq!(is_about_a_secret(item), item.secret, "{name}");
            assert!(!item.secret || item.default.is_none(), "{name} has a default");
        }
    }
}

/// What begins and ends like a password is one.
fn is_about_a_secret(item: &ConfigItem) -> bool {
    let name = item.name.as_str();
    let last = name.rsplit(['-', '_']).next().unwrap_or(name);
    item.kind == ValueType::String && ["password", "token", "key", "secret"].contains(&last)
        || name == "webhook"
}

#[test]
fn what_is_fetched_is_pinned() {
    for module in Catalog::built_in().iter() {
        let spec = &module.spec;
        let name = spec.name.as_str();
        match &spec.runtime {
            Runtime::Container(container) => assert_pinned(name, &container.image),
            Runtime::Compose(compose) => {
                for service in &project(module, compose).services {
                    assert_pinned(name, service.image.as_deref().expect("strictly read"));
                }
            }
            Runtime::Process(process) => {
                assert_eq!(
                    process.user.is_none(),
                    listed(&WITHOUT_USER, name),
                    "{name}: as whom does it run?"
                );
            }
            Runtime::Systemd(_) => {}
        }
        for step in &spec.install {
            match step {
                InstallStep::Pip(packages) => assert!(packages.iter().all(|p| p.contains("==")), "{name}"),
                InstallStep::Npm(packages) => {
                    assert!(packages.iter().all(|package| package[1..].contains('@')), "{name}");
                }
                InstallStep::Apt(_) | InstallStep::Run(_) => {}
            }
        }
    }
}

/// A tag that says which release: not `latest`, not `14`.
fn assert_pinned(module: &str, image: &str) {
    let parsed = ImageName::parse(image).unwrap_or_else(|error| panic!("{module}: {image}: {error}"));
    assert!(!parsed.is_unpinned(), "{module}: {image}");
    let digits = parsed.tag.unwrap_or_default().chars().filter(char::is_ascii_digit).count();
    assert!(digits >= 3, "{module}: {image} says too little about its version");
}

#[test]
fn ports_of_different_modules_do_not_clash_on_one_node() {
    let mut users: BTreeMap<(u16, Protocol), Vec<&str>> = BTreeMap::new();
    for spec in specs() {
        for port in &spec.ports {
            let number = match &port.port {
                PortNumber::Number(number) => Some(*number),
                PortNumber::Auto => None,
                PortNumber::Config(name) => {
                    let item = spec.config_item(name.as_str()).expect("checked by the parser");
                    item.default.as_deref().and_then(|default| default.parse().ok())
                }
            };
            let Some(number) = number else { continue };
            users.entry((number, port.protocol)).or_default().push(spec.name.as_str());
        }
    }
    let clashes = users.into_iter().filter(|(_, names)| names.len() > 1);
    for ((port, protocol), names) in clashes {
        assert!(port == 53 && names == DNS_SERVERS, "{port}/{}: {names:?}", protocol.as_str());
    }
}

#[test]
fn what_a_container_listens_on_and_keeps_is_told() {
    for spec in specs() {
        let Runtime::Container(container) = &spec.runtime else { continue };
        let name = spec.name.as_str();
        assert!(!spec.ports.is_empty(), "{name} has no port");
        let is_host = container.network == ContainerNetwork::Host;
        for port in &spec.ports {
            assert_eq!(port.target.is_none(), is_host, "{name}: where does {} lead?", port.name);
        }
        for volume in &spec.volumes {
            assert!(volume.target.is_some(), "{name}: {} has no target", volume.name);
            assert!(!volume.path.starts_with('/'), "{name}: {} is a folder of the node", volume.name);
        }
    }
}

#[test]
fn compose_files_fit_their_modules() {
    let mut seen = 0;
    for module in Catalog::built_in().iter() {
        let Runtime::Compose(compose) = &module.spec.runtime else { continue };
        seen += 1;
        let project = project(module, compose);
        let name = module.spec.name.as_str();
        assert!(project.services.len() > 1, "{name} could be a single container");
        for variable in &project.variables {
            assert!(compose.env.contains_key(&variable.name), "{name}: nobody sets {}", variable.name);
        }
        for variable in compose.env.keys() {
            assert!(
                project.variables.iter().any(|used| used.name == *variable),
                "{name}: {variable} is unused"
            );
        }
        let volumes: BTreeSet<&str> = module.spec.volumes.iter().map(|volume| volume.name.as_str()).collect();
        let named: BTreeSet<&str> = project.volumes.keys().map(String::as_str).collect();
        assert_eq!(volumes, named, "{name}");
        for service in &project.services {
            check_service(module, &project, service);
        }
    }
    assert!(seen >= 3, "{seen}");
}

fn check_service(module: &CatalogModule, project: &Project, service: &Service) {
    let name = format!("{}: {}", module.spec.name, service.name);
    assert!(!service.privileged && service.cap_add.is_empty() && service.devices.is_empty(), "{name}");
    for mount in &service.mounts {
        assert!(matches!(mount.source, MountSource::Named(_)), "{name}: {mount:?}");
    }
    for needed in &service.depends_on {
        let other = project.service(&needed.service).expect("strictly read");
        let is_checked = needed.condition != Condition::Healthy || other.healthcheck.is_some();
        assert!(is_checked, "{name} waits for the health of {}, which has no check", needed.service);
    }
    for published in &service.ports {
        let fits = module.spec.ports.iter().any(|port| {
            port.service.as_deref() == Some(service.name.as_str())
                && port.target == Some(published.container.0)
                && published.host == HostPort::Reference(format!("${{port.{}}}", port.name))
        });
        assert!(fits, "{name}: {published:?} is none of the module's ports");
    }
}

/// The module's compose file as a deployment reads it.
fn project(module: &CatalogModule, compose: &Compose) -> Project {
    let find =
        |path: &str| module.files.iter().find(|file| file.path == path).map(|file| file.content.to_vec());
    let text = find(&compose.file).unwrap_or_else(|| panic!("{} has no {}", module.spec.name, compose.file));
    let source = Source { file: &compose.file, text: &text, files: &find, env: &compose.env, profiles: &[] };
    compose::parse(&source).unwrap_or_else(|errors| panic!("{}: {errors}", module.spec.name))
}

fn specs() -> impl Iterator<Item = &'static ModuleSpec> {
    Catalog::built_in().iter().map(|module| &module.spec)
}

fn licenses(spec: &ModuleSpec) -> Vec<String> {
    let expression = spec.license.as_deref().unwrap_or_default().replace(['(', ')'], " ");
    assert!(!expression.trim().is_empty(), "{} has no licence", spec.name);
    let words = expression.split_whitespace().filter(|word| !["AND", "OR", "WITH"].contains(word));
    words.map(str::to_owned).collect()
}

fn listed(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(listed, _)| *listed == name)
}
