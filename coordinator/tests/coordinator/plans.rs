//! Plans as people meet them: checked, kept, approved, over the real binary and store, without a node.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

#[test]
fn the_examples_are_good() {
    let home = Home::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plans");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let path = entry.expect("an example").path();
        // By a name of its own: the path of this folder may have blanks.
        home.write("example.yaml", &std::fs::read_to_string(&path).expect("text"));
        let found = home.ok("plan check example.yaml -o json");
        let found: Value = serde_json::from_str(&found).expect("JSON");
        assert_eq!(found["worst"]["tokens"], 0, "an example needs no model: {path:?}");
        assert!(found["nowhere"].is_string(), "the fleet has no node: {found}");
        count += 1;
    }
    assert!(count >= 4, "{count} examples");
    assert_eq!(home.ok("plan list -o json").trim(), "[]", "checking keeps nothing");
}

#[test]
fn a_plan_is_approved_by_its_hash_and_stays_the_same_plan() {
    let home = Home::new();
    home.write("a.yaml", &plan("df"));
    let approved = home.json("plan approve a.yaml --until 12h -o json");
    let hash = approved["plan"].as_str().expect("a hash").to_owned();
    assert_eq!((&approved["state"], &approved["source"]), (&"approved".into(), &"file".into()));

    // What differs in nothing but how it is written is the same plan, and keeps its yes.
    home.write("b.yaml", &format!("# again\n{}", plan("df")));
    let short = &hash["sha256:".len()..][..8];
    let shown = home.json(&format!("plan show {short} -o json"));
    assert_eq!(shown["plan"], hash.as_str());
    assert_eq!(home.json("plan check b.yaml -o json")["plan"], hash.as_str());
    // What differs in a word is another one.
    home.write("c.yaml", &plan("du"));
    assert_ne!(home.json("plan check c.yaml -o json")["plan"], hash.as_str());
    let listed = home.json("plan list -o json");
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed[0]["state"], "approved");
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_ends_with_2() {
    let home = Home::new();
    for (name, text, said) in [
        ("tool", plan("df").replace("exec.argv", "exec.argh"), "bad.yaml:4:"),
        ("forbidden", plan("mkfs.ext4"), "what the policy allows"),
        ("yaml", "goal: [".to_owned(), "bad.yaml:"),
        ("binary", "\u{0}".to_owned(), "bad.yaml:"),
    ] {
        home.write("bad.yaml", &text);
        for command in ["plan check bad.yaml", "plan approve bad.yaml"] {
            let output = home.run(command);
            assert_eq!(output.status.code(), Some(2), "{name}: {output:?}");
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(words.contains(said), "{name}: {words}");
        }
    }
    let output = home.run("plan show 3fa9c2d1");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("no plan is named 3fa9c2d1") && words.contains("hint: "), "{words}");
    assert_eq!(home.ok("plan list -o json").trim(), "[]", "nothing of it was kept");
}

#[test]
fn what_nobody_has_approved_does_not_run() {
    let home = Home::new();
    home.write("a.yaml", &plan("df"));
    let output = home.run("plan run a.yaml");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        words.contains("nobody has approved") && words.contains("hint: `orchestrator plan approve "),
        "{words}"
    );
    home.ok("plan approve a.yaml");
    let output = home.run("plan run a.yaml");
    assert_eq!(output.status.code(), Some(2), "there is no node: {output:?}");
    assert_eq!(home.ok("run list -o json").trim(), "[]");
    for command in [
        "run show abc",
        "run logs abc",
        "run cancel abc",
        "approval approve abcdef",
        "approval forget abcdef",
    ] {
        let output = home.run(command);
        assert_eq!(output.status.code(), Some(2), "{command}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "), "{command}: {output:?}");
    }
    assert_eq!(home.ok("approval list -o json").trim(), "[]");
}

#[test]
fn a_policy_is_checked_with_its_examples_before_it_is_in_force() {
    let home = Home::new();
    assert_eq!(home.json("policy show -o json")["standard"], true);
    home.write("standard.yaml", &home.ok("policy show"));
    home.ok("policy check standard.yaml");
    for (command, decision) in
        [("df -h", "allow"), ("apt-get install nginx", "ask"), ("mkfs.ext4 /dev/sda", "forbid")]
    {
        let found = home.json(&format!("policy check -o json -- {command}"));
        assert_eq!(found["decision"], decision, "{command}: {found}");
    }
    let rule = "{argv: [/usr/bin/df], decision: forbid, effect: read, why: no, match: [df], not: [EXAMPLE]}";
    let policy = |example: &str| format!("rules:\n  - {}\n", rule.replace("EXAMPLE", example));
    home.write("wrong.yaml", &policy("df"));
    let output = home.run("policy set wrong.yaml");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(home.json("policy show -o json")["standard"], true, "nothing was changed");
    home.write("mine.yaml", &policy("du"));
    home.ok("policy set mine.yaml");
    assert_eq!(home.json("policy check -o json -- df")["decision"], "forbid");
    home.write("a.yaml", &plan("df"));
    assert_eq!(
        home.run("plan check a.yaml").status.code(),
        Some(2),
        "a plan is judged by the policy in force"
    );
    home.ok("policy set --standard");
    home.ok("plan check a.yaml");
}

fn plan(program: &str) -> String {
    format!(
        "goal: Look\nnodes: {{every: true}}\nsteps:\n  - {{id: look, tool: exec.argv, args: {{argv: [{program}]}}}}\n"
    )
}

/// A folder of its own, far from the tester's settings.
struct Home {
    dir: PathBuf,
    _temp: TempDir,
}

impl Home {
    fn new() -> Self {
        let temp = TempDir::new().expect("a folder");
        Self { dir: temp.path().to_owned(), _temp: temp }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).expect("a file");
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
        command.args(arguments.split_whitespace()).env_clear().env("HOME", &self.dir).current_dir(&self.dir);
        command.env("ORCHESTRATOR_DATA_DIR", self.dir.join("data")).stdin(Stdio::null());
        command.output().expect("the binary runs")
    }

    fn ok(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.ok(arguments)).expect("JSON")
    }
}
