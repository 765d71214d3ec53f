//! Which program a command line starts, once what only wraps it is taken away.

use super::flow::Value;

/// The interpreter of a script's first line: `#!/usr/bin/env bash` is `bash`.
pub fn shebang(text: &str) -> Option<String> {
    let line = text.strip_prefix("#!")?.lines().next()?;
    let mut words = line.split_whitespace().map(|word| word.rsplit('/').next().unwrap_or(word));
    let first = words.next()?;
    let is_option = |word: &&str| word.starts_with('-') || word.contains('=');
    let name = if matches!(first, "env" | "busybox") { words.find(|word| !is_option(word))? } else { first };
    Some(name.to_owned())
}

pub fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "fish" | "rbash")
}

/// Programs that run code from their input.
pub fn is_interpreter(name: &str) -> bool {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    is_shell(name)
        || matches!(name, "python" | "perl" | "ruby" | "node" | "nodejs" | "php" | "lua" | "tclsh" | "pwsh")
}

/// What follows these is a command of its own; the second says which of their options take a value.
const WRAPPERS: [(&str, &str); 24] = [
    ("sudo", "ugphCrTDRt"),
    ("doas", "uC"),
    ("env", "uSC"),
    ("nohup", ""),
    ("time", "fo"),
    ("exec", "a"),
    ("command", ""),
    ("builtin", ""),
    ("busybox", ""),
    ("toybox", ""),
    ("nice", "n"),
    ("ionice", "cnp"),
    ("setsid", ""),
    ("stdbuf", "ioe"),
    ("unbuffer", ""),
    ("timeout", "ks"),
    ("chroot", ""),
    ("xargs", "adEeIiLlnPs"),
    ("flock", "wE"),
    ("chrt", ""),
    ("taskset", ""),
    ("unshare", ""),
    ("proot", ""),
    ("runuser", "ugG"),
];
/// Take this many words of their own before the command.
const OWN_WORDS: [(&str, usize); 5] =
    [("timeout", 1), ("chroot", 1), ("flock", 1), ("chrt", 1), ("taskset", 1)];

/// The last part of a program's path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The words of the command that is really run; empty when only the wrapper is.
pub fn unwrapped(words: &[Value]) -> &[Value] {
    let mut words = words;
    for _ in 0..16 {
        let Some(first) = words.first() else { return words };
        let name = base_name(&first.text);
        let Some((_, with_value)) = WRAPPERS.iter().find(|(wrapper, _)| *wrapper == name) else {
            return words;
        };
        let mut rest = &words[1..];
        while let Some(word) = rest.first() {
            let text = word.text.as_str();
            let is_assignment =
                matches!(name, "env" | "sudo") && text.contains('=') && !text.starts_with('-');
            if text == "--" {
                rest = &rest[1..];
                break;
            }
            if !is_assignment && (!text.starts_with('-') || text.len() < 2) {
                break;
            }
            let option = text.chars().nth(1).unwrap_or_default();
            let takes_next = text.len() == 2 && with_value.contains(option) && !is_assignment;
            rest = rest.get(if takes_next { 2 } else { 1 }..).unwrap_or_default();
        }
        let own = OWN_WORDS.iter().find(|(wrapper, _)| *wrapper == name).map_or(0, |(_, count)| *count);
        words = rest.get(own..).unwrap_or_default();
    }
    words
}

/// The arguments that are no options; `with_value` are the letters of options that take the next word.
pub fn operands<'v>(words: &'v [Value], with_value: &str) -> Vec<&'v Value> {
    let mut operands = Vec::new();
    let mut words = words.iter();
    let mut is_rest = false;
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if is_rest || !text.starts_with('-') || text == "-" {
            operands.push(word);
        } else if text == "--" {
            is_rest = true;
        } else if !text.starts_with("--") && text.chars().last().is_some_and(|last| with_value.contains(last))
        {
            words.next();
        }
    }
    operands
}

/// Whether one of the words is the option: `-x` alone or among others, or `--long`, with a value or without.
pub fn has_option(words: &[Value], short: Option<char>, long: &[&str]) -> bool {
    words.iter().take_while(|word| word.text != "--").any(|word| {
        let text = word.text.as_str();
        match text.strip_prefix("--") {
            Some(name) => long.contains(&name.split('=').next().unwrap_or_default()),
            None => text.strip_prefix('-').is_some_and(|letters| {
                short.is_some_and(|short| {
                    letters.chars().take_while(|c| c.is_ascii_alphabetic()).any(|c| c == short)
                })
            }),
        }
    })
}

/// The value of an option: `-o x`, `-ox`, `--long x` or `--long=x`.
pub fn option_value<'v>(words: &'v [Value], short: Option<char>, long: &[&str]) -> Option<&'v str> {
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let text = word.text.as_str();
        if let Some(name) = text.strip_prefix("--") {
            match name.split_once('=') {
                Some((name, value)) if long.contains(&name) => return Some(value),
                None if long.contains(&name) => return words.peek().map(|word| word.text.as_str()),
                _ => {}
            }
        } else if let (Some(short), Some(letters)) = (short, text.strip_prefix('-'))
            && let Some(at) = letters.find(short)
            && letters[..at].chars().all(|c| c.is_ascii_alphabetic())
        {
            let value = &letters[at + short.len_utf8()..];
            return if value.is_empty() { words.peek().map(|word| word.text.as_str()) } else { Some(value) };
        }
    }
    None
}
