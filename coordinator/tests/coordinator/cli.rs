//! The binary as people and scripts meet it, where it needs no coordinator.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use insta::assert_snapshot;

const LEAVES: &[&str] = &[
    "deploy",
    "rollback",
    "restart",
    "remove",
    "status",
    "logs",
    "history",
    "node add",
    "node list",
    "node show",
    "node exec",
    "node cordon",
    "node uncordon",
    "node drain",
    "node remove",
    "module list",
    "module search",
    "module show",
    "module versions",
    "module pin",
    "module unpin",
    "module deprecate",
    "module undeprecate",
    "module export",
    "module load",
    "module index",
    "import",
    "suggest",
    "module key",
    "module sign",
    "module trust add",
    "module trust list",
    "module trust remove",
    "plan check",
    "plan show",
    "plan list",
    "plan approve",
    "plan run",
    "run list",
    "run show",
    "run logs",
    "run cancel",
    "run answer",
    "approval list",
    "approval approve",
    "approval deny",
    "approval remembered",
    "approval forget",
    "policy show",
    "policy check",
    "policy set",
    "registry add",
    "registry sync",
    "registry list",
    "registry remove",
    "module add",
    "module pack",
    "module verify",
    "module remove",
    "module schema",
    "secret set",
    "secret list",
    "secret remove",
    "access add",
    "access list",
    "access remove",
    "action",
    "serve",
    "doctor",
    "completion",
];

#[test]
fn every_command_explains_itself_with_examples() {
    for leaf in LEAVES.iter().chain(&["", "version"]) {
        let output = run(&format!("{leaf} --help"));
        let help = String::from_utf8(output.stdout).expect("help is UTF-8");
        assert!(output.status.success(), "{leaf}");
        assert!(help.contains("Examples:\n  orchestrator "), "{leaf}:\n{help}");
        let has_long_line = help.lines().any(|line| line.chars().count() > 110);
        assert!(!has_long_line, "{leaf}:\n{help}");
    }
}

#[test]
fn the_first_help_shows_the_way() {
    assert_snapshot!(stdout(&run("--help")), @r"
    One place to run a fleet of Raspberry Pis and servers

    Usage: orchestrator [OPTIONS] <COMMAND>

    Commands:
      deploy      Runs a module on the best node, and waits until it is healthy
      rollback    Goes back to the release that ran before
      restart     Restarts the instances of a deployment
      remove      Stops a deployment and takes it off its nodes
      status      Shows what runs where, and how well
      logs        Shows what a deployment says
      action      Runs what a module offers to run on its instances, or lists that
      history     Shows every change to a deployment, newest first
      node        The machines of the fleet
      module      What can be deployed
      import      Makes a module of a project: its README, compose file and the like
      suggest     Names modules for what you need, and where they would go
      ask         Reaches a goal in plain words: a model plans, you approve, the nodes carry it out
      plan        Work for the nodes, written down as steps: checked, approved, carried out
      run         Runs of plans: what the nodes do and did
      approval    What runs ask people
      policy      What plans may do on the nodes
      registry    Repositories of modules by others
      secret      Values that modules need and nobody should read
      budget      What language models cost so far, and what they may cost
      access      Who may use this coordinator from elsewhere
      serve       Runs the coordinator as a daemon
      doctor      Checks that all that is needed is there
      completion  Prints the completion script of a shell
      version     Prints the version of this program, and of the coordinator it is told to use
      help        Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
      -o, --output <FORMAT>    How results are printed [default: table] [possible values: table, json]
          --store <ADDRESS>    Where the fleet's state is kept: sqlite:PATH or
                               etcd://HOST:PORT[,HOST:PORT]
          --data-dir <FOLDER>  Where this machine keeps the coordinator's data
          --coordinator <URL>  A coordinator that runs elsewhere
          --access <FILE>      The file that lets you into it, made there by `access add` [default:
                               access.pem in the data folder]
      -v, --verbose...         Tell more on stderr; -vv and -vvv still more
          --color <WHEN>       When to use colour [default: auto] [possible values: auto, always, never]

    Examples:
      orchestrator deploy hello-web                       # on this machine, with nothing set up before
      orchestrator node add attic --ssh pi@attic.local    # a second machine
      orchestrator deploy hello-web --count 2
      orchestrator status

    Exit status: 0 done and healthy, 1 failed, 2 wrong usage or input, 3 accepted but waiting.
    Global options are also read from ORCHESTRATOR_… variables and ~/.config/orchestrator/config.toml.
    ");
}

#[test]
fn deploy_helps_in_full() {
    assert_snapshot!(stdout(&run("deploy --help")), @r"
    Runs a module on the best node, and waits until it is healthy

    Usage: orchestrator deploy [OPTIONS] <MODULE[@VERSION]>

    Arguments:
      <MODULE[@VERSION]>  A module of the registry, a folder with a MODULE.yaml, or a package file

    Options:
          --name <DEPLOYMENT>         Name of the deployment [default: the module's name]
          --node <NODE>               Run only on this node; may be given several times
          --on <SELECTOR>             Run only where all of these labels and capabilities hold, like
                                      arch=aarch64,room=attic,gpu
          --count <N>                 How many instances [default: as before, or 1]
          --every-node                One instance on every node that fits, also on those that join
                                      later
          --set <KEY=VALUE>           Sets a config value of the module
          --secret <KEY=-|KEY=@FILE>  Sets a secret config value, read from stdin (-) or a file
          --leave-data                Move instances that keep data, too: they start empty elsewhere,
                                      and their data stays where it is
          --accept <FINDING>          Accept a high finding of the safety check of a folder or package;
                                      may be given several times
          --dry-run                   Only show what would change; nothing is changed, and a folder is
                                      not registered
          --explain                   Show why each node was chosen or not
          --timeout <DURATION>        How long to wait until all is healthy [default: 120s]
          --no-wait                   Return as soon as the wish is recorded
      -h, --help                      Print help

    Global options:
      -o, --output <FORMAT>    How results are printed [default: table] [possible values: table, json]
          --store <ADDRESS>    Where the fleet's state is kept: sqlite:PATH or
                               etcd://HOST:PORT[,HOST:PORT]
          --data-dir <FOLDER>  Where this machine keeps the coordinator's data
          --coordinator <URL>  A coordinator that runs elsewhere
          --access <FILE>      The file that lets you into it, made there by `access add` [default:
                               access.pem in the data folder]
      -v, --verbose...         Tell more on stderr; -vv and -vvv still more
          --color <WHEN>       When to use colour [default: auto] [possible values: auto, always, never]

    Examples:
      orchestrator deploy hello-web
      orchestrator deploy redis@7.2.4 --name cache --node attic --set port=6380
      orchestrator deploy ./my-module --on arch=aarch64,room=attic --count 2
      orchestrator deploy node-exporter --every-node
      orchestrator deploy mosquitto --secret password=- < password.txt
      orchestrator deploy hello-web --dry-run --explain

    Exit status: 0 healthy; 1 failed, and rolled back where there was something to roll back to;
    2 wrong usage or input; 3 accepted but waiting for a node.
    ");
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_meant() {
    assert_snapshot!(refusal("statsu"), @r"
    error: unrecognized subcommand 'statsu'

      tip: a similar subcommand exists: 'status'

    Usage: orchestrator [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(refusal("deploy web --cuont 2"), @r"
    error: unexpected argument '--cuont' found

      tip: a similar argument exists: '--count'

    Usage: orchestrator deploy --count <N> <MODULE[@VERSION]>

    For more information, try '--help'.
    ");
    assert_snapshot!(refusal("deploy web --count 2 --every-node"), @r"
    error: the argument '--count <N>' cannot be used with '--every-node'

    Usage: orchestrator deploy --count <N> <MODULE[@VERSION]>

    For more information, try '--help'.
    ");
    assert_snapshot!(refusal("deploy web --timeout 90"), @r"
    error: invalid value '90' for '--timeout <DURATION>': a number without unit; write 90s

    For more information, try '--help'.
    ");
    assert_snapshot!(refusal("deploy web --secret password=hunter2"), @r"
    error: the value of the secret password is on the command line, where others see it
    hint: write password=- for stdin or password=@FILE
    ");
    assert_snapshot!(refusal("deploy ./nowhere"), @r"
    error: could not open ./nowhere
      because No such file or directory (os error 2)
    ");
    assert_snapshot!(refusal("deploy web --set port=1 --set port=2"), @"error: --set port is given twice");
    assert_snapshot!(refusal("node add attic"), @r"
    error: the following required arguments were not provided:
      <--ssh <[USER@]HOST[:PORT]>|--local>

    Usage: orchestrator node add <--ssh <[USER@]HOST[:PORT]>|--local> <NAME>

    For more information, try '--help'.
    ");
    assert_snapshot!(refusal("node exec attic uptime"), @r"
    error: the following required arguments were not provided:
      <COMMAND>...

    Usage: orchestrator node exec <NODE>... -- <COMMAND>...

    For more information, try '--help'.
    ");
    assert_snapshot!(refusal("--store postgres://a status"), @r"
    error: invalid store: it starts with postgres:, neither with sqlite: nor etcd://
    hint: use sqlite:PATH or etcd://HOST:PORT[,HOST:PORT][?ca=FILE&cert=FILE&key=FILE&prefix=NAME]
    ");
    assert_snapshot!(refusal("--coordinator a:1 status"), @r#"
    error: "a:1" is not the address of a coordinator
    hint: write https://HOST[:PORT], unix:PATH, or http://HOST:PORT for a tunnel of your own
    "#);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = orchestrator("completion bash")
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn packing_twice_gives_the_same_bytes_and_they_verify() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_module(&folder.path().join("web"), GOOD);
    let pack = |out: &str| {
        let output = run_in(folder.path(), &format!("module pack web --out {out} -o json"));
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")["digest"].to_string()
    };
    assert_eq!(pack("a.tar.gz"), pack("b.tar.gz"));
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).expect("a package");
    assert_eq!(bytes("a.tar.gz"), bytes("b.tar.gz"));
    assert!(run_in(folder.path(), "module verify a.tar.gz").status.success());
    assert!(run_in(folder.path(), "module verify web").status.success());
    assert!(run_in(folder.path(), "module show ./web").status.success());

    std::fs::write(folder.path().join("b.tar.gz"), &bytes("a.tar.gz")[..40]).expect("a shorter file");
    let cut = run_in(folder.path(), "module verify b.tar.gz");
    assert_eq!(cut.status.code(), Some(2), "{cut:?}");
}

#[test]
fn a_mistake_in_a_module_is_shown_with_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_module(
        &folder.path().join("web"),
        &GOOD.replace("description:", "descripton:").replace("0.1.0", "one"),
    );
    let output = run_in(folder.path(), "module verify web");
    assert_eq!(output.status.code(), Some(2));
    assert_snapshot!(stderr(&output), @r#"
    error: the module has 2 mistakes
      because web/MODULE.yaml:2:10: version: found "one", expected a version; "one" is not a version: unexpected character 'o' while parsing major version number
      because web/MODULE.yaml:3:1: descripton: found the unknown field "descripton", expected one of name, version, description, license, homepage, category, tags, triggers, requires, depends, config, ports, volumes, install, runtime, health, actions, permissions, update, limits, exclusive; did you mean "description"?
    "#);
}

#[test]
fn the_schema_is_json_with_the_fields_of_a_module() {
    let output = run("module schema");
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(schema["properties"]["runtime"].is_object(), "{schema}");
}

#[test]
fn a_dry_run_says_what_would_be_and_touches_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_module(&folder.path().join("web"), GOOD);
    let dry = run_in(folder.path(), "--data-dir data deploy ./web --dry-run");
    assert_eq!(dry.status.code(), Some(0), "{dry:?}");
    let said = stderr(&dry);
    assert!(said.contains("nothing was changed") && said.contains("would become node local"), "{said}");
    let plan = stdout(&dry);
    assert!(plan.contains("web/0") && plan.contains("local"), "{plan}");
    let wrong = run_in(folder.path(), "--data-dir data deploy ./web --set colour=red --dry-run");
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    for (list, is_empty) in [("node list", true), ("status", true), ("module list", false)] {
        let there = run_in(folder.path(), &format!("--data-dir data {list} -o json"));
        let there: Vec<serde_json::Value> = serde_json::from_slice(&there.stdout).expect("a list");
        assert!(there.iter().all(|it| it["name"] != "web"), "{there:?}");
        assert_eq!(there.is_empty(), is_empty, "{there:?}");
    }
    let packages = std::fs::read_dir(folder.path().join("data/packages")).into_iter().flatten().count();
    assert_eq!(packages, 0, "no package is kept");
}

#[test]
fn a_version_that_was_added_keeps_its_content() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_module(&folder.path().join("web"), GOOD);
    let add = || run_in(folder.path(), "--data-dir data module add ./web");
    assert_eq!(add().status.code(), Some(0));
    assert_eq!(add().status.code(), Some(0), "the same again is no other content");
    std::fs::write(folder.path().join("web/page.html"), "new").expect("a new file");
    let refused = add();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert_snapshot!(stderr(&refused), @r"
    error: web@0.1.0 is in the registry already, with other content
    hint: raise the version, or `orchestrator module remove web@0.1.0` first
    ");
    assert!(refused.stdout.is_empty(), "{refused:?}");
}

const GOOD: &str = "name: web\nversion: 0.1.0\ndescription: A page\nruntime: {process: {command: [./run]}}\n";

fn write_module(folder: &Path, yaml: &str) {
    std::fs::create_dir(folder).expect("a new folder");
    std::fs::write(folder.join("MODULE.yaml"), yaml).expect("a new file");
    let script = folder.join("run");
    std::fs::write(&script, "#!/bin/sh\nexec sleep 9\n").expect("a new file");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("an executable file");
}

/// The binary with nothing of the tester's own settings, far from any coordinator.
fn orchestrator(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    command.args(arguments.split_whitespace()).env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

fn run(arguments: &str) -> Output {
    orchestrator(arguments).output().expect("the binary runs")
}

fn run_in(folder: &Path, arguments: &str) -> Output {
    orchestrator(arguments).current_dir(folder).output().expect("the binary runs")
}

/// What is said to a call that must end with status 2 and print nothing.
fn refusal(arguments: &str) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments}: {output:?}");
    let said = stderr(&output);
    assert!(!said.contains("hunter2"), "{said}");
    said
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
