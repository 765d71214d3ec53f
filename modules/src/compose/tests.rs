use std::collections::BTreeMap;
use std::fmt::Write;

use super::model::HostPort;
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
