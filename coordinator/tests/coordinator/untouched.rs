//! Dry runs write nothing.

use crate::program::Program;

#[test]
fn a_dry_run_of_a_catalog_name_registers_nothing() {
    let program = Program::new();
    let dry = program.run(&["deploy", "hello-web", "--dry-run"]);
    assert_eq!(dry.status, 0, "{}", dry.stderr);
    assert!(dry.stdout.contains("hello-web"), "{}", dry.stdout);
    assert_eq!(keys(&program), Vec::<String>::new());
    assert_eq!(files(&program), 0, "no package is kept");
    // What is deployed is registered: the look above sees it where there is something to see.
    let wrong = program.run(&["module", "versions", "hello-web"]);
    assert_eq!(wrong.status, 0, "{}", wrong.stderr);
    assert!(keys(&program).iter().any(|key| key.starts_with("/releases/")), "{:?}", keys(&program));
    assert_ne!(files(&program), 0);
}

fn keys(program: &Program) -> Vec<String> {
    let store = rusqlite::Connection::open(program.home().join("data/orchestrator.db")).expect("a store");
    let mut query = store.prepare("SELECT key FROM entries").expect("a table");
    let keys = query.query_map([], |row| row.get(0)).expect("asked");
    keys.collect::<Result<_, _>>().expect("texts")
}

fn files(program: &Program) -> usize {
    let mut folders = vec![program.home().join("data/packages")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => count += 1,
            }
        }
    }
    count
}
