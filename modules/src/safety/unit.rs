//! Unit files of systemd: which commands they run, and as whom.

use super::flow::Lines;
use super::{Findings, Severity, containers, paths, script};
use crate::compose::split_words;

/// Whether a file's name, in lower case, is that of a unit.
pub fn is_unit(name: &str) -> bool {
    [".service", ".socket", ".timer", ".path", ".mount", ".service.in"].iter().any(|end| name.ends_with(end))
}

pub fn check(text: &str, file: &str, findings: &mut Findings) {
    let settings = settings(text);
    let mut is_service = false;
    let mut names_user = false;
    for Setting { line, section, key, value } in &settings {
        let place = (file, *line);
        match (section.as_str(), key.as_str()) {
            ("Service", key) if key.starts_with("Exec") => {
                is_service |= key == "ExecStart";
                command(value, file, *line, findings);
            }
            ("Service", "User") => names_user = !matches!(value.as_str(), "root" | "0" | ""),
            ("Service", "DynamicUser") => names_user |= matches!(value.as_str(), "yes" | "true" | "1" | "on"),
            ("Service", "AmbientCapabilities") => {
                for name in value.split_whitespace().filter(|name| !name.starts_with('~')) {
                    containers::capability(name, place, findings);
                }
            }
            ("Service", "Environment") => {
                for word in split_words(value).unwrap_or_default() {
                    if let Some((key, value)) = word.split_once('=') {
                        containers::variable(key, value, place, findings);
                    }
                }
            }
            ("Service", "ReadWritePaths" | "BindPaths") => {
                for path in value.split_whitespace() {
                    let path = path.trim_start_matches(['-', '+']).split(':').next().unwrap_or_default();
                    if paths::is_system_root(path) {
                        containers::bind(path, false, place, findings);
                    }
                }
            }
            _ => {}
        }
    }
    if is_service && !names_user {
        let line =
            settings.iter().find(|setting| setting.key == "ExecStart").map_or(1, |setting| setting.line);
        let text = "runs as root: the unit names no other user";
        findings.add(Severity::Low, "runs-as-root", (file, line), text, Some("add User= or DynamicUser=yes"));
    }
}

fn command(value: &str, file: &str, line: usize, findings: &mut Findings) {
    // `-`, `@`, `:`, `+`, `!` in front say how it is run, not what.
    let plain = value.trim_start_matches(['-', '@', ':', '+', '!']);
    match split_words(plain) {
        Ok(words) => script::check_argv(&words, file, line, findings),
        Err(_) => script::check(plain, file, Lines::In(line), findings),
    }
}

pub(crate) struct Setting {
    pub line: usize,
    pub section: String,
    pub key: String,
    pub value: String,
}

pub(crate) fn settings(text: &str) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        let mut setting = trimmed.to_owned();
        while let Some(begun) = setting.strip_suffix('\\') {
            let Some((_, next)) = lines.next() else { break };
            let next = next.trim();
            let is_comment = next.starts_with(['#', ';']);
            setting = if is_comment { format!("{begun}\\") } else { format!("{begun} {next}") };
        }
        if let Some((key, value)) = setting.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            found.push(Setting { line: index + 1, section: section.clone(), key, value });
        }
    }
    found
}
