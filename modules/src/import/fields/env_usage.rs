//! Environment variables in pieces of commands and in the usage texts of programs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::env::short;
use super::env_default::{DEFAULT_WORDS, default_in, value};
use super::env_text::is_upper_name;
use super::env_variables::{Variables, is_settable};
use crate::import::document::{Block, Rich};
use crate::import::facts::{Confidence, EnvFact};
use crate::import::reading::Reading;
use crate::import::shell;
use crate::import::words::{self, Topic};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

/// In the usage text of a program: `[env: NAME=]`, `[$NAME]`, `(env NAME)`.
static USAGE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?:\benv(?:ironment)?(?: var(?:iable)?)?[:=]? ?\$?|\[\$)([A-Z][A-Z0-9_]{2,})"));
/// Of several words, up to what names the variable: `(default Lantern Light, env TITLE)`.
static USAGE_WORDS: LazyLock<Regex> = LazyLock::new(|| regex(r"\(default:? ([^,()\[\]]{1,60}), env\b"));
static USAGE_DEFAULT: LazyLock<Regex> = LazyLock::new(|| regex(r#"\(?\[?default:? "?([^\],")\s]+)"?"#));

/// `-e NAME=value` on a line by itself: a piece of a `docker run` to add.
pub fn options_of_run(reading: &Reading, index: usize, block: &Block, variables: &mut Variables) {
    let text = &block.rich.text;
    if !text.contains("-e") {
        return;
    }
    let is_whole = ["run ", "create ", "exec "].iter().any(|verb| text.contains(verb));
    // "(default is 7)" in the words before a single one is its default.
    let before = index.checked_sub(1).map(|before| reading.block(before));
    let before = before.filter(|before| !before.is_code() && text.matches("-e ").count() == 1);
    let stated = before.and_then(|before| default_in(&before.rich.text));
    for (offset, line) in text.lines().enumerate().filter(|_| !is_whole) {
        let line = line.trim().trim_end_matches('\\').trim_end();
        let Some(rest) = line.strip_prefix("-e ").or_else(|| line.strip_prefix("--env ")) else { continue };
        let (name, example) = match shell::assignment(rest.trim()) {
            Some((name, example)) => (name, Some(example.trim_matches(['"', '\'']).to_owned())),
            None => (rest.split_whitespace().next().unwrap_or_default(), None),
        };
        if is_upper_name(name) {
            let line = block.line + u32::try_from(offset).unwrap_or(0);
            let default = stated.clone().map(|stated| match &example {
                // Signs that end a word in a sentence are in the value as it is set.
                Some(example) if example.starts_with(&stated) => example.clone(),
                _ => stated,
            });
            let fact = EnvFact { name: name.to_owned(), example, default, ..EnvFact::default() };
            variables.add(fact, reading.origin(line), Confidence::Read);
        }
    }
}

/// Names in code that begin like known variables with the project's own name: `LANTERN_…`.
pub fn of_own_family(reading: &Reading, variables: &mut Variables) {
    let known = variables.found.iter().filter_map(|known| known.value.name.split_once('_'));
    let families: BTreeSet<String> = known
        .map(|(family, _)| family.to_owned())
        .filter(|family| family.len() > 3 && reading.identity.owns(family))
        .collect();
    if families.is_empty() {
        return;
    }
    for block in reading.prose() {
        for (at, code) in block.rich.code() {
            let name = code.split(['=', ':', ' ']).next().unwrap_or_default();
            let is_of = name.split_once('_').is_some_and(|(family, _)| families.contains(family));
            if is_of && is_upper_name(name) && is_settable(name) {
                let fact = EnvFact { name: name.to_owned(), ..EnvFact::default() };
                variables.add(fact, reading.origin(block.line_at(at)), Confidence::Inferred);
            }
        }
    }
}

/// `LAMP_PORT=80 npm start`: what stands before the command that starts the project.
pub fn before_start(reading: &Reading, variables: &mut Variables) {
    let is_for_use = |topic: Topic| matches!(topic, Topic::Install | Topic::Other);
    for placed in reading.commands.iter().filter(|placed| !placed.is_inline && is_for_use(placed.topic)) {
        let command = &placed.value;
        let starts = match command.program() {
            "npm" | "yarn" | "pnpm" => matches!(command.word(1), "start" | "serve"),
            "npx" | "bunx" | "uvx" | "pipx" => {
                command.words.iter().any(|word| reading.identity.owns(&word.text))
            }
            program => command.word(0).starts_with("./") && reading.identity.owns(program),
        };
        let is_name = |name: &str| is_upper_name(name) && is_settable(name);
        for (name, value) in command.assignments.iter().filter(|(name, _)| starts && is_name(name)) {
            let fact = EnvFact { name: name.clone(), example: Some(value.clone()), ..EnvFact::default() };
            variables.add(fact, placed.origin.clone(), Confidence::Inferred);
        }
    }
}

/// Whether lines of a text begin with options and end with names in capitals.
pub fn has_options(text: &str) -> bool {
    text.lines().take(200).any(|line| {
        let last = || line.rsplit("  ").next().unwrap_or_default();
        line.trim_start().starts_with(['-', '[']) && last().starts_with(|c: char| c.is_ascii_uppercase())
    })
}

/// `-p, --port <port>   APP_PORT=5000`: each option with the variable that sets it too.
pub fn beside_options(reading: &Reading, block: &Block, variables: &mut Variables) {
    for (offset, line) in block.rich.text.lines().enumerate() {
        let is_option = line.trim_start().starts_with(['-', '[', '<']);
        let Some((option, last)) = line.rsplit_once("  ").filter(|_| is_option) else { continue };
        let (name, example) = match shell::assignment(last.trim()) {
            Some((name, example)) => (name, Some(example.trim_matches(['"', '\'']).to_owned())),
            None => (last.trim(), None),
        };
        if !is_upper_name(name) || !name.contains('_') {
            continue;
        }
        let fact = EnvFact {
            name: name.to_owned(),
            example: example.filter(|example| !example.is_empty()),
            description: short(&format!("The option {}", option.trim())),
            ..EnvFact::default()
        };
        let line = block.line + u32::try_from(offset).unwrap_or(0);
        variables.add(fact, reading.origin(line), Confidence::Read);
    }
}

/// What stands between a variable and its default.
const DEFAULTS: [&str; 8] = [
    "defaults to",
    "default to",
    "will default to",
    "默认为",
    "默认是",
    "会默认为",
    "のデフォルトは",
    "はデフォルトで",
];

/// What stands before the first of several variables with their defaults.
const DEFAULTED: &str = " defaults ";

/// "If unset, `NAME` defaults to `value`": said of a variable that is known from elsewhere.
pub fn said_defaults(reading: &Reading, block: &Block, variables: &mut Variables) {
    let says = || block.rich.lower().contains(DEFAULTED) || words::any(block.rich.lower(), &DEFAULTS);
    if block.rich.text.len() > 3000 || !block.rich.has(&DEFAULT_WORDS) || !says() {
        return;
    }
    let codes: Vec<(usize, &str)> = block.rich.code().take(50).collect();
    for pair in codes.windows(2) {
        let [(at, name), (next, default)] = pair else { continue };
        let between = block.rich.text.get(at + name.len()..*next).unwrap_or_default();
        // "The image defaults `NAME` to `value` and `OTHER` to `another`."
        let is_defaulted = || {
            let sentence = block.rich.text[..*at].rsplit(". ").next().unwrap_or_default();
            between.trim() == "to" && sentence.to_lowercase().contains(DEFAULTED)
        };
        if (DEFAULTS.contains(&between.trim()) || is_defaulted())
            && is_upper_name(name)
            && variables.knows(name)
        {
            let fact = EnvFact { name: (*name).to_owned(), default: value(default), ..EnvFact::default() };
            variables.add(fact, reading.origin(block.line_at(*at)), Confidence::Inferred);
        }
    }
}

/// `process.env.NAME || 80`, `os.getenv("NAME", "80")`: what code falls back to, of a variable known from elsewhere.
static FALLBACK: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"process\.env\.([A-Z][A-Z0-9_]+)\s*(?:\|\||\?\?)\s*["'`]?([\w./:-]+)|os\.(?:environ\.get|getenv)\(\s*["']([A-Z][A-Z0-9_]+)["']\s*,\s*["']?([\w./:-]+)"#,
    )
});

pub fn fallbacks(reading: &Reading, variables: &mut Variables) {
    let is_code = |block: &&Block| block.is_code() && block.rich.text.contains("env");
    for block in reading.document.blocks.iter().filter(is_code) {
        for found in FALLBACK.captures_iter(&block.rich.text).take(200) {
            let name = found.get(1).or_else(|| found.get(3));
            let fallback = found.get(2).or_else(|| found.get(4));
            let (Some(name), Some(fallback)) = (name, fallback) else { continue };
            if variables.knows(name.as_str()) {
                let fact = EnvFact {
                    name: name.as_str().to_owned(),
                    default: value(fallback.as_str()),
                    ..EnvFact::default()
                };
                variables.add(fact, reading.origin(block.line_at(name.start())), Confidence::Inferred);
            }
        }
    }
}

/// "`USER` and `PASSWORD` - …": what stands beside the first name of an item, told in the same words.
pub fn named_together(rich: &Rich, first: &EnvFact) -> Vec<EnvFact> {
    let mut end = None;
    let mut names = Vec::new();
    for (at, code) in rich.code().take(20) {
        let is_joined = end.is_none_or(|end| {
            let between = rich.text.get(end..at).unwrap_or("-");
            matches!(between.trim(), "," | "and" | ", and" | "&" | "/" | "or")
        });
        if !is_joined || !is_upper_name(code) || end.is_none() && code != first.name {
            break;
        }
        end = Some(at + code.len());
        names.push(code);
    }
    let told = |name: &str| EnvFact { name: name.to_owned(), default: None, example: None, ..first.clone() };
    names.into_iter().skip(1).map(told).collect()
}

/// In sentences of a usage text: "defaults to the environment variable NAME", over the end of a line too.
static TOLD: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\benvironment\s+variable\s+`?([A-Z][A-Z0-9_]{2,})\b|\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)`?\s+environment\s+variable|\bsetting\s+(?:the\s+)?([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b",
    )
});

static FALLS_BACK: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^[\s,]*(?:and )?falls ?back to (?:the |port )?([\w:/-]+(?:\.[\w:/-]+)*)"));

pub fn usage(reading: &Reading, block: &Block, variables: &mut Variables) {
    let text = &block.rich.text;
    let told = text.contains("environment").then(|| TOLD.captures_iter(text).take(200));
    for found in told.into_iter().flatten() {
        let Some(name) = found.get(1).or_else(|| found.get(2)).or_else(|| found.get(3)) else { continue };
        variables.stands_alone(name.as_str());
        // "… and falls back to 0.0.0.0)".
        let default = FALLS_BACK.captures(&text[name.end()..]).and_then(|found| value(&found[1]));
        let fact = EnvFact { name: name.as_str().to_owned(), default, ..EnvFact::default() };
        variables.add(fact, reading.origin(block.line_at(name.start())), Confidence::Read);
    }
    let lines: Vec<&str> = block.rich.text.lines().take(5000).collect();
    for (offset, line) in lines.iter().enumerate() {
        for found in USAGE.captures_iter(line) {
            let before = found.get(0).and_then(|whole| line[..whole.start()].chars().next_back());
            // `--env NAME=x` is an option of another program.
            if before == Some('-') || !is_settable(&found[1]) {
                continue;
            }
            // The default stands on the line, or in brackets of its own on the next.
            let next = lines.get(offset + 1).map(|next| next.trim());
            let next = next.filter(|next| next.starts_with("[default") || next.starts_with("(default"));
            let default = USAGE_WORDS
                .captures(line)
                .or_else(|| USAGE_DEFAULT.captures(line))
                .or_else(|| next.and_then(|next| USAGE_DEFAULT.captures(next)))
                .and_then(|found| value(&found[1]));
            let words =
                line.split("  ").map(str::trim).filter(|part| part.contains(' ')).last().unwrap_or_default();
            let description = words.split(['[', '(']).next().unwrap_or_default();
            let fact = EnvFact {
                name: found[1].to_owned(),
                default,
                description: short(description),
                ..EnvFact::default()
            };
            let line = block.line + u32::try_from(offset).unwrap_or(0);
            variables.add(fact, reading.origin(line), Confidence::Read);
        }
    }
}
