//! No README and no compose file may break the importer, and each draft must be a valid module.

#![no_main]

use libfuzzer_sys::fuzz_target;
use modules::import::{Files, Source, Verdict, import};
use modules::spec::ModuleSpec;

fuzz_target!(|data: &[u8]| {
    // The first byte says what kind of text it is.
    let Some((kind, text)) = data.split_first() else { return };
    let mut files = Files::default();
    let path = ["README.md", "README.rst", "README.adoc", "compose.yaml"][usize::from(kind % 4)];
    files.insert(path, text);
    if path == "compose.yaml" {
        files.insert("README.md", "# lantern\n\nRun `docker compose up`.\n");
    }
    let source = Source::of_url("https://example.org/owner/lantern");
    if let Ok(import) = import(&files, &source)
        && let Verdict::Deployable(draft) = import.verdict
    {
        ModuleSpec::parse("MODULE.yaml", &draft.yaml).expect("a draft is valid");
    }
});
