//! How an import is shown: the module, where each field is from, and what to look at.

use modules::import::{Confidence, Trace};
use modules::safety::Finding;
use modules::spec::ModuleSpec;
use serde::Serialize;

use super::draft::Made;
use crate::cli::console::{Look, Style};
use crate::cli::registry::short;
use crate::cli::table::{Cell, Fit, Table};

#[derive(Debug, Serialize)]
pub struct Shown {
    deployable: bool,
    /// Why there is nothing to deploy.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<String>,
    source: String,
    commit: Option<String>,
    /// Of 100.
    confidence: u32,
    draft: bool,
    module: Option<ModuleSpec>,
    yaml: Option<String>,
    provenance: Vec<Trace>,
    warnings: Vec<String>,
    notes: Vec<String>,
    /// Of the safety check; the high ones have to be accepted.
    pub findings: Vec<ShownFinding>,
    /// Where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// As what it is in the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct ShownFinding {
    id: String,
    severity: &'static str,
    file: String,
    line: usize,
    text: String,
    hint: Option<String>,
}

impl From<&Finding> for ShownFinding {
    fn from(finding: &Finding) -> Self {
        let Finding { id, severity, file, line, text, hint } = finding.clone();
        Self { id, severity: severity.as_str(), file, line, text, hint }
    }
}

impl Shown {
    pub fn of(made: &Made) -> Self {
        let warning = |warning: &modules::import::Warning| match &warning.origin {
            Some(origin) if origin.line > 0 => {
                format!("{}: {} ({}:{})", warning.field, warning.text, origin.file, origin.line)
            }
            Some(_) | None => format!("{}: {}", warning.field, warning.text),
        };
        Self {
            deployable: made.module.is_some(),
            reason: made.nothing.as_ref().map(|nothing| nothing.reason),
            sentence: made.nothing.as_ref().map(|nothing| nothing.sentence.clone()),
            source: made.origin.clone(),
            commit: made.commit.clone(),
            confidence: made.confidence,
            draft: made.is_draft,
            module: made.module.as_ref().map(|module| module.spec.clone()),
            yaml: made.module.as_ref().map(|module| module.yaml.clone()),
            provenance: made.provenance.clone(),
            warnings: made.warnings.iter().map(warning).collect(),
            notes: made.notes.clone(),
            findings: Vec::new(),
            folder: None,
            added: None,
        }
    }

    pub fn text(&self, look: &Look) -> String {
        let mut text = String::new();
        if let Some(module) = &self.module {
            let name = look.paint(Style::Bold, module.name.as_str());
            text.push_str(&format!("{name} {}\n", module.version));
        }
        let commit = self.commit.as_deref().map_or(String::new(), |commit| format!(" at {}", short(commit)));
        let kind = match self.draft {
            true => format!("a draft, confidence {} %", self.confidence),
            false => "a module as it was written".to_owned(),
        };
        text.push_str(&format!("from {}{commit}: {kind}\n\n", self.source));
        for line in self.yaml.iter().flat_map(|yaml| yaml.lines()) {
            text.push_str(&format!("    {line}\n"));
        }
        if !self.provenance.is_empty() {
            text.push('\n');
            text.push_str(&self.table().render(look));
        }
        if !self.warnings.is_empty() || !self.notes.is_empty() {
            text.push('\n');
        }
        for warning in self.warnings.iter().chain(&self.notes) {
            text.push_str(&format!("{} {warning}\n", look.paint(Style::Warn, "look at:")));
        }
        for finding in &self.findings {
            let style = if finding.severity == "high" { Style::Bad } else { Style::Dim };
            let ShownFinding { id, severity, file, line, text: what, .. } = finding;
            text.push_str(&format!(
                "{} {what} ({file}:{line}) [{id}]\n",
                look.paint(style, &format!("{severity}:"))
            ));
        }
        text
    }

    fn table(&self) -> Table {
        let mut table =
            Table::new(&[("FIELD", Fit::Keep), ("VALUE", Fit::Cut), ("", Fit::Keep), ("FROM", Fit::Cut)]);
        for trace in &self.provenance {
            let (word, style) = match trace.confidence {
                Confidence::Read => ("", Style::Plain),
                Confidence::Inferred => ("inferred", Style::Dim),
                Confidence::Filled => ("by a model", Style::Warn),
                Confidence::Assumed => ("assumed", Style::Warn),
            };
            let from = match (trace.origin.file.as_str(), trace.origin.line) {
                (file, 0) => file.to_owned(),
                (file, line) => format!("{file}:{line}"),
            };
            table.row([
                Cell::from(&trace.field),
                trace.value.as_str().into(),
                Cell::styled(word, style),
                from.into(),
            ]);
        }
        table
    }
}
