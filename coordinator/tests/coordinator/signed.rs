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

fn sign(program: &Program, repository: &Repository, folder: &str) {
    let place = repository.work().join(folder);
    program.json(&["module", "sign", place.to_str().expect("UTF-8"), "--key", "my.key"]);
}

fn refuse_unsigned(program: &Program) {
    let config = program.home().join(".config/orchestrator");
    std::fs::create_dir_all(&config).expect("a new folder");
    std::fs::write(config.join("config.toml"), "unsigned = \"refuse\"\n").expect("a new file");
}
