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
        ("services: {a: {image: i, gpus: all}}", "found a reserved GPU"),
        (
            "services: {a: {image: i, deploy: {replicas: 3}}}",
            "found 3 replicas, expected 1; give the count to the deployment",
        ),
        ("services: {a: {image: i, command: \"sh -c 'x\"}}", "found a quote ' that is not closed"),
        (
            "services: {a: {image: i, image: j}}",
            "found \"image\" a second time, expected it once; the first is in line 1",
        ),
        ("services: {a: {<<: x, image: i}}", "services.a.<<: found \"x\", expected a map"),
        ("services: {a: &a {image: *a}}", "found an alias inside what it stands for"),
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
            "more/compose.yaml" => "services: {db: {image: p, env_file: db.env, volumes: [./data:/data]}}",
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
    assert_eq!(db.env, values(&[("A", "x\ny"), ("B", "$A"), ("C", "x\ny"), ("D", "1"), ("E", "")]));
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
