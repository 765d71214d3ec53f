//! What a compose module comes to on a node: read once, as it was checked.

use modules::compose::module::ComposeFiles;
use modules::spec::ModuleSpec;
use proto::v1::mount::Source;

use super::*;

#[test]
fn what_listens_is_where_the_module_says_and_only_on_the_files_addresses() {
    let group = carried(
        "ports: [{name: web, port: auto, target: 80}, {name: tls, port: 8443, target: 80}, {name: dns, port: 53, protocol: udp}]",
        "runtime: {compose: {file: compose.yaml}}",
        "services: {web: {image: 'i:1', ports: ['127.0.0.1:8080:80', '[::1]:8080:80', '8443:80', '10.0.0.2:53:53/udp', '9000-9001:9000-9001']}}",
        &[],
    );
    let ports = group.group.services[0].ports.iter();
    let ports: Vec<String> = ports
        .map(|port| format!("{}|{}|{}|{}", port.host_ip, port.published, port.target, port.protocol))
        .collect();
    let expected = [
        "127.0.0.1|${port.web}|80|0",
        "::1|${port.web}|80|0",
        "|${port.tls}|80|0",
        "10.0.0.2|${port.dns}|53|1",
        "|9000|9000|0",
        "|9001|9001|0",
    ];
    assert_eq!(ports, expected);
}

#[test]
fn a_port_that_is_not_published_is_told() {
    let group = carried(
        "ports: []",
        "runtime: {compose: {file: compose.yaml}}",
        "services: {web: {image: 'i:1', ports: ['80']}}",
        &[],
    );
    assert_eq!(
        group.notes,
        [
            "compose.yaml:1:40: services.web.ports[0]: is not published on the node; to have it there, add {name: …, port: auto, target: 80, protocol: tcp, service: web} to ports of MODULE.yaml"
        ]
    );
}

#[test]
fn files_of_the_package_are_found_from_a_compose_file_in_a_folder() {
    for file in ["deploy/compose.yaml", "./deploy//compose.yaml"] {
        let group = carried(
            "ports: []",
            &format!("runtime: {{compose: {{file: {file}}}}}"),
            "
services:
  web:
    image: i:1
    volumes: ['./conf:/conf', '../shared.conf:/shared.conf', './data:/data', 'data:/named', './deploy/data:/x']
    secrets: [key]
secrets: {key: {file: ./key.txt}}
volumes: {data: , deploy_deploy_data: }
",
            &["deploy/conf/a.conf", "deploy/key.txt", "shared.conf"],
        );
        let sources = group.group.services[0].mounts.iter().filter_map(|mount| mount.source.clone());
        let release = |path: &str| Source::ReleasePath(path.into());
        let volume = |name: &str| Source::Volume(name.into());
        let expected = [
            release("deploy/conf"),
            release("shared.conf"),
            volume("deploy_deploy_data"),
            volume("data"),
            volume("deploy_deploy_deploy_data"),
            release("deploy/key.txt"),
        ];
        assert_eq!(sources.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_folder_does_not_share_the_data_of_a_volume_with_its_name() {
    let group = carried(
        "ports: []",
        "runtime: {compose: {file: compose.yaml}}",
        "services: {web: {image: 'i:1', volumes: ['./data:/a', 'data:/b']}}\nvolumes: {data: }\n",
        &[],
    );
    let sources: Vec<_> =
        group.group.services[0].mounts.iter().filter_map(|mount| mount.source.clone()).collect();
    assert_eq!(sources, [Source::Volume("folder.data".into()), Source::Volume("data".into())]);
    assert_eq!(
        group.notes,
        ["the folder \"data\" is kept as \"folder.data\", as \"data\" is the name of another volume"]
    );
}

#[test]
fn a_login_goes_to_its_registry_alone_and_all_images_are_in_the_archive() {
    let services = "services: {app: {image: 'ghcr.io/kettle/app:${config.v}'}, db: {image: 'postgres:16'}}";
    let config = "config: [{name: login, secret: true}, {name: v, default: '1'}]";
    let runtime =
        "runtime: {compose: {file: compose.yaml, load: ./images.tar, pull_secret: {ghcr.io: login}}}";
    let group = carried(config, runtime, services, &["images.tar"]);
    let told: Vec<(&str, &str, &str)> = group
        .group
        .services
        .iter()
        .map(|service| (service.name.as_str(), service.load.as_str(), service.pull_secret.as_str()))
        .collect();
    assert_eq!(told, [("app", "images.tar", "login"), ("db", "images.tar", "")]);
}

#[test]
fn an_alias_of_one_network_is_not_known_in_the_others() {
    let group = carried(
        "ports: []",
        "runtime: {compose: {file: compose.yaml}}",
        "services: {db: {image: 'i:1', networks: {back: {aliases: [store, db1]}, front: {aliases: [db1]}}}}\nnetworks: {back: , front: }\n",
        &[],
    );
    let service = &group.group.services[0];
    assert_eq!(service.aliases, ["db1", "store"]);
    let known = service.alias_networks.iter().map(|(alias, known)| (alias.as_str(), &known.names[..]));
    assert_eq!(known.collect::<Vec<_>>(), [("store", &["back".to_owned()][..])]);
}

#[test]
fn a_service_is_known_by_the_names_under_which_others_link_it() {
    let group = carried(
        "ports: []",
        "runtime: {compose: {file: compose.yaml}}",
        "services: {web: {image: 'i:1', links: ['db:mysql', db]}, db: {image: 'i:1'}}\n",
        &[],
    );
    let services = &group.group.services;
    assert_eq!(services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["db", "web"]);
    assert_eq!(services[0].aliases, ["mysql"]);
    assert!(services[0].alias_networks.is_empty(), "everywhere");
}

#[test]
fn a_failure_that_others_wait_for_is_final_unless_the_file_says_otherwise() {
    let on_failure = Restart::OnFailure { most: None };
    for (given, is_one_shot, expected) in [
        (Restart::No, false, RestartPolicy::OnFailure),
        (Restart::No, true, RestartPolicy::Never),
        (on_failure, true, RestartPolicy::OnFailure),
        (Restart::Always, true, RestartPolicy::Always),
    ] {
        assert_eq!(restart(given, is_one_shot), expected, "{given:?} {is_one_shot}");
    }
}

/// The module `m` with this in its MODULE.yaml, its compose file and these files besides.
#[test]
fn no_time_to_stop_is_not_the_usual_one_and_a_check_without_a_command_keeps_its_pace() {
    let compose = "services: {a: {image: 'i:1', stop_grace_period: 0s, healthcheck: {interval: 7s}}, b: {image: 'i:1'}}";
    let group = carried("ports: []", "runtime: {compose: {file: compose.yaml}}", compose, &[]).group;
    let [a, b] = &group.services[..] else { panic!("two services") };
    assert_eq!((a.stop_timeout_ms, b.stop_timeout_ms), (1, 0));
    let health = a.health.as_ref().expect("a pace");
    assert_eq!((health.interval_ms, health.check.is_none(), b.health.is_none()), (7000, true, true));
}

fn carried(fields: &str, runtime: &str, compose: &str, others: &[&str]) -> Carried {
    let spec = ModuleSpec::parse("MODULE.yaml", &format!("name: m\nversion: 1.0.0\n{fields}\n{runtime}\n"));
    let spec = spec.unwrap_or_else(|errors| panic!("{errors}"));
    let Runtime::Compose(wanted) = &spec.runtime else { panic!("a compose module") };
    let file = wanted.file.clone();
    let paths = others.iter().map(|path| (*path).to_owned()).chain([file.clone()]).collect();
    let read = |path: &str| (path == file).then(|| compose.as_bytes().to_vec());
    let files = ComposeFiles::gather(&spec, paths, &read).unwrap_or_else(|errors| panic!("{errors}"));
    group(&spec, &files.expect("a compose module")).unwrap_or_else(|error| panic!("{error}"))
}
