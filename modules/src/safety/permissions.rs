//! The permission bits of files.

use super::{Findings, Severity, SourceFile};

pub fn check(file: SourceFile<'_>, findings: &mut Findings) {
    if file.mode & 0o6000 != 0 {
        let text = "runs with the rights of its owner, whoever starts it";
        findings.add(Severity::High, "setuid", (file.path, 1), text, Some("chmod u-s,g-s"));
    }
    if file.mode & 0o002 != 0 {
        let text = "everybody on the node can write it";
        findings.add(Severity::Medium, "world-writable", (file.path, 1), text, Some("chmod o-w"));
    }
}
