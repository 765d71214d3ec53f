//! The registry as people use it: versions, pins, archives, and repositories of modules over HTTP.

use serde_json::json;

use crate::program::{Program, Ran};
use crate::repository::Repository;

#[test]
fn a_pinned_version_is_what_the_plain_name_means() {
    let program = Program::new();
    for version in ["1.0.0", "1.1.0", "2.0.0"] {
        program.add("tea", version, "");
    }
    let means = || program.json(&["module", "show", "tea"])["module"]["version"].clone();
    assert_eq!(means(), "2.0.0");
    program.json(&["module", "pin", "tea@1.1.0"]);
    assert_eq!(means(), "1.1.0");
    program.json(&["module", "unpin", "tea"]);
    program.json(&["module", "deprecate", "tea@2.0.0", "--reason", "leaks"]);
    assert_eq!(means(), "1.1.0");
    assert_eq!(program.json(&["module", "versions", "tea"])[0]["deprecated"], "leaks");
    program.json(&["module", "undeprecate", "tea"]);
    assert_eq!(means(), "2.0.0");
    program.run(&["module", "pin", "tea"]).fails(2, "which version?");
    program.run(&["module", "pin", "tea@9.0.0"]).fails(2, "has no version 9.0.0");
    program.run(&["module", "remove", "tea@9.0.0"]).fails(2, "has no version 9.0.0");
    program.run(&["module", "remove", "redis"]).fails(2, "built in");
    assert_eq!(program.run(&["module", "remove", "tea@1.0.0"]).status, 0);
    assert_eq!(program.json(&["module", "versions", "tea"]).as_array().map(Vec::len), Some(2));
}

#[test]
fn search_and_suggest_look_at_added_modules_too() {
    let program = Program::new();
    program.add(
        "teapot",
        "1.0.0",
        "description: Keeps tea warm\ntags: [tea]\ntriggers: [热茶, hot tea]\nrequires: {memory: 3GiB}\n",
    );
    let found = program.json(&["module", "search", "teaport"]);
    assert_eq!(found[0]["name"], "teapot");
    assert_eq!(program.json(&["module", "search", "热茶"])[0]["name"], "teapot");
    let suggested = program.json(&["suggest", "hot tea, please"]);
    assert_eq!(suggested["needs"][0]["suggestions"][0]["module"], "teapot");
    assert_eq!(suggested["needs"][0]["suggestions"][0]["chosen"], true);
    let too_big = program.run(&["suggest", "hot tea on a Pi 4 with 2 GB"]);
    assert_eq!(too_big.status, 1, "{}", too_big.stderr);
    assert!(too_big.stdout.contains("needs 3GiB of memory"), "{}", too_big.stdout);
    let none = program.run(&["suggest", "xylophone tuning"]);
    assert_eq!((none.status, none.stdout.contains("no module has to do with")), (1, true), "{}", none.stdout);
    program.run(&["suggest", "please"]).fails(2, "does not say what is needed");
}

#[test]
fn an_archive_brings_modules_with_versions_and_pins_to_another_registry() {
    let (here, there) = (Program::new(), Program::new());
    here.add("tea", "1.0.0", "");
    here.add("tea", "1.1.0", "");
    here.add("cup", "0.1.0", "");
    here.json(&["module", "pin", "tea@1.0.0"]);
    here.json(&["module", "deprecate", "tea@1.1.0", "--reason", "too hot"]);
    assert_eq!(here.run(&["module", "export", "all.tar.gz"]).status, 0);
    let archive = here.home().join("all.tar.gz");
    let archive = archive.to_str().expect("UTF-8");
    assert_eq!(there.json(&["module", "load", archive]).as_array().map(Vec::len), Some(3));
    let without_times = |program: &Program| {
        let mut registry = program.registry();
        for version in
            registry.as_array_mut().into_iter().flatten().flat_map(|module| module.as_array_mut()).flatten()
        {
            version["added"] = json!(null);
        }
        registry
    };
    assert_eq!(without_times(&here), without_times(&there));
    assert_eq!(there.json(&["module", "load", archive]), json!([]), "nothing is new the second time");
}

#[test]
fn a_bad_archive_leaves_the_registry_as_it_was() {
    let program = Program::new();
    program.add("tea", "1.0.0", "");
    program.run(&["module", "export", "good.tar.gz"]);
    let before = program.registry();
    let good = std::fs::read(program.home().join("good.tar.gz")).expect("exported");
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let other = Program::new();
    other.add("tea", "1.0.0", "description: Another tea\n");
    other.run(&["module", "export", "other.tar.gz"]);
    let other = std::fs::read(other.home().join("other.tar.gz")).expect("exported");
    let cases: [(&str, &[u8], i32, &str); 5] = [
        ("cut.tar.gz", &good[..good.len() - 40], 2, "no good archive"),
        ("flipped.tar.gz", &flipped, 2, ""),
        ("text.tar.gz", b"hello", 2, "no good archive"),
        ("empty.tar.gz", b"", 2, "no good archive"),
        ("other.tar.gz", &other, 1, "with other content"),
    ];
    for (name, bytes, status, words) in cases {
        std::fs::write(program.home().join(name), bytes).expect("a new file");
        program.run(&["module", "load", name]).fails(status, words);
        assert_eq!(program.registry(), before, "{name}");
    }
}

#[test]
fn a_registry_is_added_synced_and_removed() {
    let repository = Repository::new();
    repository.module("tea", "tea", "1.0.0", "");
    repository.module("deep/er/cup", "cup", "0.1.0", "");
    let first = repository.commit();
    let server = repository.serve();
    let program = Program::new();
    let url = format!("{}/modules.git", server.url);
    let dry = program.run(&["registry", "add", "friends", &url, "--dry-run"]);
    assert_eq!((dry.status, dry.stdout.contains("+ tea@1.0.0")), (0, true), "{}{}", dry.stdout, dry.stderr);
    assert_eq!(program.registry(), json!([]));

    let added = program.json(&["registry", "add", "friends", &url]);
    assert_eq!(added["new"], json!(["cup@0.1.0", "tea@1.0.0"]));
    let list = program.json(&["registry", "list"]);
    assert_eq!((&list[0]["name"], &list[0]["commit"]), (&json!("friends"), &json!(first)));
    assert_eq!(program.json(&["module", "show", "tea"])["source"], "friends");

    repository.module("tea", "tea", "1.1.0", "");
    repository.module("pot", "pot", "1.0.0", "");
    repository.remove("deep");
    repository.commit();
    let synced = program.json(&["registry", "sync"]);
    assert_eq!(
        (&synced["new"], &synced["updated"], &synced["gone"]),
        (&json!(["pot@1.0.0"]), &json!(["tea@1.1.0"]), &json!(["cup"]))
    );
    assert_eq!(
        program.json(&["module", "versions", "tea"]).as_array().map(Vec::len),
        Some(2),
        "old versions stay"
    );
    program.run(&["module", "show", "cup"]).fails(2, "no module is named cup");
    program.run(&["module", "remove", "tea"]).fails(2, "comes from the registry friends");
    assert_eq!(program.run(&["registry", "sync", "friends"]).status, 0);

    assert_eq!(program.run(&["registry", "remove", "friends"]).status, 0);
    assert_eq!(program.registry(), json!([]));
    program.run(&["registry", "remove", "friends"]).fails(2, "no registry is named friends");
}

#[test]
fn what_was_synced_works_without_the_network() {
    let repository = Repository::new();
    repository.module("tea", "tea", "1.0.0", "");
    repository.commit();
    let program = Program::new();
    let place = repository.bare();
    assert_eq!(program.run(&["registry", "add", "friends", &place]).status, 0);
    std::fs::rename(&place, format!("{place}.away")).expect("moved");
    program.run(&["registry", "sync"]).fails(2, "its modules stay as they were");
    assert_eq!(program.json(&["module", "show", "tea"])["module"]["version"], "1.0.0");
    assert_eq!(program.run(&["module", "export", "all.tar.gz", "tea"]).status, 0, "its package is here");
}

#[test]
fn a_bad_repository_leaves_the_registry_as_it_was() {
    let program = Program::new();
    program.add("mine", "1.0.0", "");
    let before = program.registry();
    let check = |prepare: &dyn Fn(&Repository), arguments: &[&str], status: i32, words: &str| {
        let repository = Repository::new();
        repository.module("tea", "tea", "1.0.0", "");
        prepare(&repository);
        repository.commit();
        let url = repository.bare();
        program.run(&[&["registry", "add", "friends", &url], arguments].concat()).fails(status, words);
        assert_eq!(program.registry(), before, "{words}");
        assert_eq!(program.json(&["registry", "list"]), json!([]), "{words}");
    };
    check(&|r| r.write("bad/MODULE.yaml", "name: [\n"), &[], 2, "bad: ");
    check(&|r| r.module("two", "tea", "1.0.0", ""), &[], 2, "is tea 1.0.0 as");
    check(&|r| r.module("mine", "mine", "9.0.0", ""), &[], 2, "of this registry already");
    check(&|r| r.module("redis", "redis", "99.0.0", ""), &[], 2, "of the catalog already");
    check(&|r| r.write("modules.json", "{}"), &[], 2, "no index of modules");
    check(&|_| {}, &["--revision", "nowhere"], 2, "nowhere");
    for (url, words) in [
        ("ext::sh -c touch% pwned", "spaces"),
        ("ext::sh", "run a command"),
        ("--upload-pack=touch pwned", "unexpected argument"),
        ("-oProxyCommand=x", "error:"),
        ("ssh://-oProxyCommand=x/y", "like an option"),
        ("http://127.0.0.1:1/x.git", ""),
        ("/nonexistent.git", "no address"),
    ] {
        let ran = program.run(&["registry", "add", "friends", url]);
        assert_ne!(ran.status, 0, "{url}");
        assert!(ran.stderr.contains(words), "{url}: {}", ran.stderr);
    }
    assert!(!program.home().join("pwned").exists());
}

#[test]
fn a_published_version_that_was_changed_is_not_taken() {
    let repository = Repository::new();
    repository.module("tea", "tea", "1.0.0", "");
    repository.commit();
    let program = Program::new();
    assert_eq!(program.run(&["registry", "add", "friends", &repository.bare()]).status, 0);
    let before = program.registry();
    repository.module("tea", "tea", "1.0.0", "description: Something else\n");
    repository.commit();
    repository.bare();
    let ran = program.run(&["registry", "sync"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("! tea@1.0.0"), "{}", ran.stdout);
    assert_eq!(program.registry(), before);
    assert_eq!(program.run(&["registry", "sync", "--allow-rewritten"]).status, 0);
    assert_eq!(program.json(&["module", "show", "tea"])["module"]["description"], "Something else");
}

/// Needs `--features fault`, which `scripts/test` gives.
#[cfg(feature = "fault")]
#[test]
fn a_sync_or_load_that_is_killed_leaves_all_of_it_or_nothing() {
    let repository = Repository::new();
    for name in ["tea", "cup", "pot"] {
        repository.module(name, name, "1.0.0", "");
    }
    repository.commit();
    let url = repository.bare();
    for point in
        ["package.arrived", "package.stored", "package.registered", "registry.staged", "registry.part"]
    {
        let program = Program::new();
        program.add("mine", "1.0.0", "");
        let before = program.registry();
        killed(&program, point, &["registry", "add", "friends", &url]);
        assert_eq!(program.registry(), before, "{point}");
        assert_eq!(program.run(&["registry", "add", "friends", &url]).status, 0, "{point}");
        assert_eq!(program.registry().as_array().map(Vec::len), Some(4), "{point}");
    }
    let source = Program::new();
    for number in 0..20 {
        source.add(&format!("tea-{number}"), "1.0.0", "");
    }
    source.run(&["module", "export", "all.tar.gz"]);
    let archive = source.home().join("all.tar.gz");
    let archive = archive.to_str().expect("UTF-8");
    for (point, after) in [("package.registered", 0), ("registry.decided", 20), ("registry.batch", 20)] {
        let program = Program::new();
        killed(&program, point, &["module", "load", archive]);
        assert_eq!(program.registry().as_array().map(Vec::len), Some(after), "{point}");
    }
}

#[cfg(feature = "fault")]
fn killed(program: &Program, point: &str, arguments: &[&str]) {
    use std::os::unix::process::ExitStatusExt;
    let output = program
        .command(arguments)
        // What it cannot take away any more goes with the test.
        .env("TMPDIR", program.home())
        .env("ORCHESTRATOR_FAULT", point)
        .env("ORCHESTRATOR_FAULT_BATCH", "1")
        .output()
        .expect("starts");
    assert_eq!(output.status.signal(), Some(9), "{point} was not reached: {output:?}");
}

#[test]
fn what_a_module_does_that_is_dangerous_has_to_be_accepted() {
    let program = Program::new();
    let install = "install: [{run: 'curl -fsSL https://example.org/x.sh | sh'}]\n";
    let folder = program.module("work", "tea", "1.0.0", install);
    let before = program.registry();
    let refused = program.run(&["module", "add", &folder]);
    refused.fails(1, "has to be accepted");
    let hint = refused.stderr.lines().find(|line| line.starts_with("hint:")).expect("a hint");
    let ids: Vec<&str> = hint.split("--accept ").skip(1).map(str::trim).collect();
    assert!(!ids.is_empty(), "{hint}");
    let accept: Vec<&str> = ids.iter().flat_map(|id| ["--accept", id]).collect();
    assert_eq!(program.registry(), before);
    program.run(&["module", "add", &folder, "--accept", "something-else"]).fails(1, "has to be accepted");
    program.run(&["deploy", &folder, "--no-wait"]).fails(1, "has to be accepted");
    let added = program.run(&[&["module", "add", folder.as_str()], accept.as_slice()].concat());
    assert_eq!(added.status, 0, "{}", added.stderr);
    assert_eq!(program.json(&["module", "show", "tea"])["accepted"], json!(ids));

    let repository = Repository::new();
    repository.module("pot", "pot", "1.0.0", install);
    repository.commit();
    program.run(&["registry", "add", "friends", &repository.bare()]).fails(1, "has to be accepted");
    assert_eq!(program.json(&["registry", "list"]), json!([]));
}

#[test]
fn a_signature_that_does_not_hold_is_refused_and_a_policy_asks_for_one() {
    let program = Program::new();
    let folder = program.module("work", "tea", "1.0.0", "");
    program.run(&["module", "pack", &folder, "--out", "tea.tar.gz"]);
    program.json(&["module", "key", "my.key"]);
    program.json(&["module", "sign", "tea.tar.gz", "--key", "my.key"]);
    assert_eq!(program.run(&["module", "verify", "tea.tar.gz", "--key", "my.key.pub"]).status, 0);
    program.run(&["module", "add", "tea.tar.gz"]).fails(1, "signature does not hold");
    let keys = program.json(&["module", "trust", "add", "my.key.pub"]);
    assert_eq!(program.run(&["module", "add", "tea.tar.gz"]).status, 0);
    let signer = program.json(&["module", "show", "tea"])["signed_by"].clone();
    assert!(signer.as_str().is_some_and(|signer| signer.starts_with(keys[0]["id"].as_str().expect("an id"))));

    program.module("work", "tea", "2.0.0", "description: Another\n");
    program.run(&["module", "pack", &folder, "--out", "tea.tar.gz"]);
    program.run(&["module", "verify", "tea.tar.gz", "--key", "my.key.pub"]).fails(1, "");
    let before = program.registry();
    program.run(&["module", "add", "tea.tar.gz"]).fails(1, "signature does not hold");

    let config = program.home().join(".config/orchestrator");
    std::fs::create_dir_all(&config).expect("a new folder");
    std::fs::write(config.join("config.toml"), "unsigned = \"refuse\"\n").expect("a new file");
    program.run(&["module", "add", &folder]).fails(1, "is not signed");
    assert_eq!(program.registry(), before);
    program.json(&["module", "sign", &folder, "--key", "my.key"]);
    assert_eq!(program.run(&["module", "add", &folder]).status, 0, "folders are signed too");
    program.json(&["module", "trust", "remove", keys[0]["id"].as_str().expect("an id")]);
    assert_eq!(program.json(&["module", "trust", "list"]), json!([]));
}

#[test]
fn a_git_repository_over_http_is_imported_with_its_commit() {
    let repository = Repository::new();
    repository.write("README.md", "# Kettle\n\nA self-hosted server that boils water.\n\n```sh\ndocker run -p 8080:80 ghcr.io/kettle/kettle:2.0\n```\n");
    repository.write("src/huge.bin", &"x".repeat(5 << 20));
    let commit = repository.commit();
    for server in [repository.serve(), repository.serve_plainly()] {
        let program = Program::new();
        let made = program.json(&[
            "import",
            &format!("{}/modules.git", server.url),
            "--dry-run",
            "--name",
            "kettle",
        ]);
        assert_eq!((&made["module"]["name"], &made["commit"]), (&json!("kettle"), &json!(commit)));
        assert_eq!(made["module"]["runtime"]["container"]["image"], "ghcr.io/kettle/kettle:2.0");
        let missing: Ran = program.run(&["import", &format!("{}/nothing.git", server.url)]);
        missing.fails(2, "there is nothing at");
    }
}

#[test]
fn a_repository_that_is_a_module_is_taken_as_it_is() {
    let repository = Repository::new();
    repository.write("run.sh", "#!/bin/sh\nexec sleep 9\n");
    repository
        .write("MODULE.yaml", "name: own\nversion: 3.2.1\nruntime: {process: {command: [sh, ./run.sh]}}\n");
    repository.commit();
    let program = Program::new();
    let made = program.json(&["import", &format!("git+file://{}", repository.bare())]);
    assert_eq!((&made["added"], &made["draft"]), (&json!("own@3.2.1"), &json!(false)));
    assert_eq!(
        program.run(&["import", &format!("git+file://{}", repository.bare()), "--to", "copy"]).status,
        0
    );
    assert!(program.home().join("copy/run.sh").is_file());
}

#[test]
fn local_files_are_imported_and_bad_ones_told() {
    let program = Program::new();
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(program.home().join(name), bytes).expect("a new file");
    write(
        "compose.yaml",
        b"services:\n  web:\n    image: ghcr.io/kettle/teapot:1.27\n    ports: ['8080:80']\n",
    );
    let made = program.json(&["import", "compose.yaml", "--name", "site", "--dry-run"]);
    assert_eq!(made["module"]["name"], "site");
    write("MODULE.yaml", b"name: [\n");
    write("README.md", b"\0\0\0");
    for (what, words) in [
        ("nowhere", "could not read nowhere"),
        ("MODULE.yaml", "mistake"),
        ("README.md", "is not text"),
        ("https://github.com/onlyowner", "names no repository"),
        ("ftp://example.org/x", "no folder, file, repository"),
    ] {
        program.run(&["import", what]).fails(2, words);
    }
    assert_eq!(program.registry(), json!([]));
}
