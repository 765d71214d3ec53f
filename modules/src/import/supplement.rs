//! What the other files of a repository add where the text is silent: Dockerfile, `.env.example`, unit files.
//!
//! None of it overrules the text, and all of it is inferred: a Dockerfile is of the image as it is today.

use super::container::Container;
use super::dockerfile;
use super::facts::{Confidence, EnvFact, Facts, Found, PortFact, VolumeFact};
use super::fields::danger::is_secret;
use super::fields::env::short;
use super::fields::env_text::is_upper_name;
use super::fields::env_variables::is_settable;
use super::shell::assignment;
use super::{Files, Origin};
use crate::safety::unit;

/// More than that in one file is no list of settings.
const MAX_SETTINGS: usize = 300;
const EXAMPLES: [&str; 6] =
    [".env.example", ".env.sample", "env.example", ".env.dist", ".env.template", "example.env"];

/// Fills what is still missing for a project that runs as the container of its own image.
pub fn of_container(facts: &mut Facts, files: &Files, container: Option<&Container>) {
    settings(facts, files);
    let Some(container) = container else { return };
    let found = ["Dockerfile", "Containerfile"].iter().find_map(|path| Some((*path, files.text(path)?)));
    let Some((path, text)) = found else { return };
    let image = dockerfile::read(&text);
    let origin = |line| Origin { file: path.to_owned(), line };
    if facts.ports.is_empty() && container.ports.is_empty() {
        facts.ports = image
            .ports
            .iter()
            .map(|port| {
                let fact = PortFact {
                    port: port.target,
                    is_udp: port.is_udp,
                    host: None,
                    address: None,
                    description: String::new(),
                };
                Found::inferred(fact, origin(port.line))
            })
            .collect();
    }
    if facts.volumes.is_empty() && container.mounts.is_empty() {
        let volume = |path: &String| VolumeFact {
            path: path.clone(),
            source: None,
            is_read_only: false,
            description: String::new(),
        };
        let found = image.volumes.iter().map(|(path, line)| Found::inferred(volume(path), origin(*line)));
        facts.volumes = found.collect();
    }
    if facts.health_path.is_none() && facts.health_command.is_none() {
        facts.health_command = image.health.map(|(command, line)| Found::inferred(command, origin(line)));
    }
    for known in facts.env.iter_mut().filter(|known| known.value.default.is_none()) {
        if let Some((value, _)) = image.env.get(&known.value.name).filter(|_| !is_secret(&known.value.name)) {
            known.value.default =
                Some(value.clone()).filter(|value| !value.is_empty() && !value.contains('$'));
        }
    }
}

/// The variables of `.env.example`: what they are set to there is an example, not a default.
fn settings(facts: &mut Facts, files: &Files) {
    let Some((path, text)) = example(files) else { return };
    let mut comment = String::new();
    for (index, line) in text.lines().enumerate().take(4 * MAX_SETTINGS) {
        let line = line.trim();
        let bare = line.trim_start_matches(['#', ' ']);
        let Some((name, value)) = assignment(bare.trim_start_matches("export ")) else {
            comment = if line.starts_with('#') { bare.to_owned() } else { String::new() };
            continue;
        };
        let said = short(&std::mem::take(&mut comment));
        if !is_upper_name(name) || !is_settable(name) {
            continue;
        }
        let (value, note) = value.split_once(" #").unwrap_or((value, ""));
        let value = value.trim().trim_matches(['"', '\'']).to_owned();
        let fact = EnvFact {
            name: name.to_owned(),
            default: None,
            example: Some(value).filter(|value| !value.is_empty()),
            required: None,
            description: if note.is_empty() { said } else { short(note) },
            is_commented: line.starts_with('#'),
        };
        let origin = Origin { file: path.to_owned(), line: u32::try_from(index + 1).unwrap_or(0) };
        add(&mut facts.env, fact, origin);
    }
}

fn add(env: &mut Vec<Found<EnvFact>>, fact: EnvFact, origin: Origin) {
    let Some(known) = env.iter_mut().find(|known| known.value.name == fact.name) else {
        if env.len() < MAX_SETTINGS {
            env.push(Found { value: fact, origin, confidence: Confidence::Inferred });
        }
        return;
    };
    known.value.example = known.value.example.take().or(fact.example);
    if known.value.description.is_empty() {
        known.value.description = fact.description;
    }
}

/// The example of an env file that the repository brings.
pub fn example(files: &Files) -> Option<(&'static str, String)> {
    EXAMPLES.iter().find_map(|path| Some((*path, files.text(path)?)))
}

/// How a unit file of the repository, or a listing of one in the text, starts the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub command: Vec<String>,
    pub origin: Origin,
}

/// The command of a unit; none where it has variables that only the unit's own host knows.
pub fn unit(text: &str, file: &str, first: u32) -> Option<Unit> {
    if !text.contains("ExecStart") || text.len() > 64 * 1024 {
        return None;
    }
    let settings = unit::settings(text);
    let start = settings.iter().find(|setting| setting.section == "Service" && setting.key == "ExecStart")?;
    let plain = start.value.trim_start_matches(['-', '@', ':', '+', '!']);
    let command = crate::compose::split_words(plain).ok()?;
    let has_gap = command.iter().any(|word| word.contains(['<', '$', '%', '{', '[']));
    let line = first + u32::try_from(start.line).unwrap_or(1) - 1;
    let origin = Origin { file: file.to_owned(), line };
    (!command.is_empty() && !has_gap).then_some(Unit { command, origin })
}
