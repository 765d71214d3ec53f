//! The whole catalog, placed on a fleet such as people have: two Pis and a server.

use std::collections::{BTreeMap, BTreeSet};

use coordinator::domain::placement::{
    self, HostPort, NodeView, Requirements, Snapshot, Wish, explain, place,
};
use modules::catalog::Catalog;
use modules::spec::ModuleSpec;
use modules::spec::network::PortNumber;
use modules::spec::resolve::Secret;
use proto::ids::{DeploymentName, NodeName};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// What an enrolled Debian machine with Docker says it has.
const DEBIAN: [&str; 9] = ["apt", "container", "docker", "npm", "pip", "python3", "root", "systemd", "venv"];

#[test]
fn every_built_in_module_has_a_place_and_all_of_them_have_one_together() {
    let mut fleet = fleet();
    let mut used = BTreeMap::<String, u32>::new();
    for spec in specs() {
        let wish = wish(spec);
        let alone = place(&wish, &self::fleet());
        assert!(
            alone.unplaced.is_empty(),
            "{} alone: {:#?}",
            spec.name,
            explain(&wish, &self::fleet(), &alone)
        );
        let decision = place(&wish, &fleet);
        let (instance, node) = decision.placements.iter().next().unwrap_or_else(|| {
            panic!("{} beside the others: {:#?}", spec.name, explain(&wish, &fleet, &decision))
        });
        *used.entry(node.to_string()).or_default() += 1;
        fleet.reserve(&wish, instance, node);
    }
    assert_eq!(used.len(), 3, "each machine is of use: {used:?}");
}

#[test]
fn a_pi_4_is_enough_for_most_of_the_catalog() {
    let pi = Snapshot::new(vec![pi("pi4", 4 * GIB, 110 * GIB)]);
    let (fits, large): (Vec<_>, Vec<_>) =
        specs().partition(|spec| place(&wish(spec), &pi).unplaced.is_empty());
    let large: Vec<&str> = large.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(large, ["immich", "llama-cpp", "ollama"], "these want more memory than a Pi 4 has left");
    assert!(fits.len() >= 60, "{}", fits.len());
}

#[test]
fn a_machine_that_offers_nothing_says_what_each_module_misses() {
    let mut bare = pi("bare", 8 * GIB, 110 * GIB);
    bare.capabilities = BTreeSet::new();
    let bare = Snapshot::new(vec![bare]);
    for spec in specs() {
        let wish = wish(spec);
        let decision = place(&wish, &bare);
        let missing = spec.capabilities();
        assert_eq!(decision.placements.is_empty(), !missing.is_empty(), "{}", spec.name);
        let told = format!("{:?}", explain(&wish, &bare, &decision));
        for capability in missing {
            assert!(told.contains(capability.as_str()), "{}: {told}", spec.name);
        }
    }
}

/// Images are published for some processors; elsewhere their module is not even tried.
#[test]
fn no_image_goes_where_it_cannot_run() {
    let mut riscv = pi("board", 8 * GIB, 110 * GIB);
    riscv.arch = "riscv64".to_owned();
    let board = Snapshot::new(vec![riscv]);
    for spec in specs() {
        let is_placed = !place(&wish(spec), &board).placements.is_empty();
        assert_eq!(is_placed, spec.requires.arch.is_empty(), "{}", spec.name);
    }
}

fn fleet() -> Snapshot {
    let mut server = pi("server", 64 * GIB, 2000 * GIB);
    server.arch = "x86_64".to_owned();
    server.cpu_cores = 16.0;
    server.capabilities.insert("gpu".to_owned());
    Snapshot::new(vec![pi("pi4", 4 * GIB, 110 * GIB), pi("pi5", 8 * GIB, 450 * GIB), server])
}

fn pi(name: &str, memory: u64, disk: u64) -> NodeView {
    let mut view = NodeView::new(NodeName::parse(name).expect("a good name"));
    view.arch = "aarch64".to_owned();
    view.capabilities = DEBIAN.iter().map(|name| (*name).to_owned()).collect();
    view.cpu_cores = 4.0;
    view.memory_bytes = memory - 200 * MIB;
    view.memory_available_bytes = memory - 500 * MIB;
    view.disk_bytes = disk;
    view.disk_free_bytes = disk - 5 * GIB;
    view
}

fn specs() -> impl Iterator<Item = &'static ModuleSpec> {
    Catalog::built_in().iter().map(|module| &module.spec)
}

/// What deploying it by its name wishes, with whatever must be set.
fn wish(spec: &ModuleSpec) -> Wish {
    let requires = &spec.requires;
    let values = settings(spec);
    let ports = spec.ports.iter().filter_map(|port| {
        let number = match &port.port {
            PortNumber::Number(number) => Some(*number),
            PortNumber::Auto => None,
            PortNumber::Config(name) => values[name.as_str()].parse().ok(),
        };
        number.map(|number| HostPort { port: number, protocol: port.protocol })
    });
    Wish {
        requires: Requirements {
            arch: requires.arch.iter().map(ToString::to_string).collect(),
            cpu_cores: requires.cpu,
            memory_bytes: requires.memory.0,
            disk_bytes: requires.disk.0,
            capabilities: spec.capabilities().iter().map(ToString::to_string).collect(),
        },
        ports: ports.collect(),
        exclusive: spec.exclusive,
        replicas: placement::Replicas::Count(1),
        ..Wish::new(DeploymentName::parse(spec.name.as_str()).expect("a good name"), "sha256:0")
    }
}

/// All settings as a deployment has them: only what must be set is given, secrets among it.
fn settings(spec: &ModuleSpec) -> BTreeMap<String, String> {
    let required = || spec.config.iter().filter(|item| item.required);
    let secrets = required().filter(|item| item.secret);
    let secrets = secrets.map(|item| (item.name.to_string(), Secret::new("correct horse"))).collect();
    let open = required().filter(|item| !item.secret && item.default.is_none());
    let given = open.map(|item| (item.name.to_string(), "https://example.org".to_owned())).collect();
    let resolved = spec.resolve_config(&given, &secrets);
    resolved.unwrap_or_else(|errors| panic!("{}: {errors}", spec.name)).values
}
