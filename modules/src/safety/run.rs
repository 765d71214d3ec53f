//! Looks at what is run of a package as what runs it reads it, and at what that runs in turn.

use std::collections::{BTreeMap, BTreeSet};

use super::flow::Lines;
use super::reached::{Files, Language, Run, language};
use super::whole::is_cut;
use super::{Beside, Findings, Kind, Severity, SourceFile, code, kind_of, script, text_of};

pub fn check(files: &[SourceFile<'_>], beside: &Beside, findings: &mut Findings) {
    let by_path: BTreeMap<&str, SourceFile<'_>> = files.iter().map(|file| (file.path, *file)).collect();
    let names = Files::new(by_path.keys().copied());
    for (link, target) in &beside.links {
        findings.copied(link, target, link);
    }
    let mut seen: BTreeSet<Run> = BTreeSet::new();
    let mut looked_at: BTreeSet<(&str, Language)> = BTreeSet::new();
    loop {
        let runs: Vec<Run> = findings.runs.difference(&seen).cloned().collect();
        if runs.is_empty() {
            return;
        }
        for run in runs {
            for path in names.run(&run.path, &findings.copies) {
                if let Some(file) = by_path.get(path)
                    && let Some(language) = language(file.bytes, run.by.as_deref())
                    && looked_at.insert((path, language))
                {
                    look(*file, language, beside, findings);
                }
            }
            seen.insert(run);
        }
    }
}

fn look(file: SourceFile<'_>, language: Language, beside: &Beside, findings: &mut Findings) {
    let text = text_of(file);
    if is_cut(&file, beside) {
        findings.not_looked_at(
            Severity::High,
            file.path,
            "it is run, and too long, or too much comes before it",
        );
    }
    match (language, kind_of(file)) {
        // That was done already.
        (Language::Shell, Kind::Shell) => {}
        (Language::Code(language), Kind::Code(known)) if language == known => {}
        (Language::Shell, _) => script::check(&text, file.path, Lines::From(1), findings),
        (Language::Code(language), _) => code::check(&text, language, file.path, Lines::From(1), findings),
    }
}
