//! Bad input and bad surroundings: a clear error, the right exit code, nothing lost.

use e2e::fleet::Fleet;
use e2e::host::Host;
use e2e::orchestrator::Orchestrator;
use e2e::scene::{Page, Scene};

const GOOD: &str = "name: page\nversion: 1.0.0\nruntime:\n  process: {command: [sleep, '1000']}\n";

/// What MODULE.yaml says, and what the error must say.
const MODULES: [(&str, &str, &[&str]); 6] = [
    ("broken YAML", "name: page\nversion: [1.0.0\n", &["MODULE.yaml", "broken YAML", "version"]),
    ("unknown field", "name: page\nversion: 1.0.0\nruntimes: {}\n", &["runtimes", "did you mean", "runtime"]),
    (
        "wrong type",
        "name: page\nversion: 1.0.0\nexclusive: 7\nruntime: {process: {command: [a]}}\n",
        &["exclusive"],
    ),
    ("missing version", "name: page\nruntime: {process: {command: [a]}}\n", &["version"]),
    ("bad name", "name: Page!\nversion: 1.0.0\nruntime: {process: {command: [a]}}\n", &["Page!"]),
    ("bad version", "name: page\nversion: new\nruntime: {process: {command: [a]}}\n", &["version", "new"]),
];

#[test]
fn a_bad_module_is_refused_with_file_and_place() {
    let fleet = Fleet::up(1).unwrap();
    let cli = Orchestrator::on(fleet.desk()).unwrap();
    for (what, yaml, words) in MODULES {
        write_module(fleet.desk(), yaml);
        let mut outcome = cli.run("deploy ./page").exits(2).says("MODULE.yaml");
        for word in words {
            outcome = outcome.says(word);
        }
        assert_eq!(cli.ok("status -o json").json().as_array().map(Vec::len), Some(0), "{what}\n{outcome}");
    }
}

/// The command line, its exit code, and what it must say, after `deploy ./page` has worked on node a.
const LINES: [(&str, i32, &[&str]); 16] = [
    ("deploy", 2, &["deploy"]),
    ("deploy no-such-module", 2, &["no-such-module"]),
    ("deploy hello-web@99.0.0", 2, &["99.0.0"]),
    ("deploy ./no-such-folder", 2, &["no-such-folder"]),
    ("deploy ./page --set nonsense=1", 2, &["nonsense"]),
    ("deploy ./page --node nowhere", 2, &["nowhere"]),
    ("deploy ./page --count 0", 2, &["count"]),
    ("deploy ./page --count 4294967295", 2, &["10000", "--every-node"]),
    ("deploy ''", 2, &["NAME@VERSION"]),
    ("deploy hello-web@", 2, &["NAME@VERSION"]),
    ("deploy /root", 2, &["MODULE.yaml", "orchestrator import"]),
    ("--store sqlite:/proc/x.db status", 1, &["/proc/x.db", "--store"]),
    ("status no-such-deployment", 2, &["no-such-deployment"]),
    ("rollback no-such-deployment", 2, &["no-such-deployment"]),
    ("node show nowhere", 2, &["nowhere"]),
    ("--store ftp://nonsense status", 2, &["ftp"]),
];

#[test]
fn a_bad_command_line_is_refused_and_nothing_changes() {
    let scene = Scene::enrolled(1).unwrap();
    let cli = &scene.orchestrator;
    Page::version("1.0.0").write(scene.fleet.desk()).unwrap();
    let before = cli.ok("deploy ./page -o json").json();
    for (line, code, words) in LINES {
        let outcome = cli.run(line).exits(code);
        words.iter().fold(outcome, |outcome, word| outcome.says(word));
    }
    let after = cli.ok("status page -o json").json();
    assert_eq!(after[0]["generation"], before["generation"]);
    assert_eq!(after[0]["state"], "healthy");
}

/// What is added to a good MODULE.yaml, the exit code, and what must be said.
const WISHES: [(&str, &str, i32, &[&str]); 5] = [
    ("required config", "config: [{name: token, type: string, required: true}]\n", 2, &["token", "--set"]),
    (
        "secret",
        "config: [{name: key, type: string, secret: true, required: true}]\n",
        2,
        &["key", "--secret"],
    ),
    ("architecture", "requires: {arch: [armv7]}\n", 3, &["armv7", "x86_64"]),
    ("memory", "requires: {memory: 900GiB}\n", 3, &["memory", "900"]),
    ("capability", "requires: {capabilities: [gpu]}\n", 3, &["gpu"]),
];

#[test]
fn a_wish_that_cannot_be_met_says_why_of_every_node() {
    let scene = Scene::enrolled(2).unwrap();
    for (what, added, code, words) in WISHES {
        write_module(scene.fleet.desk(), &format!("{GOOD}{added}"));
        let mut outcome = scene.orchestrator.run("deploy ./page --timeout 5s").exits(code);
        for word in words {
            outcome = outcome.says(word);
        }
        if code == 3 {
            outcome.says("a").says("b");
        }
        let left = scene.orchestrator.run("remove page");
        assert!(left.code.is_some(), "{what}\n{left}");
    }
}

#[test]
fn a_port_that_is_taken_is_said() {
    let scene = Scene::enrolled(1).unwrap();
    let port = "ports: [{name: web, port: 8123}]\n";
    write_module(scene.fleet.desk(), &format!("{GOOD}{port}"));
    scene.orchestrator.ok("deploy ./page");
    write_module(scene.fleet.desk(), &format!("{GOOD}{port}").replace("name: page", "name: other"));
    scene.orchestrator.run("deploy ./page --timeout 5s").exits(3).says("8123");
}

#[test]
fn a_host_that_cannot_be_enrolled_says_what_is_wrong() {
    let scene = Scene::bare(3).unwrap();
    let (cli, fleet) = (&scene.orchestrator, &scene.fleet);
    cli.run("node add x --ssh no-such-host.invalid").exits(1).says("no-such-host.invalid");
    fleet.host("a").block_port(22, e2e::host::Refusal::Reset).unwrap();
    cli.run("node add a --ssh a").exits(1).says("refused");
    fleet.host("a").heal().unwrap();
    fleet.host("b").change_host_key().unwrap();
    cli.run("node add b --ssh b").exits(1).says("SHA256:");
    fleet
        .desk()
        .run("ssh-keygen -q -f ~/.ssh/known_hosts -R b -R $(getent hosts b | cut -d' ' -f1)")
        .unwrap();
    cli.run("node add b --ssh b").exits(1).says("--accept-new-host-key");
    cli.ok("node add b --ssh b --accept-new-host-key");
    fleet.desk().run("ssh-keygen -q -t ed25519 -N '' -f ~/stranger").unwrap();
    fleet.host("c").write("/root/.ssh/authorized_keys", "").unwrap();
    cli.run("node add c --ssh c --identity ~/stranger").exits(1).says("Permission denied");
    assert_eq!(cli.ok("node list -o json").json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_full_or_read_only_disk_is_named_and_the_old_release_stays() {
    let scene = Scene::enrolled(1).unwrap();
    let a = scene.fleet.host("a");
    scene.deploy_page_everywhere(&Page::version("1.0.0")).unwrap().exits(0);
    a.fill_disk_but(64 << 10).unwrap();
    let big = Page { ballast: 1 << 20, ..Page::version("2.0.0") };
    let full = scene.deploy_page_everywhere(&big).unwrap();
    assert!(matches!(full.code, Some(1 | 3)), "{full}");
    full.says("space");
    a.free_disk().unwrap();
    a.read_only().unwrap();
    let frozen = scene.deploy_page_everywhere(&big).unwrap();
    assert!(matches!(frozen.code, Some(1 | 3)), "{frozen}");
    frozen.says("ead-only");
    a.writable().unwrap();
    scene.deploy_page_everywhere(&big).unwrap().exits(0);
}

#[test]
fn etcd_that_is_down_is_said_before_and_in_the_middle() {
    let mut scene = Scene::enrolled(1).unwrap();
    scene.deploy_page_everywhere(&Page::version("1.0.0")).unwrap().exits(0);
    let endpoint = scene.etcd.endpoint();
    scene.etcd.kill().unwrap();
    scene.orchestrator.run("status").exits(1).says(&endpoint);
    scene.etcd.restart().unwrap();
    assert_eq!(scene.orchestrator.ok("status page -o json").json()[0]["state"], "healthy");
    scene.etcd.freeze().unwrap();
    scene.orchestrator.run("status").exits(1).within(std::time::Duration::from_secs(30));
    scene.etcd.thaw().unwrap();
    scene.orchestrator.ok("deploy ./page --every-node");
}

fn write_module(desk: &Host, yaml: &str) {
    desk.run("rm -rf /root/page").unwrap();
    desk.write("/root/page/MODULE.yaml", yaml).unwrap();
}
