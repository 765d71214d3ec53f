//! The importer on labelled projects that were written for this test, one for each style of README.
#![cfg(feature = "import")]

use std::path::Path;

use count::Count;

#[path = "../examples/import-score/count.rs"]
#[expect(dead_code, reason = "the command also prints")]
mod count;
#[path = "../examples/import-score/score.rs"]
#[expect(dead_code, reason = "the command also prints names")]
mod score;
#[path = "../examples/import-score/truth.rs"]
mod truth;

#[test]
fn every_style_is_read_as_labelled() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readmes");
    let mut total = Count::default();
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder is in the repository").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let project = score::score(&name, &entry.path());
        assert!(!project.is_wrongly_deployable, "{name}");
        let own = project.total();
        assert!(own.f1() >= 0.9, "{name}: {:.3}\n{}", own.f1(), project.misses.join("\n"));
        total.add(own);
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} projects");
    assert!(total.f1() >= 0.98, "{:.3}", total.f1());
}
