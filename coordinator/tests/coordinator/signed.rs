//! Repositories whose modules are signed.

use serde_json::json;

use crate::program::Program;
use crate::repository::Repository;

#[test]
fn a_sync_brings_signatures_along_so_that_a_policy_can_ask_for_them() {
    let program = Program::new();
    program.json(&["module", "key", "my.key"]);
    let keys = program.json(&["module", "trust", "add", "my.key.pub"]);
    refuse_unsigned(&program);
    let repository = Repository::new();
    repository.module("tea", "tea", "1.0.0", "");
    repository.module("deep/er/cup", "cup", "0.1.0", "");
    repository.commit();
    let url = repository.bare();
    let add = ["registry", "add", "friends", &url];
    program.run(&add).fails(1, "is not signed");
    sign(&program, &repository, "tea");
    repository.commit();
    program.run(&add).fails(1, "is not signed");
    assert_eq!(program.json(&["registry", "list"]), json!([]), "one signature of two is none");
    sign(&program, &repository, "deep/er/cup");
    repository.commit();
    program.json(&add);
    let signer = program.json(&["module", "show", "cup"])["signed_by"].clone();
    assert!(signer.as_str().is_some_and(|signer| signer.starts_with(keys[0]["id"].as_str().expect("an id"))));

    repository.module("tea", "tea", "1.1.0", "");
    repository.commit();
    program.run(&["registry", "sync"]).fails(1, "signature does not hold");
    let versions = program.json(&["module", "versions", "tea"]);
    assert_eq!(versions.as_array().map(Vec::len), Some(1), "what was signed before is not this: {versions}");
    repository.write("tea.minisig", &"x".repeat(1 << 20));
    repository.commit();
    program.run(&["registry", "sync"]).fails(2, "tea.minisig has more than");
    sign(&program, &repository, "tea");
    repository.commit();
    assert_eq!(program.json(&["registry", "sync"])["updated"], json!(["tea@1.1.0"]));
}

#[test]
fn an_archive_carries_signatures_to_a_registry_that_asks_for_them() {
    let (here, there) = (Program::new(), Program::new());
    here.json(&["module", "key", "my.key"]);
    here.json(&["module", "trust", "add", "my.key.pub"]);
    let tea = here.module("tea", "tea", "1.0.0", "");
    here.json(&["module", "sign", &tea, "--key", "my.key"]);
    here.json(&["module", "add", &tea]);
    here.json(&["module", "pin", "tea@1.0.0"]);
    assert_eq!(here.run(&["module", "export", "all.tar.gz"]).status, 0);
    let archive = here.home().join("all.tar.gz");
    let archive = archive.to_str().expect("UTF-8");

    let stranger = there.run(&["module", "load", archive]);
    assert_eq!(
        (stranger.status, stranger.stderr.contains("is not trusted here")),
        (0, true),
        "{}",
        stranger.stderr
    );
    refuse_unsigned(&there);
    there.run(&["module", "load", archive]).fails(1, "signature");
    let key = here.home().join("my.key.pub");
    there.json(&["module", "trust", "add", key.to_str().expect("UTF-8")]);
    there.json(&["module", "load", archive]);
    let signer = |program: &Program| program.json(&["module", "show", "tea@1.0.0"])["signed_by"].clone();
    assert_eq!(signer(&there), signer(&here));
    assert!(signer(&here).is_string());

    // From there, too, and loading it without a signature again takes nothing away.
    assert_eq!(there.run(&["module", "export", "again.tar.gz"]).status, 0);
    let again = there.home().join("again.tar.gz");
    here.json(&["module", "load", again.to_str().expect("UTF-8")]);
    here.run(&[
        "module",
        "trust",
        "remove",
        signer(&here).as_str().and_then(|key| key.split(' ').next()).expect("a key"),
    ]);
    assert_eq!(here.run(&["module", "load", archive]).status, 0);
    assert!(signer(&here).is_string());
    here.run(&["module", "unpin", "tea"]);
    here.run(&["module", "deprecate", "tea@1.0.0", "--reason", "cold"]);
    let loaded = here.run(&["module", "load", archive]);
    assert!(loaded.stderr.contains("keeps the pin"), "{}", loaded.stderr);
    assert_eq!(here.json(&["module", "versions", "tea"])[0]["pinned"], false);
}

fn sign(program: &Program, repository: &Repository, folder: &str) {
    let place = repository.work().join(folder);
    program.json(&["module", "sign", place.to_str().expect("UTF-8"), "--key", "my.key"]);
}

fn refuse_unsigned(program: &Program) {
    let config = program.home().join(".config/orchestrator");
    std::fs::create_dir_all(&config).expect("a new folder");
    std::fs::write(config.join("config.toml"), "unsigned = \"refuse\"\n").expect("a new file");
}
