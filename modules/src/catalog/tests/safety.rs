//! What the safety check says of the built-in modules: nothing of weight that is not listed here with its reason.

use super::*;
use crate::safety::{Beside, Severity, SourceFile, check};

/// Findings of high severity that a module cannot do without: module, finding, reason.
const ACCEPTED: [(&str, &str, &str); 0] = [];

#[test]
fn no_built_in_module_asks_for_more_than_is_known_here() {
    let mut found = Vec::new();
    for module in Catalog::built_in().iter() {
        let name = module.spec.name.as_str();
        let (manifests, files): (Vec<_>, Vec<_>) =
            module.files.iter().map(source).partition(|file| file.path == MANIFEST);
        let compose = module.pack().unwrap_or_else(|error| panic!("{name}: {error}")).compose;
        let findings = check(manifests[0], &files, &Beside::default(), compose.as_ref());
        let findings = findings.unwrap_or_else(|errors| panic!("{name}: {errors}"));
        found.extend(findings.into_iter().map(|finding| (name, finding)));
    }
    assert!(found.iter().any(|(name, _)| *name == "home-assistant"), "its use of the node's network is seen");
    found.retain(|(_, finding)| finding.severity == Severity::High);
    let is_accepted =
        |name: &str, id: &str| ACCEPTED.iter().any(|accepted| (accepted.0, accepted.1) == (name, id));
    let open = found.iter().filter(|(name, finding)| !is_accepted(name, &finding.id));
    let open: Vec<String> = open.map(|(name, finding)| format!("{name}: {finding}")).collect();
    assert!(open.is_empty(), "{open:#?}");
    for (name, id, _) in ACCEPTED {
        let is_found = found.iter().any(|(module, finding)| *module == name && finding.id == id);
        assert!(is_found, "{name}: {id} is accepted, but no longer found");
    }
}

fn source(file: &EmbeddedFile) -> SourceFile<'_> {
    SourceFile { path: file.path, bytes: file.content, mode: if file.is_executable { 0o755 } else { 0o644 } }
}
