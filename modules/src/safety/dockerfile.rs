//! Dockerfiles that come with a package: what building the image would run.

use super::flow::Lines;
use super::{Findings, Severity, containers, script};

/// Whether a file's name, in lower case, is that of a Dockerfile.
pub fn is_dockerfile(name: &str) -> bool {
    name == "dockerfile"
        || name == "containerfile"
        || name.starts_with("dockerfile.")
        || name.ends_with(".dockerfile")
}

pub fn check(text: &str, file: &str, findings: &mut Findings) {
    let mut stages: Vec<String> = Vec::new();
    for (line, instruction) in instructions(text) {
        let (name, rest) = instruction.split_once(char::is_whitespace).unwrap_or((&instruction, ""));
        let rest = rest.trim_start();
        match name.to_ascii_uppercase().as_str() {
            "FROM" => {
                let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
                let image = words.next().unwrap_or_default();
                if !stages.iter().any(|stage| stage.eq_ignore_ascii_case(image)) && !image.contains('$') {
                    containers::image(image, (file, line), findings);
                }
                stages.extend(words.nth(1).map(str::to_owned));
            }
            "RUN" | "CMD" | "ENTRYPOINT" | "HEALTHCHECK" => command(rest, file, line, findings),
            "ADD" if rest.split_whitespace().any(|word| word.starts_with("http://")) => {
                let text = "downloads without checking whom it downloads from";
                findings.add(Severity::Medium, "insecure-download", (file, line), text, None);
            }
            "ENV" | "ARG" => variables(rest, file, line, findings),
            _ => {}
        }
    }
}

fn command(rest: &str, file: &str, line: usize, findings: &mut Findings) {
    let mut rest = rest;
    // `--mount=…` of RUN, `--interval=… CMD` of HEALTHCHECK.
    while let Some(option) = rest.split_whitespace().next().filter(|word| word.starts_with("--")) {
        rest = rest[option.len()..].trim_start();
    }
    rest = rest.strip_prefix("CMD ").unwrap_or(rest).trim_start();
    match serde_json::from_str::<Vec<String>>(rest.trim()) {
        Ok(words) => script::check_argv(&words, file, line, findings),
        // `RUN <<EOF` hands the text to the shell.
        Err(_) if rest.starts_with("<<") => {
            script::check(&format!("sh {rest}"), file, Lines::From(line), findings)
        }
        Err(_) => script::check(rest, file, Lines::From(line), findings),
    }
}

fn variables(rest: &str, file: &str, line: usize, findings: &mut Findings) {
    let words = crate::compose::split_words(rest).unwrap_or_default();
    for word in &words {
        if let Some((key, value)) = word.split_once('=') {
            containers::variable(key, value, (file, line), findings);
        }
    }
    if let [key, value] = words.as_slice()
        && !key.contains('=')
    {
        containers::variable(key, value, (file, line), findings);
    }
}

/// Instructions with their lines joined: a continued line keeps its line end, so that places stay right.
pub(crate) fn instructions(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let mut instruction = line.trim_start().to_owned();
        while instruction.trim_end().ends_with('\\') {
            let Some((_, next)) = lines.next() else { break };
            // A comment inside an instruction is no part of it.
            let next = if next.trim_start().starts_with('#') { "\\" } else { next };
            instruction.push('\n');
            instruction.push_str(next);
        }
        for delimiter in here_documents(&instruction) {
            for (_, next) in lines.by_ref() {
                instruction.push('\n');
                instruction.push_str(next);
                if next.trim() == delimiter {
                    break;
                }
            }
        }
        found.push((index + 1, instruction));
    }
    found
}

/// The delimiters of the here-documents that begin in a line.
fn here_documents(line: &str) -> Vec<String> {
    let is_run = line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("RUN "));
    if !is_run {
        return Vec::new();
    }
    let after = line.split("<<").skip(1).filter(|rest| !rest.starts_with('<'));
    let plain = |rest: &str| -> String {
        let rest = rest.trim_start_matches('-').trim_start_matches(['"', '\'']);
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    after.map(plain).filter(|delimiter: &String| !delimiter.is_empty()).collect()
}
