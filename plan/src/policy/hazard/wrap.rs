//! Programs that run the program in their words: what is left when the wrapper is taken off.

use super::Finding;

/// Takes off options, those with a value after them too, and so many words.
pub(super) fn unwrap(
    words: &[String],
    with_value: &[&str],
    alone: &[&str],
    positional: usize,
) -> Vec<Finding> {
    let mut rest = words;
    while let Some((word, after)) = rest.split_first().filter(|(word, _)| word.starts_with('-')) {
        rest = after;
        let is_number = word.len() > 1 && word[1..].bytes().all(|byte| byte.is_ascii_digit());
        if word == "--" {
            break;
        }
        if with_value.contains(&word.as_str()) {
            rest = rest.get(1..).unwrap_or_default();
        } else if !alone.contains(&word.as_str()) && !is_number && !has_its_value(word, with_value) {
            return vec![Finding::Forbid(format!("the option {word} is not known"))];
        }
    }
    runs(rest.get(positional..).unwrap_or_default())
}

/// `-n10` or `--adjustment=10`.
fn has_its_value(word: &str, with_value: &[&str]) -> bool {
    with_value.iter().any(|option| match option.starts_with("--") {
        true => word.strip_prefix(option).is_some_and(|rest| rest.starts_with('=')),
        false => !word.starts_with("--") && word.starts_with(option),
    })
}

fn runs(inner: &[String]) -> Vec<Finding> {
    match inner {
        [] => vec![Finding::Forbid("it runs nothing that can be judged".to_owned())],
        inner => vec![Finding::Runs(inner.to_vec())],
    }
}

/// `env [-i] [-u NAME] [NAME=VALUE]… program …`
pub(super) fn env(words: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        match word.as_str() {
            "-i" | "-" | "--ignore-environment" | "--" => rest = after,
            "-u" | "--unset" => rest = after.get(1..).unwrap_or_default(),
            word if word.starts_with("--unset=") => rest = after,
            word if word.starts_with('-') => {
                findings.push(Finding::Forbid(format!(
                    "the option {word} is not known, or splits a text into words"
                )));
                return findings;
            }
            word => match word.split_once('=') {
                Some((name, value)) => {
                    findings.push(Finding::Variable(name.to_owned(), value.to_owned()));
                    rest = after;
                }
                None => break,
            },
        }
    }
    findings.extend(runs(rest));
    findings
}

/// `find … -exec program … ;`: what it runs is judged, with names that nobody knows yet.
pub(super) fn find(words: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        match word.as_str() {
            "-exec" | "-execdir" | "-ok" | "-okdir" => {
                let end = words[at..].iter().position(|word| word == ";" || word == "+");
                let inner = &words[at..end.map_or(words.len(), |end| at + end)];
                at += inner.len();
                findings.push(Finding::Ask("runs a program on files that nobody has seen yet".to_owned()));
                match inner.first().is_some_and(|program| program.contains("{}")) {
                    true => findings.push(Finding::Forbid("runs the files it finds".to_owned())),
                    false => findings.extend(runs(inner)),
                }
            }
            "-delete" => findings.push(Finding::Ask("deletes files that nobody has seen yet".to_owned())),
            "-fprint" | "-fprint0" | "-fprintf" | "-fls" | "-files0-from" => {
                findings.push(Finding::Forbid(format!("{word} reads or writes another file")));
            }
            _ => {}
        }
    }
    findings
}
