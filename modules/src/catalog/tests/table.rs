//! docs/CATALOG.md lists the built-in modules; here it is kept true.

use std::fmt::Write as _;
use std::{env, fs};

use super::*;

const HEAD: &str = "\
# The catalog

The modules that are always there: `orchestrator deploy <name>`. `orchestrator module show <name>` tells what can be set.
Processes are installed by the node from Debian, PyPI or npm; containers and compose projects need Docker or Podman.
Ports are those by default; each can be set.

";

#[test]
fn the_list_of_the_catalog_is_true() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CATALOG.md");
    let wanted = table();
    if env::var_os("UPDATE_CATALOG").is_some() {
        fs::write(&place, &wanted).expect("the repository is writable");
    }
    let written = fs::read_to_string(&place).unwrap_or_default();
    assert_eq!(written, wanted, "write it anew with UPDATE_CATALOG=1");
}

fn table() -> String {
    let mut groups: BTreeMap<&str, Vec<&ModuleSpec>> = BTreeMap::new();
    for spec in specs() {
        groups.entry(spec.category.as_deref().unwrap_or_default()).or_default().push(spec);
    }
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "{} modules.", specs().count());
    for (category, specs) in groups {
        let _ = writeln!(
            text,
            "\n## {category}\n\n| module | is | runs as | port | memory | licence |\n|---|---|---|---|---|---|"
        );
        for spec in specs {
            let (name, about) = (&spec.name, &spec.description);
            let home = spec.homepage.as_deref().unwrap_or_default();
            let (memory, license) = (spec.requires.memory, spec.license.as_deref().unwrap_or_default());
            let (how, port) = (how(&spec.runtime), port(spec));
            let name = if home.is_empty() { name.to_string() } else { format!("[{name}]({home})") };
            let _ = writeln!(text, "| {name} | {about} | {how} | {port} | {memory} | {license} |");
        }
    }
    text
}

fn how(runtime: &Runtime) -> &'static str {
    match runtime {
        Runtime::Process(_) => "process",
        Runtime::Container(_) => "container",
        Runtime::Compose(_) => "compose",
        Runtime::Systemd(_) => "systemd",
    }
}

/// The first port, by default.
fn port(spec: &ModuleSpec) -> String {
    match spec.ports.first().map(|port| &port.port) {
        Some(PortNumber::Config(name)) => {
            let item = spec.config_item(name.as_str());
            item.and_then(|item| item.default.clone()).unwrap_or_default()
        }
        Some(PortNumber::Number(number)) => number.to_string(),
        Some(PortNumber::Auto) => "auto".to_owned(),
        None => String::new(),
    }
}
