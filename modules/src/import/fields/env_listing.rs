//! Environment variables in blocks of code: listings of assignments, and the usage texts of programs.

use super::env::{in_context, short};
use super::env_default::default_in;
use super::env_required::requirement;
use super::env_text::is_upper_name;
use super::env_usage;
use super::env_variables::{Variables, is_settable};
use crate::import::document::Block;
use crate::import::facts::{Confidence, EnvFact};
use crate::import::reading::{Reading, is_program};
use crate::import::shell;
use crate::import::text::without;
use crate::import::words;

/// A listing of variables, or the usage text of a program.
pub fn from_code(reading: &Reading, index: usize, block: &Block, language: &str, variables: &mut Variables) {
    let text = &block.rich.text;
    if text.len() > 200_000 {
        return;
    }
    let is_yaml = language.contains("yaml") || language.contains("yml");
    if !is_yaml && (text.contains("env") || text.contains("[$")) {
        env_usage::usage(reading, block, variables);
    }
    if is_program(language) && !["ini", "properties"].contains(&language) || language.contains("dockerfile") {
        return;
    }
    if !matches!(reading.topic_of(block), words::Topic::Upkeep) {
        env_usage::options_of_run(reading, index, block, variables);
    }
    let names = bare_names(text);
    if !names.is_empty() && in_context(reading, index, block) {
        for (offset, name) in names {
            let line = block.line + u32::try_from(offset).unwrap_or(0);
            let fact = EnvFact { name: name.to_owned(), ..EnvFact::default() };
            variables.stands_alone(name);
            variables.add(fact, reading.origin(line), Confidence::Read);
        }
    }
    let described = described(text);
    if !described.is_empty() && in_context(reading, index, block) {
        for (offset, name, words) in described {
            let line = block.line + u32::try_from(offset).unwrap_or(0);
            let fact = EnvFact {
                name: name.to_owned(),
                default: default_in(words),
                required: requirement(words),
                description: short(words),
                ..EnvFact::default()
            };
            variables.stands_alone(name);
            variables.add(fact, reading.origin(line), Confidence::Read);
        }
        return;
    }
    // What is set for a script from the net is gone with it.
    let pipes = |line: &str| line.trim_end().ends_with("| sh") || line.contains("| bash");
    let is_of_installer = || text.contains('|') && text.lines().any(pipes);
    let listing = if is_of_installer() { Vec::new() } else { listing(text) };
    let is_env = language.contains("env") || language == "properties";
    if listing.is_empty() {
        if env_usage::has_options(text) && in_context(reading, index, block) {
            env_usage::beside_options(reading, block, variables);
        }
        return;
    }
    // A piece of a compose file, of the one service that the text is about.
    let is_piece = is_piece(reading, text);
    let is_listed =
        is_env || is_piece || in_context(reading, index, block) || is_like_known(&listing, text, variables);
    if is_listed || is_told(reading, index, &listing, text) {
        add(reading, block, listing, variables);
    }
}

/// A paragraph of assignments, one on each line.
pub fn from_lines(reading: &Reading, index: usize, block: &Block, variables: &mut Variables) {
    let text = &block.rich.text;
    let is_assignment =
        |line: &str| shell::assignment(line.trim()).is_some_and(|(name, _)| is_upper_name(name));
    let is_list = text.contains('\n') && text.len() < 20_000 && text.lines().all(is_assignment);
    if is_list && in_context(reading, index, block) {
        add(reading, block, listing(text), variables);
    }
}

fn add(reading: &Reading, block: &Block, listing: Vec<Listed>, variables: &mut Variables) {
    // "Defaults" above a listing: its values are they.
    let are_defaults = super::env_default::speaks_of_default(&reading.section(block).lower);
    for Listed { offset, name, example, is_commented, comment, above } in listing {
        let line = block.line + u32::try_from(offset).unwrap_or(0);
        let shown = example.as_deref().filter(|_| are_defaults).and_then(super::env_default::value);
        let fact = EnvFact {
            name,
            default: default_in(&comment).or_else(|| default_in(&above)).or(shown),
            example,
            required: requirement(&comment),
            description: short(&comment),
            is_commented,
        };
        variables.add(fact, reading.origin(line), Confidence::Read);
    }
}

/// A part of a compose file without an image, of no service or of the one that has the project's name.
fn is_piece(reading: &Reading, text: &str) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(at) = text.lines().position(|line| line.trim() == "environment:") else { return false };
    let depth = text.lines().nth(at).map_or(0, indent);
    let above: Vec<&str> = text.lines().take(at).collect();
    let service = above.iter().rev().find(|line| indent(line) < depth && line.trim_end().ends_with(':'));
    let name = service.map(|line| line.trim().trim_end_matches(':')).filter(|name| *name != "services");
    !text.contains("image:") && name.is_none_or(|name| reading.identity.owns(name))
}

/// Whether the words right before a block of exports say to set them: "You'll need to set your credentials:".
fn is_told(reading: &Reading, index: usize, listing: &[Listed], text: &str) -> bool {
    let before = index.checked_sub(1).map(|before| reading.block(before)).filter(|before| !before.is_code());
    let Some(before) = before.filter(|before| before.rich.text.len() < 400) else { return false };
    let lines = || {
        text.lines().map(|line| line.trim_start_matches([' ', '$']).trim()).filter(|line| !line.is_empty())
    };
    // Paths are those of the tools around.
    let is_own = |name: &str| name.contains('_') && !name.ends_with("_HOME") && !name.ends_with("_PATH");
    words::any(before.rich.lower(), &["set ", "export ", "provide ", "credential", "api key", "api token"])
        && lines().all(|line| line.starts_with("export "))
        && lines().count() == listing.len()
        && listing.iter().all(|listed| is_own(&listed.name))
}

/// Whether a listing only exports names that begin like variables that are known: `LAMP_…`.
fn is_like_known(listing: &[Listed], text: &str, variables: &Variables) -> bool {
    let is_export = |line: &str| line.trim_start_matches([' ', '$']).starts_with("export ");
    let beginning = |name: &str| name.split_once('_').map(|(first, _)| format!("{first}_"));
    let is_known = |name: &str| {
        let beginning = beginning(name).filter(|beginning| beginning.len() > 2);
        let begins = |beginning: String| {
            variables.found.iter().any(|known| known.value.name.starts_with(beginning.as_str()))
        };
        beginning.is_some_and(begins)
    };
    text.lines().filter(|line| !line.trim().is_empty()).all(is_export)
        && listing.iter().all(|listed| is_known(&listed.name))
}

/// The names of a block that has nothing else: one on each line.
fn bare_names(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate().map(|(offset, line)| (offset, line.trim()));
    let is_name = |name: &str| is_upper_name(name) && is_settable(name);
    let names = lines.filter(|(_, line)| !line.is_empty());
    let names: Option<Vec<(usize, &str)>> = names.map(|line| is_name(line.1).then_some(line)).collect();
    names.filter(|names| names.iter().any(|(_, name)| name.contains('_'))).unwrap_or_default()
}

/// The names of a block whose lines begin with them, and what each line says then: `LAMP_OIL (default: "1" - how much)`.
fn described(text: &str) -> Vec<(usize, &str, &str)> {
    fn named((offset, line): (usize, &str)) -> Option<(usize, &str, &str)> {
        let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let (name, words) = line.split_at(end);
        let is_told = [" (", " - ", " – ", ": ", "  ", "\t"].iter().any(|mark| words.starts_with(mark));
        let is_name = name.contains('_') && is_upper_name(name) && is_settable(name);
        (is_told && is_name).then_some((offset, name, words))
    }
    let lines = || text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let found: Vec<(usize, &str, &str)> = lines().filter_map(named).collect();
    let is_list = found.len() > 1 && found.len() * 2 >= lines().count();
    if is_list { found } else { Vec::new() }
}

/// An assignment in a listing.
struct Listed {
    offset: usize,
    name: String,
    example: Option<String>,
    is_commented: bool,
    /// What is said of it beside it or in the line above.
    comment: String,
    /// The comment above, be there a blank line between.
    above: String,
}

/// The assignments of a block that is made of them.
fn listing(text: &str) -> Vec<Listed> {
    let mut found: Vec<Listed> = Vec::new();
    let mut other = 0;
    let (mut comment, mut above, mut is_over) = (String::new(), String::new(), false);
    for (offset, line) in text.lines().enumerate() {
        let marks = ["$ ", "export ", "set ", "- "];
        let trimmed = marks.into_iter().fold(line.trim(), without);
        if trimmed.is_empty() {
            comment.clear();
            is_over = true;
            continue;
        }
        let (bare, is_commented) = match trimmed.strip_prefix('#') {
            Some(rest) => (rest.trim(), true),
            None => (trimmed, false),
        };
        match shell::assignment(bare) {
            Some((name, value))
                if is_upper_name(name) && is_settable(name) && !(is_commented && value.contains(". ")) =>
            {
                let (value, note) = value.split_once(" #").unwrap_or((value, ""));
                let value = value.trim().trim_matches(['"', '\'']);
                let words =
                    if note.is_empty() { std::mem::take(&mut comment) } else { note.trim().to_owned() };
                let is_call = !value.starts_with(['"', '\''])
                    && value.split_whitespace().count() > 1
                    && value.split_whitespace().nth(1).is_some_and(|word| word.starts_with(['.', '/', '-']));
                if is_call {
                    other += 1;
                }
                found.push(Listed {
                    offset,
                    name: name.to_owned(),
                    example: Some(value.to_owned()).filter(|value| !value.is_empty()),
                    is_commented,
                    comment: words,
                    above: std::mem::take(&mut above),
                });
            }
            _ if is_commented => {
                bare.clone_into(&mut comment);
                if std::mem::take(&mut is_over) {
                    above.clear();
                }
                above += bare;
                above.push(' ');
            }
            _ => other += 1,
        }
    }
    if found.len() >= other.max(1) { found } else { Vec::new() }
}
