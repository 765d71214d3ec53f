use std::collections::BTreeMap;
use std::fmt::Write;

use super::model::HostPort;
use super::model::Project;
use super::*;

/// What people's files have, in one file.
const APP: &str = include_str!("../../tests/compose/app.yaml");

#[test]
fn a_usual_file_becomes_typed_services_in_start_order() {
    let env = values(&[("WEB_PORT", "${port.web}"), ("DB_PASSWORD", "${config.password}")]);
    let files =
        |path: &str| (path == "app.env").then(|| b"# comment\nFROM_FILE='a b' # rest\nTZ=UTC\n".to_vec());
    let source = Source { file: "app.yaml", text: APP.as_bytes(), files: &files, env: &env, profiles: &[] };
    let project = parse(&source).unwrap_or_else(|errors| panic!("{errors}"));
    insta::assert_snapshot!(describe(&project));
}

#[test]
fn ports_are_read_in_every_spelling() {
    let cases = [
        ("80", "*:? -> 80/tcp"),
        ("8080:80", "*:8080 -> 80/tcp"),
        ("53:53/udp", "*:53 -> 53/udp"),
        ("127.0.0.1:8001:8001", "127.0.0.1:8001 -> 8001/tcp"),
        ("127.0.0.1::80", "127.0.0.1:? -> 80/tcp"),
        ("[::1]:6443:6443", "::1:6443 -> 6443/tcp"),
        ("3000-3002:4000-4002", "*:3000 -> 4000/tcp, *:3001 -> 4001/tcp, *:3002 -> 4002/tcp"),
        ("9000-9010:80", "*:9000-9010 -> 80/tcp"),
        ("${port.web}:80/tcp", "*:${port.web} -> 80/tcp"),
        ("0.0.0.0:${port.dns}:53/udp", "0.0.0.0:${port.dns} -> 53/udp"),
        ("0:80", "*:? -> 80/tcp"),
        ("0", "\"0\" is no port"),
        ("65536:80", "no port from 1 to 65535"),
        ("80:80/sctp", "neither tcp nor udp"),
        ("1-3:1-2", "same size"),
        ("5-3:80", "runs backwards"),
        ("::1:80:80", "IPv6 address needs brackets"),
        ("web:80", "is no port"),
        ("1.2.3:80:80", "no IP address"),
        ("80:${port.web}", "only the port on the node can be a reference"),
    ];
    for (text, expected) in cases {
        let got = match ports::parse(text) {
            Ok(port) => port_text(&port),
            Err(hint) => hint,
        };
        assert!(got == expected || got.contains(expected) && !got.contains("->"), "{text}: {got}");
    }
}

#[test]
fn variables_stand_for_what_the_shell_says() {
    let cases = [
        ("$SET", "value"),
        ("${SET}", "value"),
        ("${SET:-d}", "value"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${NONE-d}", "d"),
        ("${NONE:-${SET}}", "value"),
        ("${NONE:-a ${NONE:-${SET}-b} c}", "a value-b c"),
        ("${NONE:-}", ""),
        ("${SET:+yes}", "yes"),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${NONE+yes}", ""),
        ("${SET:?why}", "value"),
        ("${EMPTY?why}", ""),
        ("$$SET", "$SET"),
        ("$${SET}", "$${SET}"),
        ("a$$", "a$"),
        ("${REF}:80", "${port.web}:80"),
        ("${NONE:-${config.x}}", "${config.x}"),
        ("${port.web}", "${port.web}"),
        ("$$${BRACE}", "$${x}"),
        ("${SET}$SET", "valuevalue"),
        ("$SET-x", "value-x"),
        ("${NONE}", "error: found ${NONE}, which has no value, expected a variable that is set"),
        ("$SETT", "did you mean ${SET}?"),
        ("${EMPTY:?give me}", "expected a variable that the file requires; give me"),
        ("$", "found \"$\", expected a variable"),
        ("$1", "write $$ for a literal $"),
        ("${a b}", "found \"${a b}\""),
        ("${SET", "found \"${SET\""),
        ("${SET!x}", "found \"${SET!x}\""),
        ("$$${REF}", "right before a reference"),
    ];
    let env = values(&[("SET", "value"), ("EMPTY", ""), ("REF", "${port.web}"), ("BRACE", "{x}")]);
    for (text, expected) in cases {
        let file = format!("services: {{a: {{image: i, working_dir: 'x{text}'}}}}");
        let source = Source { env: &env, ..Source::alone("c.yaml", file.as_bytes()) };
        let got = match parse(&source) {
            Ok(project) => project.services[0].working_dir.clone().unwrap_or_default()[1..].to_owned(),
            Err(errors) => format!("error: {}", errors.errors[0]),
        };
        assert!(
            got == expected
                || got.starts_with("error: ") && got.contains(expected.trim_start_matches("error: ")),
            "{text}: {got}"
        );
    }
}

#[test]
fn anchors_and_merge_keys_bring_what_the_map_does_not_say() {
    let text = "
x-a: &a {restart: always, environment: &env {A: '1', B: '2'}}
x-b: &b {restart: 'no', user: '7'}
services:
  one: {<<: *a, image: i}
  two: {<<: [*a, *b], image: i, environment: {<<: *env, B: '3'}}
";
    let project = strict(text).expect("good");
    let [one, two] = &project.services[..] else { panic!("two services") };
    assert_eq!((one.restart, &one.env["B"]), (model::Restart::Always, &"2".to_owned()));
    assert_eq!((two.restart, two.user.as_deref()), (model::Restart::Always, Some("7")));
    assert_eq!((&two.env["A"], &two.env["B"]), (&"1".to_owned(), &"3".to_owned()));
    // What comes from an anchor keeps the place where it is written.
    let at = project.origin("services.one.environment.A").expect("known").place;
    assert_eq!((at.line, at.column), (2, 46));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_to_write() {
    let cases = [
        ("", "c.yaml:1:1: found an empty file"),
        ("a: [", "c.yaml:2:1: a[0]: found broken YAML"),
        (
            "services: {a: {image: i, ports: '80'}}",
            "c.yaml:1:33: services.a.ports: found \"80\", expected a list; write [80]",
        ),
        ("services: {a: {imag: i}}", "services.a.imag: found the unknown key \"imag\""),
        ("services: {a: {imag: i}}", "did you mean \"image\"?"),
        (
            "services: {a: {build: .}}",
            "services.a.build: found a service that needs building, expected an image",
        ),
        ("services: {a: {image: 'Not An Image'}}", "services.a.image: found \"Not An Image\""),
        (
            "web: {image: i}",
            "c.yaml:1:1: web: found the service \"web\", expected services below `services:`",
        ),
        (
            "services: {a: {image: i, depends_on: [b]}, b: {image: i, depends_on: {c: }}, c: {image: i, depends_on: [a]}}",
            "found the cycle a → b → c → a",
        ),
        (
            "services: {a: {image: i, depends_on: [bb]}, bc: {image: i}}",
            "c.yaml:1:39: services.a.depends_on: found the unknown service \"bb\", expected a service of this file; did you mean \"bc\"?",
        ),
        ("services: {a: {extends: b}, b: {extends: {service: a}}}", "found the cycle a → b → a"),
        (
            "services: {a: {image: i, volumes: ['date:/x']}}\nvolumes: {data: }",
            "services.a.volumes[0]: found the unknown \"date\", expected one of the file's volumes; did you mean \"data\"?",
        ),
        ("services: {a: {image: i, networks: [x]}}", "services.a.networks.x: found the unknown \"x\""),
        ("services: {a: {image: i, restart: on-falure}}", "did you mean \"on-failure\"?"),
        ("services: {a: {image: i, mem_limit: 12q}}", "unknown unit \"q\"; expected b, k, m or g"),
        ("services: {a: {image: i, healthcheck: {interval: 10}}}", "a number without unit; write 10s"),
        (
            "services: {a: {image: i, healthcheck: {test: [curl, x]}}}",
            "found a list that begins with \"curl\"",
        ),
        (
            "services: {a: {image: i, privileged: maybe}}",
            "services.a.privileged: found \"maybe\", expected true or false",
        ),
        ("services: {a: {image: i, volumes: [./x:y]}}", "expected an absolute path in the container"),
        ("services: {a: {image: i, volumes: [../../x:/y]}}", "which leads out of the folder"),
        ("services: {a: {image: i, volumes: ['~/x:/y']}}", "nobody is at home on a node"),
        ("services: {a: {image: i, env_file: nope.env}}", "found the file \"nope.env\", which is missing"),
        (
            "services: {a: {image: i, env_file: /etc/passwd}}",
            "expected a file in the folder of the compose file",
        ),
        (
            "services: {a: {image: i, env_file: [{path: x, format: dotenv}]}}",
            "services.a.env_file[0].format: found \"dotenv\", expected raw",
        ),
        ("services: {a: {image: i, gpus: all}}", "found a reserved GPU"),
        ("services: {a: {image: i, deploy: {replicas: 0}}}", "found 0 replicas, expected at least 1"),
        ("services: {a: {image: i, scale: 99}}", "at most 32; more of all services"),
        (
            "services: {a: {image: i, scale: 2, ports: ['80:80']}}",
            "services.a.ports[0]: found a port of the node, expected nothing that only one of 2 containers can have",
        ),
        ("services: {a: {image: i, scale: 2, container_name: x}}", "found a name of its own"),
        ("services: {a: {image: i, dns: dns.example}}", "expected the address of a name server"),
        (
            "services: {a: {image: i, networks: {x: {ipv4_address: 10.9.0.5}}}}\nnetworks: {x: }",
            "services.a.networks.x.ipv4_address: found 10.9.0.5, where the network \"x\" has no such subnet",
        ),
        (
            "services: {a: {image: i, networks: {x: {ipv4_address: 10.9.1.5}}}}\nnetworks: {x: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}",
            "found 10.9.1.5, expected an address of 10.9.0.0/24",
        ),
        (
            "services: {a: {image: i, networks: {x: {ipv4_address: 10.9.0.1}}}}\nnetworks: {x: {ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1}]}}}",
            "found 10.9.0.1, the gateway of the network \"x\"",
        ),
        (
            "services: {a: {image: i, networks: &n {x: {ipv4_address: 10.9.0.5}}}, b: {image: i, networks: *n}}\nnetworks: {x: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}",
            "found 10.9.0.5, which service a has, expected an address of its own",
        ),
        (
            "services: {a: {image: i, networks: {x: {ipv4_address: ten}}}}",
            "found \"ten\", expected an address such as",
        ),
        (
            "services: {a: {image: i}}\nnetworks: {x: {ipam: {config: [{subnet: 10.9.0.7/24}]}}}",
            "networks.x.ipam.config[0].subnet: found \"10.9.0.7/24\", expected addresses such as 172.28.0.0/24; the block that holds it is 10.9.0.0/24",
        ),
        (
            "services: {a: {image: i}}\nnetworks: {x: {driver: host}}",
            "write \"network_mode: host\" in the service",
        ),
        (
            "services: {a: {image: i}}\nnetworks: {x: {driver: weave}}",
            "expected one of bridge, macvlan, ipvlan",
        ),
        (
            "services: {a: {image: i}}\nvolumes: {x: {driver_opts: {type: nfs, o: 'addr=n', device: ':/x'}}}",
            "mount it on the nodes, and name the path in the services",
        ),
        ("services: {a: {image: i}}\nvolumes: {x: {driver: rclone}}", "volumes.x.driver: found \"rclone\""),
        (
            "services: {a: {image: i, volumes: [{type: volume, source: x, target: /x, volume: {subpath: ../y}}]}}\nvolumes: {x: }",
            "volume.subpath: found \"../y\", expected a path inside the volume",
        ),
        (
            "services: {a: {image: i, volumes: ['x:/x:rshared']}}\nvolumes: {x: }",
            "found the mode \"rshared\"",
        ),
        (
            "services: {a: {image: i}}\nsecrets: {x: {driver: vault, file: ./x}}",
            "secrets.x.driver: found \"vault\"",
        ),
        ("services: {a: {image: i, command: \"sh -c 'x\"}}", "found a quote ' that is not closed"),
        (
            "services: {a: {image: i, image: j}}",
            "found \"image\" a second time, expected it once; the first is in line 1",
        ),
        ("services: {a: {<<: x, image: i}}", "services.a.<<: found \"x\", expected a map"),
        ("services: {a: &a {image: *a}}", "found an alias inside what it stands for"),
        (
            "services: {a: {image: i, links: ['b:c']}, b: {image: i}, c: {image: i}}",
            "services.a.links[0]: found the alias \"c\", which is another service's name",
        ),
        ("services: {a: {image: i, links: ['b:']}, b: {image: i}}", "services.a.links[0]: found \"b:\""),
        ("services: {a: {image: i, volumes_from: [b]}}", "services.a.volumes_from: found \"volumes_from\""),
        ("services: {}", "services: found no service"),
        ("services: {a: {image: i, profiles: [x]}}", "services: found no service"),
        (
            "services:\n\ta: {image: i}",
            "c.yaml:2:1: services: found a tab that indents, expected YAML; indent with spaces",
        ),
        ("include: [c.yaml]\nservices: {a: {image: i}}", "found the file \"c.yaml\", which is missing"),
    ];
    let mut wrong = String::new();
    for (text, says) in cases {
        let found = strict(text).expect_err(text).to_string();
        if !found.contains(says) {
            wrong += &format!("{text}\n  expected {says}\n  {found}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn bombs_and_monsters_are_refused_quickly() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    let grows = "services: {a: {image: i, working_dir: '".to_owned() + &"$X".repeat(2000) + "'}}";
    let env = values(&[("X", &"x".repeat(10_000))]);
    let cases = [
        (bomb, "an alias that makes more than 50000 values"),
        (" ".repeat(50 << 20), "a file of 52428800 bytes, expected at most 1048576 bytes"),
        ("[".repeat(100_000), "recursion limit exceeded"),
        (format!("{}x", "- ".repeat(50_000)), "deeper nesting"),
        (grows, "a text that grows too large"),
        (
            format!("services: {{a: {{image: i, user: '{}'}}}}", "${X:-".repeat(5000)),
            "expected a variable such as",
        ),
    ];
    for (text, says) in cases {
        let source = Source { env: &env, ..Source::alone("c.yaml", text.as_bytes()) };
        let found = parse(&source).expect_err(says).to_string();
        assert!(found.contains(says), "{says}: {found}");
        read(&source);
    }
}

#[test]
fn addresses_volumes_and_replicas_are_read_as_they_are_written() {
    let text = "
services:
  web:
    image: i
    dns: 9.9.9.9
    dns_search: [lan]
    dns_opt: ['ndots:2']
    extra_hosts: ['db:10.0.0.2', host.docker.internal=host-gateway]
    networks: {lan: {ipv4_address: 10.9.0.5, ipv6_address: 'fd00:9::5'}}
    volumes:
      - {type: volume, source: data, target: /up, volume: {subpath: a/./b, nocopy: true}}
      - 'media:/media:ro'
      - '/mnt:/mnt:rslave'
  worker: {image: i, deploy: {replicas: 3}}
networks:
  lan:
    driver: macvlan
    driver_opts: {parent: eth0}
    enable_ipv6: true
    ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1, ip_range: 10.9.0.128/25, aux_addresses: {printer: 10.9.0.9}}, {subnet: 'fd00:9::/64'}]}
volumes:
  data:
  media: {driver_opts: {type: none, o: bind, device: /srv/media}}
";
    let project = strict(text).unwrap_or_else(|errors| panic!("{errors}"));
    let web = project.service("web").expect("there");
    assert_eq!(
        (&web.dns, &web.dns_search, &web.dns_opt),
        (&vec!["9.9.9.9".into()], &vec!["lan".into()], &vec!["ndots:2".into()])
    );
    assert_eq!(web.extra_hosts, ["db:10.0.0.2", "host.docker.internal:host-gateway"]);
    let joined = &web.networks[0];
    assert_eq!((joined.ipv4.as_deref(), joined.ipv6.as_deref()), (Some("10.9.0.5"), Some("fd00:9::5")));
    let [part, media, shared] = &web.mounts[..] else { panic!("three mounts") };
    assert_eq!((part.subpath.as_deref(), part.no_copy), (Some("a/b"), true));
    assert_eq!(media.source, model::MountSource::Absolute("/srv/media".to_owned()));
    assert_eq!(shared.propagation.as_deref(), Some("rslave"));
    assert_eq!(project.service("worker").expect("there").replicas, Some(3));
    let lan = &project.networks["lan"];
    assert_eq!((lan.driver.as_deref(), lan.has_ipv6, lan.pools.len()), (Some("macvlan"), true, 2));
    let pool = &lan.pools[0];
    assert_eq!((pool.gateway.as_deref(), pool.range.as_deref()), (Some("10.9.0.1"), Some("10.9.0.128/25")));
    assert_eq!(pool.taken, values(&[("printer", "10.9.0.9")]));
    assert_eq!(project.notes, []);
}

#[test]
fn what_is_left_out_is_noted() {
    let text = "
services:
  a:
    image: i
    restart: on-failure:5
    volumes: ['/x:/x:z', {type: bind, source: /y, target: /y, bind: {create_host_path: false}}]
    secrets: [{source: s, mode: 0400}]
networks: {n: {name: fixed, attachable: true, driver: overlay}}
volumes: {v: {name: fixed, labels: {a: b}}}
secrets: {s: {file: ./s, labels: {a: b}}}
";
    let project = strict(text).unwrap_or_else(|errors| panic!("{errors}"));
    let notes: Vec<&str> = project.notes.iter().map(|note| note.field.as_str()).collect();
    assert_eq!(
        notes,
        [
            "services.a.restart",
            "services.a.volumes[0]",
            "services.a.volumes[1].bind.create_host_path",
            "services.a.secrets[0]",
            "networks.n.name",
            "networks.n.attachable",
            "networks.n.driver",
            "volumes.v.name",
            "volumes.v.labels",
            "secrets.s.labels",
        ]
    );
}

#[test]
fn an_override_beside_the_file_is_laid_over_it() {
    let main = "
services:
  web:
    image: web:1
    command: [a]
    environment: {A: '1', B: '1'}
    ports: ['80:80']
    volumes: ['./d:/d', 'data:/data']
    depends_on: [db]
    dns: 9.9.9.9
  # A service may be called as a key is.
  command: {image: c, environment: [X=1], user: '1'}
  db: {image: db}
volumes: {data: }
";
    let over = "
services:
  web:
    command: [b]
    environment: [B=2]
    ports: ['81:81']
    volumes: ['./e:/d']
    depends_on: {command: {condition: service_healthy}}
    dns: [1.1.1.1]
  command: {environment: {Y: '2'}}
  db: {image: 'db:2'}
  extra: {image: e}
volumes: {more: }
";
    let read = |name: &str, beside: &[&str]| {
        let files = |path: &str| beside.contains(&path).then(|| over.as_bytes().to_vec());
        parse(&Source { files: &files, ..Source::alone(name, main.as_bytes()) })
            .unwrap_or_else(|errors| panic!("{errors}"))
    };
    let project =
        read("app/docker-compose.yml", &["app/compose.override.yaml", "app/docker-compose.override.yml"]);
    let web = project.service("web").expect("there");
    assert_eq!(
        (web.command.as_deref(), &web.dns[..]),
        (Some(&["b".to_owned()][..]), &["9.9.9.9".to_owned(), "1.1.1.1".to_owned()][..])
    );
    assert_eq!(web.env, values(&[("A", "1"), ("B", "2")]));
    assert_eq!(web.ports.iter().map(port_text).collect::<Vec<_>>(), ["*:80 -> 80/tcp", "*:81 -> 81/tcp"]);
    let sources: Vec<&model::MountSource> = web.mounts.iter().map(|mount| &mount.source).collect();
    assert_eq!(
        sources,
        [&model::MountSource::Relative("app/e".into()), &model::MountSource::Named("data".into())]
    );
    assert_eq!(web.depends_on.len(), 2);
    let command = project.service("command").expect("there");
    assert_eq!((&command.env, command.user.as_deref()), (&values(&[("X", "1"), ("Y", "2")]), Some("1")));
    assert_eq!(project.service("db").expect("there").image.as_deref(), Some("db:2"));
    assert!(project.service("extra").is_some() && project.volumes.contains_key("more"));
    let notes: Vec<String> = project.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "app/compose.override.yaml:1:1: is laid over app/docker-compose.yml",
            "app/docker-compose.override.yml:1:1: is not read: compose.override.yaml is there, too",
        ]
    );
    // Only a file with a usual name has one.
    assert!(read("app/stack.yml", &["app/compose.override.yaml"]).service("extra").is_none());
}

#[test]
fn services_come_from_other_files_of_the_same_set() {
    let main = "
include: [more/compose.yaml]
services:
  web:
    extends: {file: base.yaml, service: common}
    environment: [B=2]
    ports: ['81:81']
    command: !reset null
";
    let files = |path: &str| {
        let text = match path {
            "base.yaml" => {
                "services: {common: {image: i, command: x, environment: {A: '1', B: '1'}, ports: ['80:80'], volumes: ['./d:/d']}}"
            }
            "more/compose.yaml" => {
                "services: {db: {image: p, env_file: [db.env, {path: raw.env, format: raw}], volumes: [./data:/data]}}"
            }
            "more/raw.env" => "# no\nHASH=$2a$10$abc${x}\nQ=\"q\" # said\n",
            "more/db.env" => "export A=\"x\ny\"\nB='$A'\nC=${A:-z}\n# no\nD=1 # one\nE=",
            _ => return None,
        };
        Some(text.as_bytes().to_vec())
    };
    let project = parse(&Source { files: &files, ..Source::alone("compose.yaml", main.as_bytes()) });
    let project = project.unwrap_or_else(|errors| panic!("{errors}"));
    let web = project.service("web").expect("there");
    assert_eq!((web.image.as_deref(), web.command.as_deref()), (Some("i"), None));
    assert_eq!(web.env, values(&[("A", "1"), ("B", "2")]));
    assert_eq!(web.ports.iter().map(port_text).collect::<Vec<_>>(), ["*:80 -> 80/tcp", "*:81 -> 81/tcp"]);
    let db = project.service("db").expect("there");
    let raw = [("HASH", "$2a$10$abc$${x}"), ("Q", "\"q\" # said")];
    let read = [("A", "x\ny"), ("B", "$A"), ("C", "x\ny"), ("D", "1"), ("E", "")];
    assert_eq!(db.env, values(&[&read[..], &raw[..]].concat()));
    assert_eq!(db.mounts[0].source, model::MountSource::Relative("more/data".to_owned()));
}

#[test]
fn a_fence_of_a_readme_gives_what_can_be_read() {
    let text = "
web:
  image: ghcr.io/example/web
  ports:
    - 8080:80
    - 22:22
    - nonsense:port
  environment:
    TOKEN: $TOKEN
    HOST: ${HOST:-localhost}
  volumes: [data:/data, ~/conf:/conf]
  gpus: all
  restart: yes
} broken
db:
  build: ./db
";
    let project = read(&Source::alone("README.md", text.as_bytes()));
    let web = project.service("web").expect("there");
    assert_eq!(web.ports.iter().map(port_text).collect::<Vec<_>>(), ["*:8080 -> 80/tcp", "*:22 -> 22/tcp"]);
    assert_eq!((web.mounts.len(), web.env["HOST"].as_str()), (2, "localhost"));
    assert_eq!(project.origin("services.web.ports[1]").expect("known").place.line, 6);
    assert_eq!(project.service("db").expect("there").build.as_ref().expect("built").context, "./db");
    let names: Vec<(&str, Option<&str>)> =
        project.variables.iter().map(|v| (v.name.as_str(), v.default.as_deref())).collect();
    assert_eq!(names, [("TOKEN", None), ("HOST", Some("localhost"))]);
    let notes: Vec<String> = project.notes.iter().map(ToString::to_string).collect();
    let notes = notes.join("\n");
    for says in [
        "README.md:14:1: ",
        "README.md:6:7: services.web.ports[1]: is read as \"22:22\"; quote it",
        "number 1342",
        "README.md:7:7",
        "reserved GPU",
        "needs building",
    ] {
        assert!(notes.contains(says), "{says}: {notes}");
    }
}

/// A line each, for comparing.
fn describe(project: &Project) -> String {
    let mut text = String::new();
    for service in &project.services {
        let _ = writeln!(text, "{service:#?}");
        let ports: Vec<String> = service.ports.iter().map(port_text).collect();
        let _ = writeln!(text, "ports of {}: {}", service.name, ports.join("; "));
    }
    let _ = writeln!(text, "volumes {:?}\nnetworks {:?}", project.volumes, project.networks);
    let _ = writeln!(text, "secrets {:?}\nconfigs {:?}", project.secrets, project.configs);
    for variable in &project.variables {
        let uses: Vec<&str> = variable.uses.iter().map(|used| used.field.as_str()).collect();
        let _ = writeln!(text, "variable {} {:?} in {}", variable.name, variable.default, uses.join(", "));
    }
    for note in &project.notes {
        let _ = writeln!(text, "note {note}");
    }
    text
}

fn port_text(port: &model::Port) -> String {
    let ip = port.host_ip.as_deref().unwrap_or("*");
    let pairs = port.pairs().into_iter().map(|(host, container)| {
        let host = match host {
            HostPort::Any => "?".to_owned(),
            HostPort::Numbers(first, last) if first == last => first.to_string(),
            HostPort::Numbers(first, last) => format!("{first}-{last}"),
            HostPort::Reference(text) => text,
        };
        format!("{ip}:{host} -> {container}/{}", port.protocol.as_str())
    });
    pairs.collect::<Vec<_>>().join(", ")
}

fn strict(text: &str) -> Result<Project, SpecErrors> {
    parse(&Source::alone("c.yaml", text.as_bytes()))
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
