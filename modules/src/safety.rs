//! The safety check of a module, before it can be deployed: what it asks for, and what its commands and scripts do.
//!
//! Pure, and nothing is searched for in text: commands are parsed, so that a mention in a comment or an `echo` is no
//! finding, and a command put together from variables is one.

use std::fmt;

use crate::compose::module::ComposeFiles;
use crate::spec::error::SpecErrors;
use flow::Lines;

mod code;
mod commands;
mod compose;
mod containers;
pub(crate) mod dockerfile;
mod flow;
mod manifest;
mod paths;
mod permissions;
mod printed;
mod programs;
mod script;
pub mod shell;
mod system;
#[cfg(test)]
mod tests;
pub(crate) mod unit;

/// What a person should know before they deploy a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Names the finding, and stays the same: `privileged`, `host-path:/etc`.
    pub id: String,
    pub severity: Severity,
    pub file: String,
    pub line: usize,
    /// What it is and why it matters, in one sentence.
    pub text: String,
    pub hint: Option<String>,
}

/// How much a finding matters; the high ones have to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { id, severity, file, line, text, .. } = self;
        write!(f, "{file}:{line}: {severity}: {text} [{id}]")
    }
}

/// A file of a package, or one that a module was made from.
#[derive(Debug, Clone, Copy)]
pub struct SourceFile<'f> {
    /// In the package, such as `templates/app.conf`.
    pub path: &'f str,
    pub bytes: &'f [u8],
    /// The permission bits, where they are known; 0 otherwise.
    pub mode: u32,
}

/// The most of one file that is looked at.
const MAX_BYTES: usize = 1 << 20;
const MAX_FINDINGS: usize = 500;

/// Checks a module: its MODULE.yaml, the files of its package, and its compose project as it is deployed.
///
/// Findings come in the order of the files and lines, each only once.
///
/// # Errors
/// When the MODULE.yaml is wrong.
pub fn check(
    manifest: SourceFile<'_>,
    files: &[SourceFile<'_>],
    compose: Option<&ComposeFiles>,
) -> Result<Vec<Finding>, SpecErrors> {
    let mut findings = Findings::default();
    manifest::check(manifest, files, compose, &mut findings)?;
    for file in files {
        check_file(*file, &mut findings);
    }
    Ok(findings.finish())
}

/// Checks a file on its own, such as a script that a README tells people to run.
pub fn check_source(file: SourceFile<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    check_file(file, &mut findings);
    findings.finish()
}

/// Checks commands for the shell that begin at a line of a file, such as a fence of a README.
pub fn check_commands(file: &str, line: usize, text: &str) -> Vec<Finding> {
    let mut findings = Findings::default();
    script::check(text, file, Lines::From(line), &mut findings);
    findings.finish()
}

/// The high findings that nobody has accepted.
pub fn unaccepted<'f>(findings: &'f [Finding], accepted: &[String]) -> Vec<&'f Finding> {
    let is_open = |finding: &&Finding| finding.severity == Severity::High && !accepted.contains(&finding.id);
    findings.iter().filter(is_open).collect()
}

/// What was accepted and is not there, with the finding that may have been meant.
pub fn unknown<'f>(findings: &'f [Finding], accepted: &[String]) -> Vec<(String, Option<&'f str>)> {
    let ids = || findings.iter().map(|finding| finding.id.as_str());
    let is_unknown = |id: &&String| !ids().any(|known| known == id.as_str());
    let suggest = |id: &String| (id.clone(), crate::suggest::closest(id, ids()));
    accepted.iter().filter(is_unknown).map(suggest).collect()
}

fn check_file(file: SourceFile<'_>, findings: &mut Findings) {
    permissions::check(file, findings);
    let bytes = &file.bytes[..file.bytes.len().min(MAX_BYTES)];
    let text = String::from_utf8_lossy(bytes);
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let interpreter = programs::shebang(&text);
    if bytes.contains(&0) && interpreter.is_none() {
        return;
    }
    let lower = name.to_ascii_lowercase();
    if dockerfile::is_dockerfile(&lower) {
        dockerfile::check(&text, file.path, findings);
    } else if unit::is_unit(&lower) {
        unit::check(&text, file.path, findings);
    } else if compose::is_compose(&lower) {
        compose::check(file, findings);
    } else if programs::is_shell(interpreter.as_deref().unwrap_or_default())
        || interpreter.is_none() && [".sh", ".bash"].iter().any(|end| lower.ends_with(end))
    {
        script::check(&text, file.path, Lines::From(1), findings);
    } else if let Some(language) = code::language(interpreter.as_deref(), &lower) {
        code::check(&text, language, file.path, Lines::From(1), findings);
    }
}

/// Collects findings.
#[derive(Default)]
pub(crate) struct Findings {
    found: Vec<Finding>,
    /// Where everything is that is found in a text which does not stand in the file as it is.
    only_line: Option<usize>,
}

impl Findings {
    pub fn add(
        &mut self,
        severity: Severity,
        id: impl Into<String>,
        (file, line): (&str, usize),
        text: impl Into<String>,
        hint: Option<&str>,
    ) {
        let (id, text, file) = (id.into(), text.into(), file.to_owned());
        let line = self.only_line.unwrap_or(line);
        let is_known = |known: &Finding| known.id == id && known.file == file && known.line == line;
        if self.found.len() < MAX_FINDINGS && !self.found.iter().any(is_known) {
            let hint = hint.map(str::to_owned);
            self.found.push(Finding { id, severity, file, line, text, hint });
        }
    }

    /// Goes into a text; what this gives is for [`Findings::leave`].
    fn enter(&mut self, lines: Lines) -> Option<usize> {
        let outer = self.only_line;
        if let Lines::In(line) = lines {
            self.only_line.get_or_insert(line);
        }
        outer
    }

    fn leave(&mut self, outer: Option<usize>) {
        self.only_line = outer;
    }

    fn finish(mut self) -> Vec<Finding> {
        self.found.sort_by(|a, b| (&a.file, a.line, &a.id).cmp(&(&b.file, b.line, &b.id)));
        self.found
    }
}

/// A text as a person reads it in a finding.
fn shown(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_control() || c == flow::UNKNOWN { '…' } else { c }).collect();
    let short: String = text.chars().take(80).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
