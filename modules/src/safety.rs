//! The safety check of a module, before it can be deployed: what it asks for, and what its commands and scripts do.
//!
//! Pure, and nothing is searched for in text: commands are parsed, so that a mention in a comment or an `echo` is no
//! finding, and a command put together from variables is one.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::compose::module::ComposeFiles;
use crate::spec::error::SpecErrors;
use findings::Findings;
use flow::Lines;

mod code;
mod commands;
mod compose;
mod containers;
pub(crate) mod dockerfile;
mod findings;
mod flow;
mod manifest;
mod paths;
mod permissions;
mod printed;
mod programs;
pub(crate) mod reached;
mod run;
mod script;
pub mod shell;
mod system;
#[cfg(test)]
mod tests;
pub(crate) mod unit;
mod whole;

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
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// So many files of code that were not looked at are named one by one.
const NAMED: usize = 10;

/// What is known of the files of a package beside their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Beside {
    /// Files whose bytes are not all there.
    pub cut: BTreeSet<String>,
    /// Links, and where they lead to as they say it.
    pub links: BTreeMap<String, String>,
}

/// Checks a module: its MODULE.yaml, the files of its package and what is known beside them, and its compose project as
/// it is deployed.
///
/// Findings come in the order of the files and lines, each only once.
///
/// # Errors
/// When the MODULE.yaml is wrong.
pub fn check(
    manifest: SourceFile<'_>,
    files: &[SourceFile<'_>],
    beside: &Beside,
    compose: Option<&ComposeFiles>,
) -> Result<Vec<Finding>, SpecErrors> {
    let mut findings = Findings::default();
    manifest::check(manifest, files, compose, &mut findings)?;
    if let Some(compose) = manifest::compose_file(manifest).filter(|file| beside.cut.contains(file)) {
        findings.not_looked_at(Severity::High, &compose, "it is too long");
    }
    for file in files {
        check_file(*file, &mut findings);
    }
    whole::check(files, beside, &mut findings);
    run::check(files, beside, &mut findings);
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

/// What a file is by its name and its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dockerfile,
    Unit,
    Compose,
    Shell,
    Code(&'static str),
    Other,
}

impl Kind {
    fn of(path: &str, interpreter: Option<&str>) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if dockerfile::is_dockerfile(&name) {
            Kind::Dockerfile
        } else if unit::is_unit(&name) {
            Kind::Unit
        } else if compose::is_compose(&name) {
            Kind::Compose
        } else if programs::is_shell(interpreter.unwrap_or_default())
            || interpreter.is_none() && [".sh", ".bash"].iter().any(|end| name.ends_with(end))
        {
            Kind::Shell
        } else {
            code::language(interpreter, &name).map_or(Kind::Other, Kind::Code)
        }
    }
}

/// Whether a file that begins so has commands, which are looked at before everything else.
pub(crate) fn has_commands(path: &str, begin: &[u8]) -> bool {
    match Kind::of(path, None) {
        Kind::Dockerfile | Kind::Unit | Kind::Compose | Kind::Shell => true,
        Kind::Code(_) | Kind::Other => begin.starts_with(b"#!"),
    }
}

fn kind_of(file: SourceFile<'_>) -> Kind {
    let begin = String::from_utf8_lossy(&file.bytes[..file.bytes.len().min(512)]);
    Kind::of(file.path, programs::shebang(&begin).as_deref())
}

fn check_file(file: SourceFile<'_>, findings: &mut Findings) {
    permissions::check(file, findings);
    let text = text_of(file);
    match kind_of(file) {
        Kind::Dockerfile => dockerfile::check(&text, file.path, findings),
        Kind::Unit => unit::check(&text, file.path, findings),
        Kind::Compose => compose::check(file, findings),
        Kind::Shell => script::check(&text, file.path, Lines::From(1), findings),
        Kind::Code(language) => code::check(&text, language, file.path, Lines::From(1), findings),
        Kind::Other => {}
    }
}

fn text_of(file: SourceFile<'_>) -> Cow<'_, str> {
    String::from_utf8_lossy(&file.bytes[..file.bytes.len().min(MAX_BYTES)])
}

/// A text as a person reads it in a finding.
fn shown(text: &str) -> String {
    let text: String =
        text.chars().map(|c| if c.is_control() || c == flow::UNKNOWN { '…' } else { c }).collect();
    let short: String = text.chars().take(80).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
