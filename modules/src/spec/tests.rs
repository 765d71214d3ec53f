use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::health::Check;
use super::network::PortNumber;
use super::resolve::Secret;
use super::*;
use crate::arch::Arch;
use crate::value::ValueType;

const FULL: &str = include_str!("../../tests/full.yaml");
const SMALL: &str = "name: m\nversion: 1.0.0\nruntime: {process: {command: [./run]}}\n";

#[test]
fn every_field_is_read() {
    let spec = parse(FULL);
    assert_eq!(spec.requires.arch, [Arch::X86_64, Arch::Aarch64, Arch::Armv7]);
    assert_eq!(spec.requires.memory.0, 64 << 20);
    assert_eq!(spec.triggers, ["mqtt", "消息队列"]);
    assert_eq!(spec.ports[0].port, PortNumber::Config(ItemName::parse("port").expect("a name")));
    assert_eq!(spec.config[0].default.as_deref(), Some("1883"));
    assert_eq!((spec.config[0].kind, spec.config[1].required), (ValueType::Port, false));
    let health = spec.health.as_ref().expect("a health check");
    assert!(
        matches!(&health.check, Check::Tcp(tcp) if tcp.port.as_ref().is_some_and(|port| port.as_str() == "mqtt"))
    );
    assert_eq!((health.interval, health.retries), (Duration::from_secs(5), 3));
    let Runtime::Process(process) = &spec.runtime else { panic!("a process") };
    assert_eq!(process.command[1], "-c");
    assert_eq!(spec.actions.len(), 1);
    insta::assert_snapshot!(serde_json::to_string_pretty(&spec).expect("JSON"));
}

#[test]
fn a_spec_reads_back_what_it_writes() {
    let full_container = include_str!("../../tests/container.yaml");
    let systemd = SMALL.replace("{process: {command: [./run]}}", "{systemd: {unit: m.service}}");
    let container = SMALL.replace("{process: {command: [./run]}}", "{container: {image: m:2, env: {A: 1}}}");
    let compose =
        SMALL.replace("{process: {command: [./run]}}", "{compose: {file: compose.yaml, profiles: [a]}}");
    for text in [FULL, SMALL, full_container, &systemd, &container, &compose] {
        let spec = parse(text);
        assert_eq!(parse(&spec.to_yaml()), spec, "{}", spec.to_yaml());
        let json = serde_json::to_string(&spec).expect("JSON");
        assert_eq!(serde_json::from_str::<ModuleSpec>(&json).expect(&json), spec);
    }
}

#[test]
fn every_error_has_its_place_and_all_come_at_once() {
    let text = "\
name: Bad Name
version: 2.0
descripton: a slip
requires: {arch: [x86], memory: 64, cpu: much, capabilities: [a b]}
runtime:
  process:
    comand: [./run]
    command: [./run, [nested], 5]
    stop_timeout: 10
    env: {1A: x}
config:
  - {name: port, type: prot}
  - {name: size, type: int, default: big}
  - {type: bool, default: yes, required: no}
  - {name: mode, type: enum, default: a}
  - {name: other, values: [a]}
  - {name: pass, secret: true, default: x}
ports: web
volumes:
health: {http: {path: x}, tcp: {port: web}, interval: 0s, retries: 0}
install: [{apt: [--force]}, {run: ./a, pip: [b]}, {}]
actions: {go: {command: ./go, effect: chagne}}
update: {strategy: start_first, health_deadline: 9999d}
exclusive: 'true'
";
    insta::assert_snapshot!(errors(text));
}

#[test]
fn what_does_not_fit_together_is_an_error() {
    let text = "\
name: m
version: 1.0.0
depends: [{module: m}, {module: redis}, {module: redis}]
config:
  - {name: a-b}
  - {name: a_b}
  - {name: port, type: port, default: 80}
  - {name: port, type: int, default: 80}
ports:
  - {name: web, port: 80}
  - {name: web, port: 80}
  - {name: dns, port: \"${config.prot}\", protocol: udp}
  - {name: odd, port: \"${config.a-b}\"}
volumes:
  - {name: data, path: ../etc}
  - {name: data, path: /}
runtime: {process: {command: [../run], working_dir: a/../..}}
health: {http: {port: wbe}}
update: {strategy: start-first}
exclusive: true
";
    insta::assert_snapshot!(errors(text));
}

#[test]
fn containers_have_what_only_containers_can_have() {
    let container = "\
name: m
version: 1.0.0
config: [{name: port, type: port, default: 80}, {name: token}]
ports:
  - {name: web, port: '${config.port}'}
  - {name: admin, port: auto, target: 90, service: x}
  - {name: other, port: 90}
volumes: [{name: data, path: data}, {name: a, path: a, target: /a/}, {name: b, path: /b, target: /a}, {name: c, path: c, target: ../c}]
runtime:
  container:
    image: m:2
    load: ../image.tar
    env: {discovery.type: '${config.tokne}', 'a b': x}
    cap_add: [net_admin]
    sysctls: {x: 1}
    tmpfs: [run]
    extra_hosts: [a, 'b:host-gateway', 'c:1.2.3']
    pull_secret: token
    hostname: '${config.name}'
limits: {cpu: 0}
";
    let process = "\
name: m
version: 1.0.0
ports: [{name: web, port: 80, target: 80, service: x}]
volumes: [{name: data, path: data, target: /data, read_only: true}]
limits: {cpu: 1.5}
runtime: {process: {command: [./run]}}
";
    let closed = "\
name: m
version: 1.0.0
ports: [{name: web, port: 80}]
health: {tcp: {port: web}}
runtime: {container: {image: 'm:2', network: none}}
";
    let host = closed.replace("port: 80", "port: auto, target: 80").replace("network: none", "network: host");
    let all: Vec<String> = [container, process, closed, &host].iter().map(|text| errors(text)).collect();
    insta::assert_snapshot!(all.join("\n---\n"));
    let needed = parse(include_str!("../../tests/container.yaml")).capabilities();
    assert_eq!(needed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["gpio", "container"]);
}

#[test]
fn a_reference_to_nothing_is_an_error() {
    let text = "\
name: m
version: 1.0.0
depends: [{module: redis, version: '>=7'}]
config: [{name: level}, {name: token, secret: true}]
ports: [{name: web, port: 80}]
runtime:
  process:
    command: [./run, '${config.levle}', '${config.token}', '${port.web}', '${open', '${HOME:-x}', '$${x}', '${depends.redis.redis}']
    env: {TOKEN: '${config.token}', X: '${depends.mysql.port}'}
health: {exec: {command: [./check, '${volume.data}']}}
install: [{run: 'echo ${port.wbe}'}]
actions: {go: {command: [./go, '${args.x}', '${args.y}', '${instance.dir}'], effect: read, args: {x: {}}}}
";
    insta::assert_snapshot!(errors(text));
}

#[test]
fn a_file_that_is_no_module_is_a_clear_error() {
    let deep = format!("name: {}", "[".repeat(3000));
    let deep_block = (0..500).fold(String::new(), |text, level| text + &" ".repeat(level) + "- \n");
    let deep_map = (0..500).fold(String::new(), |text, level| text + &" ".repeat(level) + "a:\n");
    let bomb = "a: &a [x]\nb: &b [*a, *a]\nname: *b\n";
    let huge = format!("name: {}", "x".repeat(300_000));
    let wide = format!("tags: [{}]", "a,".repeat(60_000));
    let cases: &[(&str, &str)] = &[
        ("", "1:1: found an empty file, expected a map with name"),
        ("# only a comment\n", "1:1: found an empty file"),
        ("---\n...\n", "expected"),
        ("just text", "1:1: found \"just text\", expected a map"),
        ("- a\n- b\n", "1:1: found a list, expected a map"),
        ("name: a\n---\nname: b\n", "2:1: found a second document"),
        (
            "name: a\nname: b\n",
            "2:1: name: found \"name\" a second time, expected it once; the first is in line 1",
        ),
        ("name: [a\n", "found broken YAML"),
        ("name: \"a\n", "found broken YAML"),
        ("name: a\n\tversion: 1\n", "2:1: name: found a tab that indents, expected YAML; indent with spaces"),
        ("name: a\0b\n", "1:8: found the control character '\\0', expected text"),
        ("name: !!str a\n", "1:7: name: found a tag"),
        ("{---", "found broken YAML"),
        ("? [a, b]\n: c\n", "found a list as a key"),
        (bomb, "1:4: a: found an anchor"),
        (bomb, "2:8: b[0]: found an alias"),
        (&deep, "found broken YAML (recursion limit exceeded)"),
        (&deep_block, "found deeper nesting, expected at most 24 levels"),
        (&deep_map, "found deeper nesting, expected at most 24 levels"),
        (&huge, "1:1: found a file of 300006 bytes, expected at most 262144 bytes"),
        (&wide, "found more values, expected at most 20000"),
        ("runtime: null\nname: ~\nversion:\n", "2:7: name: found nothing, expected a module's name"),
    ];
    for (text, says) in cases {
        let begun = Instant::now();
        let errors = errors(text);
        assert!(errors.contains(says), "{:?}: {errors}", &text[..text.len().min(80)]);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?} took too long", &text[..text.len().min(80)]);
    }
    let error = ModuleSpec::parse_bytes("MODULE.yaml", b"name: a\nversion: \xff\n")
        .expect_err("not UTF-8")
        .to_string();
    assert_eq!(error, "MODULE.yaml:2:10: found the byte 0xff, expected UTF-8; save the file as UTF-8");
}

#[test]
fn the_odd_ways_to_write_a_good_file_are_read() {
    let base = parse(SMALL);
    assert_eq!(parse(&format!("\u{feff}{SMALL}")), base);
    assert_eq!(parse(&SMALL.replace('\n', "\r\n")), base);
    assert_eq!(parse(&format!("---\n{SMALL}...\n")), base);
    let typed = parse(
        "name: no\nversion: 1.10.0\ntags: [no, 1e3, 08, 0x1F, null-x, 1.10]\nlicense: 0BSD\n\
         runtime: {process: {command: [./run, -p, 08, 1.10, true, 'null'], env: {A: 1, B: no, C: 0o7}}}\n",
    );
    assert_eq!(typed.tags, ["no", "1e3", "08", "0x1F", "null-x", "1.10"]);
    let Runtime::Process(process) = typed.runtime else { panic!("a process") };
    assert_eq!(process.command, ["./run", "-p", "08", "1.10", "true", "null"]);
    assert_eq!(process.env.values().collect::<Vec<_>>(), ["1", "no", "0o7"]);
}

#[test]
fn config_is_resolved_from_what_is_set_and_the_defaults() {
    let spec = parse(&format!(
        "{SMALL}config:\n- {{name: port, type: port, default: auto}}\n- {{name: level, type: enum, values: [low, high]}}\n\
         - {{name: token, secret: true}}\n- {{name: note, required: false}}\n- {{name: key, secret: true, required: false}}\n"
    ));
    let text = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>()
    };
    let secrets =
        |pairs| text(pairs).into_iter().map(|(k, v)| (k, Secret::new(v))).collect::<BTreeMap<_, _>>();
    let resolved =
        spec.resolve_config(&text(&[("level", "low")]), &secrets(&[("token", "t0p")])).expect("resolves");
    assert_eq!(resolved.values, text(&[("level", "low"), ("note", ""), ("port", "auto")]));
    assert_eq!(resolved.secrets, secrets(&[("key", ""), ("token", "t0p")]));
    assert!(!format!("{resolved:?}").contains("t0p"));

    let cases: [(Pairs, Pairs, &str, &str); 6] = [
        (&[("token", "x")], &[], "config \"token\" is a secret", "--secret token=-"),
        (&[], &[("level", "low")], "config \"level\" is not a secret", "--set level=VALUE"),
        (&[("prot", "1")], &[], "has no config \"prot\"; it has port, level", "did you mean \"port\"?"),
        (&[("port", "70000")], &[], "found \"70000\", expected a port from 1 to 65535, or auto", ""),
        (&[("level", "mid")], &[], "expected one of low, high", ""),
        (&[], &[], "config \"level\" is required\nsecret \"token\" is required", "--set level=VALUE"),
    ];
    for (set, given, says, hints) in cases {
        let errors = spec.resolve_config(&text(set), &secrets(given)).expect_err(says);
        assert!(errors.to_string().contains(says), "{errors}");
        assert!(errors.hint().unwrap_or_default().contains(hints), "{:?}", errors.hint());
    }
}

#[test]
fn the_schema_file_is_in_step_with_the_types() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/module.schema.json");
    let schema = serde_json::to_string_pretty(&json_schema()).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(file, &schema).expect("writes");
    }
    let kept = std::fs::read_to_string(file).unwrap_or_default();
    assert!(kept == schema, "module.schema.json is out of step; run the tests with UPDATE_SCHEMA=1");
}

type Pairs = &'static [(&'static str, &'static str)];

fn parse(text: &str) -> ModuleSpec {
    ModuleSpec::parse("MODULE.yaml", text).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn errors(text: &str) -> String {
    ModuleSpec::parse("MODULE.yaml", text).expect_err("is refused").to_string()
}
