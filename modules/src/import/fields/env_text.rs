//! Environment variables outside of tables: items, listings, sentences, headings.

use std::sync::LazyLock;

use regex::Regex;

use super::env::{in_context, short};
use super::env_around::{is_among_known, is_announced, is_in_list_of_names, is_led, is_value_of_another};
use super::env_default::{self, default_in_words};
use super::env_required::requirement;
use super::env_usage;
use super::env_variables::{Variables, is_protocol, is_settable};
use crate::import::document::{Block, Kind, Rich};
use crate::import::facts::{Confidence, EnvFact};
use crate::import::reading::Reading;
use crate::import::text::without;
use crate::import::words::{self, WordList, speaks_of_environment};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

/// In code of programs: `process.env.NAME`, `os.environ["NAME"]`, `os.Getenv("NAME")`.
static LOOKUP: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r#"(?:process\.env\.|os\.environ(?:\.get)?[\[(]\s*["']|os\.getenv\(\s*["']|Getenv\(\s*["']|ENV\[["'])([A-Z][A-Z0-9_]+)"#,
    )
});
/// How each of those begins.
pub static LOOKUPS: WordList =
    WordList::new(&["process.env.", "os.environ", "os.getenv(", "getenv(", "env["]);
static UPPER: LazyLock<Regex> = LazyLock::new(|| regex(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b"));

/// What the project gives to a program that it starts, and nobody sets.
pub static GIVEN: WordList = WordList::new(&[
    "execute a script",
    "executes a script",
    "run a script",
    "runs a script",
    "execute a command",
    "executes a command",
    "to the script",
    "to your script",
    "to the hook",
    "available to scripts",
    "in the script",
]);

/// `FOO_BAR`, `TZ`.
pub fn is_upper_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (2..=80).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().all(plain)
        && text.chars().filter(char::is_ascii_uppercase).count() > 1
        && !text.ends_with('_')
        && !text.starts_with("MY_")
        && !text.starts_with("YOUR_")
}

/// "- `NAME` (default: `x`): what it is for"
pub fn from_item(reading: &Reading, index: usize, block: &Block, variables: &mut Variables) {
    let text = block.rich.text.trim_start();
    // An entry of a table of contents.
    if block.rich.links().any(|(words, url)| url.contains('#') && words.trim() == text.trim_end()) {
        return;
    }
    let skipped = block.rich.text.len() - text.len();
    let bare = ["e ", "env ", "$"].into_iter().fold(text.trim_start_matches(['-', '*', '[', ' ']), without);
    let name: String = bare.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if !is_upper_name(&name) || is_protocol(&name) {
        return from_sentence(reading, index, block, variables);
    }
    if !name.contains('_') && is_value_of_another(reading, index, block) {
        return;
    }
    let after = &bare[name.len()..];
    let is_code = block.rich.code().any(|(at, code)| at <= skipped + 4 && code.contains(&name));
    let is_strong = name.contains('_')
        && block.rich.strong().any(|(at, words)| at <= skipped + 4 && words.contains(&name));
    let is_followed = after.is_empty()
        || after
            .trim_start()
            .starts_with(['=', ':', '-', '–', '—', '(', '：', '（', ',', '/', '\n', '`', '['])
        || is_code
        || is_strong;
    if !is_followed {
        return from_sentence(reading, index, block, variables);
    }
    let after_name = after.trim_start_matches(['`', '*', ' ']).to_lowercase();
    let tells = after_name.starts_with("(default")
        || after_name.starts_with("(optional")
        || after_name.starts_with("(required")
        || after_name.starts_with("[default");
    let has_mark = name.contains('_') && is_code && tells && !super::env::in_file(reading, index, block);
    let is_flagged = (text.starts_with("-e ") || text.starts_with("--env ")) && !is_placeholder(&name);
    let among_known =
        (is_strong || is_code) && name.contains('_') && is_among_known(reading, index, block, variables)
            || name.contains('_') && variables.knows(&name);
    let in_list = reading.document.blocks[..index].iter().rev().take(1).any(|before| {
        matches!(before.kind, Kind::Item)
            && variables.found.last().is_some_and(|last| last.origin.line == before.line)
    });
    let is_assigned = is_strong
        && after.trim_start_matches(['*', '`']).starts_with('=')
        && !super::env::in_file(reading, index, block);
    let is_listed = is_assigned
        || (is_code || is_strong)
            && (name.contains('_') && is_in_list_of_names(reading, index, block)
                || is_announced(reading, block));
    if !has_mark
        && !is_flagged
        && !in_list
        && !among_known
        && !is_listed
        && !in_context(reading, index, block)
    {
        if is_strong {
            from_sentence(reading, index, block, variables);
        }
        return;
    }
    let description = after.trim_start_matches('`');
    // Where code ends, so does the value in it.
    let from = block.rich.text.len() - description.len();
    let spans = block.rich.code().map(|(at, code)| at..at + code.len());
    let code_end = spans.filter(|span| span.contains(&from)).map(|span| span.end - from - 1).next();
    let (example, description) = match description.strip_prefix('=') {
        Some(rest) => {
            let end = rest.find([' ', '`', '\n']).unwrap_or(rest.len());
            let end = code_end.unwrap_or(end);
            (Some(rest[..end].to_owned()), &rest[end..])
        }
        None => (None, description),
    };
    let example = example.filter(|example| !example.trim_matches('.').is_empty());
    // "`NAME`=value" and nothing else, the name alone in code, says what it is where nobody sets it.
    let is_alone = description.trim().is_empty() && block.rich.code().any(|(_, code)| code == name);
    let shown = example.as_deref().filter(|_| is_alone).and_then(env_default::value);
    let fact = EnvFact {
        name,
        default: default_in_words(&block.rich).or(shown),
        example,
        required: requirement(description),
        description: short(description),
        is_commented: false,
    };
    let further = env_usage::named_together(&block.rich, &fact);
    variables.add(fact, reading.origin(block.line), Confidence::Read);
    further.into_iter().for_each(|fact| variables.add(fact, reading.origin(block.line), Confidence::Read));
}

/// A paragraph that defines what its first word names: the name on a line of its own, or before a colon or a dash.
pub fn is_definition(block: &Block) -> bool {
    let text = block.rich.text.trim_start();
    let name = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    let after = &text[name.len()..];
    let is_apart = after.starts_with(['\n', ':', '：'])
        || [" - ", " – ", " — ", " : ", " (default"].iter().any(|mark| after.starts_with(mark));
    let is_code = || block.rich.code().next().is_some_and(|(at, code)| at < 2 && code == name);
    is_apart && is_upper_name(name) && (name.contains('_') || is_code())
}

/// `-e KEY=value`: how variables are set, and none.
fn is_placeholder(name: &str) -> bool {
    matches!(name, "KEY" | "NAME" | "VAR" | "VARIABLE" | "ENV" | "FOO" | "ENV_VAR" | "VAR_NAME" | "SOME_VAR")
}

/// Places where code looks a variable up.
pub fn lookups(reading: &Reading, rich: &Rich, line: u32, variables: &mut Variables) {
    if !rich.has(&LOOKUPS) {
        return;
    }
    for found in LOOKUP.captures_iter(&rich.text).filter(|found| is_settable(&found[1])) {
        let fact = EnvFact { name: found[1].to_owned(), ..EnvFact::default() };
        variables.add(fact, reading.origin(line), Confidence::Inferred);
    }
}

/// "Set the environment variable `NAME` to …"
pub fn from_sentence(reading: &Reading, index: usize, block: &Block, variables: &mut Variables) {
    let text = &block.rich.text;
    lookups(reading, &block.rich, block.line, variables);
    for (at, code) in block.rich.code() {
        let flag = code.strip_prefix("-e ").or_else(|| code.strip_prefix("--env ")).map(str::trim_start);
        let name = flag.and_then(|rest| rest.split(['=', ' ']).next()).unwrap_or_default();
        if is_upper_name(name) && !is_placeholder(name) {
            let fact = EnvFact { name: name.to_owned(), ..EnvFact::default() };
            variables.add(fact, reading.origin(block.line_at(at)), Confidence::Inferred);
        }
    }
    told_to_set(reading, block, variables);
    let lower = block.rich.lower();
    let speaks = speaks_of_environment(&block.rich) || is_led(reading, index, block);
    if text.len() > 3000 || !speaks || block.rich.has(&GIVEN) {
        return;
    }
    let mut add = |name: &str, at: usize, default: Option<String>| {
        let fact = EnvFact { name: name.to_owned(), default, ..EnvFact::default() };
        variables.add(fact, reading.origin(block.line_at(at)), Confidence::Inferred);
    };
    let is_of_installer =
        words::any(lower, &["installation dir", "install dir", "installation path", "install location"]);
    let is_other = |name: &str, at: usize| {
        is_of_installer && matches!(name, "PREFIX" | "INSTALL_DIR" | "BINDIR") || is_called_prefix(text, at)
    };
    for (at, code) in block.rich.code() {
        let bare = ["-e ", "$"].into_iter().fold(code.trim(), without).trim_matches(['{', '}']);
        let name = bare.split(['=', ' ', ':']).next().unwrap_or_default();
        if !is_upper_name(name) || !is_settable(name) || is_other(name, at) {
            continue;
        }
        let near = near(text, at, at + code.len());
        if !name.contains('_') && is_family(&text[at + code.len()..]) {
            continue;
        }
        if name.contains('_') || words::ENVIRONMENT.is_in(&near) {
            let default = block.rich.code().filter(|(_, other)| is_upper_name(other)).count() == 1;
            add(name, at, if default { default_in_words(&block.rich) } else { None });
        }
    }
    for found in UPPER.find_iter(text).filter(|found| is_settable(found.as_str())) {
        if words::ENVIRONMENT.is_in(&near(text, found.start(), found.end()))
            && !found.as_str().contains("EXAMPLE")
            && !is_other(found.as_str(), found.start())
        {
            add(found.as_str(), found.start(), None);
        }
    }
}

/// "The `LAMP` environment variables": not one of them.
fn is_family(after: &str) -> bool {
    let words = after.trim_start_matches(['`', '*']).to_lowercase();
    [" environment variables", " environmental variables", " env variables", " variables", " env vars"]
        .iter()
        .any(|plural| words.starts_with(plural))
}

/// "All of them are prefixed with `LANTERN`": the beginning of names, and none.
fn is_called_prefix(text: &str, at: usize) -> bool {
    let before = text[..at].trim_end_matches(['`', '"', '\'', '*', ' ', '\n']).as_bytes();
    [
        "prefix",
        "prefixed with",
        "prefixed by",
        "prefix of",
        "start with",
        "starting with",
        "begin with",
        "beginning with",
    ]
    .iter()
    .any(|words| {
        let tail = before.len().checked_sub(words.len()).map(|at| &before[at..]);
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(words.as_bytes()))
    })
}

/// "Setting `NAME` to `true`", "set `NAME=true`" where other variables are known; "the `NAME` option" of a container.
fn told_to_set(reading: &Reading, block: &Block, variables: &mut Variables) {
    let text = &block.rich.text;
    let in_file = || [".conf", ".ini", ".toml", ".py", ".cfg", ".json"].iter().any(|end| text.contains(end));
    if text.len() > 3000 || block.rich.spans.is_empty() {
        return;
    }
    for (at, code) in block.rich.code() {
        let (name, value) = code.split_once('=').unwrap_or((code, ""));
        if !is_upper_name(name) || !is_settable(name) || in_file() {
            continue;
        }
        let word = text[..at].trim_end_matches(['`', ' ']).rsplit([' ', '\n', '，', '。']).next();
        let before = word.unwrap_or_default().to_lowercase();
        let after = text[at + code.len()..].trim_start_matches('`');
        let is_set = ["set", "setting", "设置", "設定"].iter().any(|verb| before.ends_with(verb));
        let is_told = !variables.found.is_empty()
            && is_set
            && (name.contains('_') && after.starts_with(" to ") || !value.is_empty());
        let is_called = name.contains('_') && after.starts_with(" option") && !reading.runs.is_empty();
        if is_told || is_called {
            let fact = EnvFact { name: name.to_owned(), ..EnvFact::default() };
            variables.add(fact, reading.origin(block.line_at(at)), Confidence::Inferred);
        }
    }
}

/// What stands close around a place.
fn near(text: &str, start: usize, end: usize) -> String {
    let mut from = start.saturating_sub(32);
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = (end + 28).min(text.len());
    while !text.is_char_boundary(to) {
        to += 1;
    }
    words::padded(&text[from..to].to_lowercase().replace('\n', " "))
}

/// A heading that is a name: "### `NAME`".
pub fn from_heading(reading: &Reading, block: &Block, is_bold_default: bool, variables: &mut Variables) {
    let text = block.rich.text.trim().trim_matches('`');
    let name = text.split(['=', ' ', ':', '(']).next().unwrap_or_default();
    let says = reading
        .document
        .path(block.section)
        .skip(1)
        .any(|section| words::ENVIRONMENT.is_in(&words::padded(&section.lower)));
    if is_upper_name(name) && name.contains('_') && says {
        let fact = EnvFact {
            name: name.to_owned(),
            default: if is_bold_default { bold_default(reading, block) } else { None },
            required: requirement(text),
            ..EnvFact::default()
        };
        variables.add(fact, reading.origin(block.line), Confidence::Read);
    }
}

/// Whether the text says that of several values the bold one is the default.
pub fn says_bold_is_default(reading: &Reading) -> bool {
    reading.prose().any(|block| {
        block.rich.text.len() < 200
            && block.rich.has(&env_default::DEFAULT_WORDS)
            && block.rich.lower().contains("bold")
    })
}

/// The bold one of the values below a heading.
fn bold_default(reading: &Reading, heading: &Block) -> Option<String> {
    let blocks = &reading.document.blocks;
    let first = blocks.partition_point(|block| block.line <= heading.line);
    let values = blocks[first..].iter().take_while(|block| block.section == heading.section);
    let bold = values
        .filter(|block| matches!(block.kind, Kind::Item))
        .find_map(|block| block.rich.strong().next().filter(|(at, _)| *at == 0).map(|(_, words)| words))?;
    env_default::value(bold)
}
