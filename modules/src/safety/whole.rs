//! Files that were not wholly read, and would have been looked at: that is told, never passed over.

use super::{Beside, Findings, Kind, MAX_BYTES, NAMED, Severity, SourceFile, kind_of};

const WHY: &str = "it is too long, or too much comes before it";

pub fn check(files: &[SourceFile<'_>], beside: &Beside, findings: &mut Findings) {
    let (mut code, mut pages) = (Vec::new(), Vec::new());
    for file in files.iter().filter(|file| is_cut(file, beside)) {
        match kind_of(*file) {
            Kind::Dockerfile | Kind::Unit | Kind::Compose | Kind::Shell => {
                findings.not_looked_at(Severity::High, file.path, WHY);
            }
            // What browsers get is as large; a program that the module starts is found by being started.
            Kind::Code("node") if !file.bytes.starts_with(b"#!") => pages.push(file.path),
            Kind::Code(_) => code.push(file.path),
            // Data, as long as nothing runs it.
            Kind::Other => {}
        }
    }
    several(Severity::High, "code", &code, findings);
    several(Severity::Medium, "javascript", &pages, findings);
}

/// Names a few files, and counts many: the libraries of a program come by the thousand.
fn several(severity: Severity, what: &str, files: &[&str], findings: &mut Findings) {
    match files {
        [first, ..] if files.len() > NAMED => {
            let text =
                format!("{} files of {what} were not wholly looked at, this one among them", files.len());
            let hint = "leave libraries out of the package, or read them yourself before you accept this";
            findings.add(severity, format!("not-looked-at:{what}"), (first, 1), text, Some(hint));
        }
        few => few.iter().for_each(|file| findings.not_looked_at(severity, file, WHY)),
    }
}

pub(super) fn is_cut(file: &SourceFile<'_>, beside: &Beside) -> bool {
    file.bytes.len() > MAX_BYTES || beside.cut.contains(file.path)
}
