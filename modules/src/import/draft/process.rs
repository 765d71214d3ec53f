//! Drafts with runtime process or systemd: packages, binaries, scripts.

use serde_json::{Value, json};

use super::{Drafting, item_name};
use crate::import::provenance::Warning;
use crate::import::routes::{Method, Route};
use crate::import::supplement::{self, Unit};
use crate::import::words::Topic;

pub fn python(drafting: &mut Drafting<'_>, route: &Route) {
    let package = route.package.clone().unwrap_or_default();
    let mut packages = vec![package.clone()];
    if route.method == Method::Pip {
        packages.extend(beside(&route.command, &package));
    }
    install(drafting, vec![json!({"pip": packages})]);
    capability(drafting, "python3");
    pin(drafting, &package, &["==", "~=", ">="]);
    run(drafting, bare(&package));
}

/// What `pip install` names behind the project's own package: what it runs with.
fn beside(command: &str, package: &str) -> Vec<String> {
    let is_name = |word: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-[],=<>~!".contains(c);
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(plain)
            && ![".txt", ".whl", ".gz", ".zip"].iter().any(|end| word.ends_with(end))
    };
    let words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    let after = words.skip_while(|word| *word != package).skip(1);
    after.take_while(is_name).map(str::to_owned).collect()
}

pub fn node(drafting: &mut Drafting<'_>, route: &Route) {
    let package = route.package.clone().unwrap_or_default();
    install(drafting, vec![json!({"npm": [package]})]);
    capability(drafting, "node");
    pin(drafting, package.trim_start_matches('@'), &["@"]);
    let program = bare(&package).rsplit('/').next().unwrap_or_default().to_owned();
    run(drafting, &program);
}

pub fn cargo(drafting: &mut Drafting<'_>, route: &Route) {
    let package = route.package.clone().unwrap_or_default();
    let from: Vec<&str> =
        route.command.split_whitespace().skip_while(|word| *word != "--git").take(2).collect();
    let mut words = vec!["cargo", "install", "--locked", "--root", "."];
    if from.len() == 2 {
        words.extend(from)
    } else {
        words.push(bare(&package))
    }
    install(drafting, vec![json!({"run": words})]);
    capability(drafting, "cargo");
    drafting.warn("install", "it is compiled on the node, which takes time and memory");
    run(drafting, bare(&package));
}

pub fn go(drafting: &mut Drafting<'_>, route: &Route) {
    let path = route.package.clone().unwrap_or_default();
    let script = format!("GOBIN=\"$PWD/bin\" go install {path}@latest");
    install(drafting, vec![json!({"run": script})]);
    capability(drafting, "go");
    let program =
        path.rsplit('/').find(|part| !part.starts_with('v') || part.len() > 3).unwrap_or_default().to_owned();
    run(drafting, &program);
}

pub fn apt(drafting: &mut Drafting<'_>, route: &Route) {
    let package = route.package.clone().unwrap_or_default();
    capability(drafting, "apt");
    let adds = drafting.reading.commands.iter().find(|placed| {
        placed.value.text.contains("sources.list") || placed.value.program() == "add-apt-repository"
    });
    if let Some(placed) = adds {
        let warning = Warning::at(
            "install",
            "it comes from a package source that has to be added first; add it to the node by hand",
            &placed.origin,
        );
        drafting.warnings.push(warning);
    }
    // A file of a package is no name that the node's sources know.
    if package.is_empty() || package.contains('/') || package.ends_with(".deb") {
        return source(drafting, Some(route));
    }
    install(drafting, vec![json!({"apt": [bare(&package)]})]);
    let controls = drafting.reading.commands.iter().any(|placed| placed.value.program() == "systemctl");
    if controls {
        drafting.put("runtime", json!({"systemd": {"unit": format!("{}.service", bare(&package))}}));
        drafting.warn("runtime.systemd", "the name of the unit is that of the package; nothing says it");
        return;
    }
    run(drafting, bare(&package));
}

pub fn binary(drafting: &mut Drafting<'_>, route: &Route) {
    let url = route
        .command
        .split_whitespace()
        .find(|word| word.contains("://"))
        .map(|url| url.trim_matches(['"', '\'']).to_owned());
    let program = item_name(&drafting.facts.name.value);
    match url.filter(|url| !url.contains(['$', '<', '{', '*'])) {
        Some(url) => {
            let script = fetch(&url, &program);
            install(drafting, vec![json!({"run": script})]);
            capability(drafting, "internet");
            drafting.warnings.push(Warning::at(
                "install",
                "a binary is downloaded without a check of its content",
                &route.origin,
            ));
        }
        None => {
            let text =
                format!("the text names no address for the binary: put it into the package as ./{program}");
            drafting.warnings.push(Warning::at("install", text, &route.origin));
            install(drafting, vec![brought_along(&program)]);
        }
    }
    run(drafting, &format!("./{program}"));
}

fn fetch(url: &str, program: &str) -> String {
    match () {
        () if url.ends_with(".tar.gz") || url.ends_with(".tgz") => format!("curl -fsSL '{url}' | tar -xz"),
        () if url.ends_with(".tar.xz") => format!("curl -fsSL '{url}' | tar -xJ"),
        () if url.ends_with(".zip") => format!("curl -fsSL -o download.zip '{url}' && unzip -o download.zip"),
        () => format!("curl -fsSL -o {program} '{url}' && chmod +x {program}"),
    }
}

pub fn script(drafting: &mut Drafting<'_>, route: &Route) {
    install(drafting, vec![json!({"run": route.command})]);
    let text =
        "the text installs by a script from the net, which may do anything; read it before you accept it";
    drafting.warnings.push(Warning::at("install", text, &route.origin));
    capability(drafting, "internet");
    let program = item_name(&drafting.facts.name.value);
    run(drafting, &program);
}

/// Neither package nor image: a person has to finish it.
pub fn source(drafting: &mut Drafting<'_>, route: Option<&Route>) {
    let text = match route.map(|route| route.method) {
        Some(Method::Compose | Method::ComposeFileOnly) => {
            "the compose file that the text starts is not at hand: import the repository itself, or put the file in"
        }
        Some(Method::Brew | Method::Package) => {
            "only packages of systems that nodes do not have: put a binary for the node into the package"
        }
        Some(_) | None => {
            "nothing that can be fetched as it is: build it and put the result into the package"
        }
    };
    match route {
        Some(route) => drafting.warnings.push(Warning::at("install", text, &route.origin)),
        None => drafting.warn("install", text),
    }
    let program = item_name(&drafting.facts.name.value);
    install(drafting, vec![brought_along(&program)]);
    run(drafting, &format!("./{program}"));
}

/// A step that ends with what is to be done, where the program has not been put into the package.
fn brought_along(program: &str) -> Value {
    let told = format!("{program} is not in the module: put the program into its folder as {program}");
    json!({"run": format!("test -x ./{program} || {{ echo '{told}' >&2; exit 1; }}")})
}

fn bare(package: &str) -> &str {
    let end = package
        .char_indices()
        .find(|(at, c)| "[=<>~!".contains(*c) || *c == '@' && *at > 0)
        .map(|(at, _)| at);
    &package[..end.unwrap_or(package.len())]
}

fn pin(drafting: &mut Drafting<'_>, package: &str, marks: &[&str]) {
    if !marks.iter().any(|mark| package.contains(mark)) {
        drafting.warn("install", format!("{package} is not pinned: another version may come tomorrow"));
    }
}

fn install(drafting: &mut Drafting<'_>, steps: Vec<Value>) {
    drafting.put("install", Value::Array(steps));
}

fn capability(drafting: &mut Drafting<'_>, name: &str) {
    let requires = drafting.spec.entry("requires").or_insert_with(|| json!({}));
    requires["capabilities"] = json!([name]);
}

/// How a unit of the repository, or one in the text, starts the program.
fn unit(drafting: &Drafting<'_>, wanted: &str) -> Option<Unit> {
    let reading = drafting.reading;
    let blocks = reading.document.blocks.iter().filter(|block| block.is_code());
    let listed = blocks.filter_map(|block| supplement::unit(&block.rich.text, &reading.path, block.line));
    let files = drafting.files.paths().filter(|path| path.ends_with(".service"));
    let filed = files.filter_map(|path| supplement::unit(&drafting.files.text(path)?, path, 1));
    listed.chain(filed).find(|unit| {
        let program = unit.command[0].rsplit('/').next().unwrap_or_default();
        program == wanted || program.len() > 2 && reading.identity.owns(program)
    })
}

/// Whether a first word is one of a program that stays, not of a sentence, an address or an installer.
fn is_program_name(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/~-".contains(c);
    name.len() > 2
        && word.chars().all(is_plain)
        && !name.starts_with(|c: char| c.is_ascii_uppercase())
        && ![".sh", ".exe", ".bat", ".ps1", ".app", ".dmg"].iter().any(|end| name.ends_with(end))
}

/// The command that starts it: of a unit, as the text shows it, else the bare program.
fn run(drafting: &mut Drafting<'_>, program: &str) {
    let wanted = program.trim_start_matches("./");
    if let Some(Unit { mut command, origin }) = unit(drafting, wanted) {
        // Where it is installed here is not where the unit has it.
        program.clone_into(&mut command[0]);
        let text = "the command is that of a unit file";
        drafting.warnings.push(Warning::at("runtime.process.command", text, &origin));
        return started(drafting, command);
    }
    let shown = drafting.reading.commands.iter().find(|placed| {
        let command = &placed.value;
        let is_it = command.program() == wanted
            || drafting.reading.identity.owns(command.program()) && is_program_name(command.word(0));
        let has_gap = command
            .words
            .iter()
            .any(|word| word.text.contains(['<', '[', '{', '$']) || word.is_computed || word.text == "...");
        let asks = command
            .words
            .iter()
            .any(|word| matches!(word.text.as_str(), "--help" | "-h" | "--version" | "-V"))
            || matches!(
                command.word(1),
                "log"
                    | "logs"
                    | "status"
                    | "config"
                    | "version"
                    | "help"
                    | "stop"
                    | "restart"
                    | "list"
                    | "update"
            );
        is_it
            && !has_gap
            && !asks
            && !placed.is_inline
            && !matches!(placed.topic, Topic::Development | Topic::Upkeep)
    });
    let command: Vec<String> = match shown {
        Some(placed) => placed.value.words.iter().map(|word| word.text.clone()).collect(),
        None => vec![program.to_owned()],
    };
    match shown {
        Some(placed) => {
            let warning = Warning::at(
                "runtime.process.command",
                "the command is an example of the text",
                &placed.origin,
            );
            drafting.warnings.push(warning);
        }
        None => drafting.warn(
            "runtime.process.command",
            format!("{program} is assumed: the text shows no command that starts it"),
        ),
    }
    let command: Vec<String> =
        command.into_iter().filter(|word| !word.is_empty() && !word.contains("..")).collect();
    let command = if command.is_empty() { vec![wanted.to_owned()] } else { command };
    started(drafting, command);
}

/// The runtime of a process with its ports, variables and check.
pub fn started(drafting: &mut Drafting<'_>, command: Vec<String>) {
    let ports = drafting.facts.ports.clone();
    let names = drafting.ports(&ports, false, false);
    let env = drafting.facts.env.clone();
    let env = drafting.environment(&env, &|_| false);
    let mut process = json!({"command": command});
    if !env.is_empty() {
        process["env"] = Value::Object(env);
    }
    drafting.put("runtime", json!({"process": process}));
    let network = if names.is_empty() { json!(["connect"]) } else { json!(["listen", "connect"]) };
    drafting.put("permissions", json!({"network": network}));
    if let Some(port) = names.iter().find(|name| !name.starts_with("udp")) {
        drafting.put("health", json!({"tcp": {"port": port}, "interval": "30s", "start_period": "60s"}));
    }
}
