//! A draft that clones the repository, builds it as the text says and starts what comes of it.

use serde_json::{Value, json};

use super::Drafting;
use super::process;
use crate::import::provenance::Warning;
use crate::import::reading::Placed;
use crate::import::routes::Route;
use crate::import::shell::Command;
use crate::import::words::Topic;

/// How many lines after the clone still tell how it goes on.
const REACH: u32 = 60;

/// The steps from the clone to the start, in the words of the text.
struct Story {
    /// What the shell runs in the clone, one line each.
    steps: Vec<String>,
    packages: Vec<String>,
    /// The folder below the clone where it ended, and the command that starts it.
    folder: String,
    start: Vec<String>,
    capabilities: Vec<&'static str>,
}

/// Drafts it where the text says all that is needed; else says what is missing.
pub fn draft(drafting: &mut Drafting<'_>, route: &Route) {
    let Some(url) = address(route) else { return process::source(drafting, Some(route)) };
    let story = match read(&drafting.reading.commands, route) {
        Ok(story) => story,
        Err(missing) => {
            drafting.warnings.push(Warning::at("install", missing, &route.origin));
            return process::source(drafting, Some(route));
        }
    };
    let mut install: Vec<Value> = Vec::new();
    if !story.packages.is_empty() {
        install.push(json!({"apt": story.packages}));
    }
    install.push(json!({"run": format!("test -d src/.git || git clone --depth 1 '{url}' src")}));
    if !story.steps.is_empty() {
        install.push(json!({"run": format!("cd src && {}", story.steps.join(" && "))}));
    }
    drafting.put("install", Value::Array(install));
    let mut capabilities = story.capabilities;
    capabilities.extend(["git", "internet"]);
    if !story.packages.is_empty() {
        capabilities.push("apt");
    }
    capabilities.sort_unstable();
    capabilities.dedup();
    let requires = drafting.spec.entry("requires").or_insert_with(|| json!({}));
    requires["capabilities"] = json!(capabilities);
    drafting.warnings.push(Warning::at(
        "install",
        "it is built from the newest state of the repository: another may come tomorrow",
        &route.origin,
    ));
    let start = story.start.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let line = format!("cd '${{release.dir}}/src{}' && exec {start}", story.folder);
    process::started(drafting, vec!["/bin/sh".to_owned(), "-c".to_owned(), line]);
}

fn address(route: &Route) -> Option<String> {
    let words = route.command.split_whitespace().skip_while(|word| *word != "clone");
    let url = words.skip(1).find(|word| word.contains("://") || word.starts_with("git@"))?;
    let url = url.trim_matches(['"', '\'']);
    let url = url
        .strip_prefix("git@")
        .map_or(url.to_owned(), |rest| format!("https://{}", rest.replacen(':', "/", 1)));
    let is_plain = url.chars().all(|c| c.is_ascii_alphanumeric() || "-._~:/@+".contains(c));
    (url.starts_with("https://") && is_plain).then_some(url)
}

fn read(commands: &[Placed<Command>], route: &Route) -> Result<Story, String> {
    let mut story = Story {
        steps: Vec::new(),
        packages: Vec::new(),
        folder: String::new(),
        start: Vec::new(),
        capabilities: Vec::new(),
    };
    let after = commands.iter().filter(|placed| {
        let line = placed.origin.line;
        placed.origin.file == route.origin.file
            && (route.origin.line..route.origin.line + REACH).contains(&line)
            && !placed.is_inline
            && !matches!(placed.topic, Topic::Development | Topic::Upkeep | Topic::Elsewhere)
    });
    let mut is_entered = false;
    for placed in after {
        let command = &placed.value;
        let is_clone = command.program() == "git" && command.word(1) == "clone";
        if is_clone {
            continue;
        }
        let has_gap = |text: &str| text.contains(['<', '$', '{', '*', '\'']);
        if command.words.iter().any(|word| word.is_computed || has_gap(&word.text))
            || command.assignments.iter().any(|(_, value)| has_gap(value))
        {
            return Err(format!("{:?} (line {}) has a gap to fill", command.text, placed.origin.line));
        }
        match step(command) {
            Step::Start => {
                story.start = words(command);
                story.capabilities.extend(needs(command.program()));
                return Ok(story);
            }
            // The first is into the clone itself.
            Step::Enter if !is_entered => is_entered = true,
            Step::Enter => enter(&mut story.folder, command.word(1)),
            Step::Packages => story.packages.extend(packages(command)),
            Step::Run => {
                let line = words(command).iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
                let folder = story.folder.trim_start_matches('/');
                story.steps.push(if folder.is_empty() { line } else { format!("(cd '{folder}' && {line})") });
                story.capabilities.extend(needs(command.program()));
            }
            Step::Unknown => {
                return Err(format!(
                    "the text goes on with {:?} (line {}), which a draft does not take over",
                    command.text, placed.origin.line
                ));
            }
        }
    }
    Err("the text clones the repository and shows no command that starts it".to_owned())
}

enum Step {
    Enter,
    Packages,
    Run,
    Start,
    Unknown,
}

fn step(command: &Command) -> Step {
    let first = command.word(1);
    match command.program() {
        "cd" => Step::Enter,
        "apt" | "apt-get" if command.has("install") => Step::Packages,
        "apt" | "apt-get" => Step::Run,
        "npm" | "yarn" | "pnpm" | "bun" => match (first, command.word(2)) {
            ("start" | "serve", _) | ("run", "start" | "serve" | "prod" | "production") => Step::Start,
            ("run", "dev" | "test" | "watch" | "") => Step::Unknown,
            ("test", _) => Step::Unknown,
            (_, _) => Step::Run,
        },
        "python" | "python3" if first == "-m" && matches!(command.word(2), "venv" | "pip") => Step::Run,
        "python" | "python3" if command.word(2) == "install" => Step::Run,
        "python" | "python3" | "node" | "php" | "ruby" if command.words.len() > 1 => Step::Start,
        "java" if command.has("-jar") => Step::Start,
        "pip" | "pip3" | "uv" | "poetry" | "make" | "cmake" | "go" | "cargo" | "mvn" | "gradle"
        | "gradlew" | "mvnw" | "cp" | "mkdir" | "touch" | "chmod" | "composer" | "bundle" | "git" => {
            if first == "run" { Step::Start } else { Step::Run }
        }
        _ if command.word(0).starts_with("./") && !command.word(0).contains("install") => Step::Start,
        _ => Step::Unknown,
    }
}

/// The program that a node has to have for a command.
fn needs(program: &str) -> Option<&'static str> {
    Some(match program {
        "npm" | "yarn" | "pnpm" | "node" => "node",
        "python" | "python3" | "pip" | "pip3" | "uv" | "poetry" => "python3",
        "go" => "go",
        "cargo" => "cargo",
        "make" => "make",
        "java" | "mvn" | "gradle" | "gradlew" | "mvnw" => "java",
        "php" | "composer" => "php",
        "ruby" | "bundle" => "ruby",
        _ => return None,
    })
}

fn enter(folder: &mut String, path: &str) {
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => folder.truncate(folder.rfind('/').unwrap_or(0)),
            part => {
                folder.push('/');
                folder.push_str(part);
            }
        }
    }
}

fn packages(command: &Command) -> Vec<String> {
    let names = command.words.iter().skip_while(|word| word.text != "install").skip(1);
    names.map(|word| word.text.clone()).filter(|name| !name.starts_with('-')).collect()
}

/// The command with what it sets for itself: `MODE=x program` as `env MODE=x program`.
fn words(command: &Command) -> Vec<String> {
    let set: Vec<String> =
        command.assignments.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let env = (!set.is_empty()).then(|| "env".to_owned());
    env.into_iter().chain(set).chain(command.words.iter().map(|word| word.text.clone())).collect()
}

/// A word as the shell takes it for one; those with quotes of their own were refused before.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%".contains(c);
    if word.chars().all(is_plain) && !word.is_empty() { word.to_owned() } else { format!("'{word}'") }
}
