//! Collects what is found, and what is run of the package, so that it is looked at too.

use std::collections::{BTreeMap, BTreeSet};

use super::flow::Lines;
use super::programs::base_name;
use super::reached::Run;
use super::{Finding, Severity};

/// How many are kept of what needs nobody's consent.
const MOST: usize = 500;
/// How many are kept at all: beyond it, that there are more is a finding of its own that has to be accepted.
const MOST_HIGH: usize = 5_000;
/// Of files that are run, by the names that are used for them.
const MOST_RUNS: usize = 10_000;
/// That are copied to places of one name.
const MOST_COPIES: usize = 64;

#[derive(Default)]
pub(crate) struct Findings {
    found: Vec<Finding>,
    known: BTreeSet<(String, String, usize)>,
    /// The high ones that are there, by which they are accepted.
    ids: BTreeSet<String>,
    omitted: usize,
    /// Where everything is that is found in a text which does not stand in the file as it is.
    only_line: Option<usize>,
    /// Files that something starts, sources, or hands to an interpreter.
    pub runs: BTreeSet<Run>,
    /// By the name under which a file was put somewhere: what it was before.
    pub copies: BTreeMap<String, BTreeSet<String>>,
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
        if !self.known.insert((id.clone(), file.clone(), line)) {
            return;
        }
        // One place is enough to accept a finding by; no high one goes without any.
        let is_high = severity == Severity::High;
        let is_new = is_high && !self.ids.contains(&id) && self.found.len() < MOST_HIGH;
        if self.found.len() >= MOST && !is_new {
            self.omitted += 1;
            self.known.remove(&(id.clone(), file.clone(), line));
            if !is_high || self.ids.contains(&id) || !self.ids.insert("too-many-findings".to_owned()) {
                return;
            }
            let text = "there are more dangerous things in this package than are listed".to_owned();
            let id = "too-many-findings".to_owned();
            return self.found.push(Finding { id, severity, file, line, text, hint: None });
        }
        if is_high {
            self.ids.insert(id.clone());
        }
        let hint = hint.map(str::to_owned);
        self.found.push(Finding { id, severity, file, line, text, hint });
    }

    /// Remembers that `file` runs another one, so that this is looked at, whatever its name.
    pub fn runs(&mut self, file: &str, path: &str, by: Option<&str>) {
        if self.runs.len() == MOST_RUNS {
            return self.not_looked_at(Severity::High, file, "too many files are run");
        }
        self.runs.insert(Run { path: path.to_owned(), by: by.map(str::to_owned) });
    }

    pub fn copied(&mut self, file: &str, from: &str, to: &str) {
        let copies = self.copies.entry(base_name(to).to_owned()).or_default();
        if copies.len() == MOST_COPIES {
            return self.not_looked_at(Severity::High, file, "too many files are copied");
        }
        copies.insert(from.to_owned());
    }

    /// A file of which not everything was looked at, although it could be run.
    pub fn not_looked_at(&mut self, severity: Severity, file: &str, why: &str) {
        let text = format!("not all of it was looked at: {why}");
        let hint = "make it smaller or simpler, or read it yourself before you accept this";
        // It is the file that was not looked at, wherever that was noticed.
        let outer = self.only_line.take();
        self.add(severity, format!("not-looked-at:{file}"), (file, 1), text, Some(hint));
        self.only_line = outer;
    }

    /// Goes into a text; what this gives is for [`Findings::leave`].
    pub fn enter(&mut self, lines: Lines) -> Option<usize> {
        let outer = self.only_line;
        if let Lines::In(line) = lines {
            self.only_line.get_or_insert(line);
        }
        outer
    }

    pub fn leave(&mut self, outer: Option<usize>) {
        self.only_line = outer;
    }

    pub fn finish(mut self) -> Vec<Finding> {
        self.found.sort_by(|a, b| (&a.file, a.line, &a.id).cmp(&(&b.file, b.line, &b.id)));
        if let (Some(last), true) = (self.found.last(), self.omitted > 0) {
            let text = format!("{} more findings like these are not listed", self.omitted);
            let (file, line) = (last.file.clone(), last.line);
            let id = "more-findings".to_owned();
            self.found.push(Finding { id, severity: Severity::Info, file, line, text, hint: None });
        }
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_high_finding_is_dropped_however_many_others_there_are() {
        let mut findings = Findings::default();
        for line in 1..=2 * MOST {
            findings.add(Severity::Medium, "unpinned-image", ("a", line), "x", None);
        }
        findings.add(Severity::High, "privileged", ("z", 1), "x", None);
        findings.add(Severity::High, "privileged", ("z", 2), "x", None);
        let found = findings.finish();
        let high: Vec<&str> =
            found.iter().filter(|one| one.severity == Severity::High).map(|one| one.id.as_str()).collect();
        assert_eq!(high, ["privileged"]);
        assert_eq!(found.len(), MOST + 2);
        assert!(found[MOST + 1].text.starts_with("501 more"), "{}", found[MOST + 1].text);
    }

    #[test]
    fn more_kinds_of_danger_than_are_listed_are_a_danger_of_their_own() {
        let mut findings = Findings::default();
        for number in 0..=MOST_HIGH + 5 {
            findings.add(Severity::High, format!("device:/dev/{number}"), ("a", number + 1), "x", None);
        }
        let found = findings.finish();
        assert_eq!(found.iter().filter(|one| one.id == "too-many-findings").count(), 1);
    }
}
