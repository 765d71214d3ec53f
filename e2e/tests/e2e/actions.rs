//! What modules offer to run on their instances: listed, run where they are, refused where it is not as declared.

use std::time::Duration;

use e2e::orchestrator::eventually;
use e2e::scene::{DATA, Page, Scene};

use crate::containers::docker_scene;

const ACTIONS: &str = "\
actions:
  say:
    command: [sh, -c, 'echo \"$0 of $ORCHESTRATOR_INSTANCE\"; exit \"$1\"', \"${args.word}\", \"${args.code}\"]
    effect: read
    description: Says a word
    args:
      word: {type: string, description: which}
      code: {type: int, default: 0}
  forget:
    command: [rm, \"${volume.data}/asked\"]
    effect: destructive
    description: Forgets when it was asked
";

#[test]
fn an_action_runs_on_every_instance_and_is_typed() {
    let scene = Scene::enrolled(2).unwrap();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    Page::version("1.0.0").write(desk).unwrap();
    let module = desk.read("/root/page/MODULE.yaml").unwrap();
    desk.write("/root/page/MODULE.yaml", &format!("{module}{ACTIONS}")).unwrap();
    cli.ok("deploy ./page --every-node");

    let listed = cli.ok("action page -o json").json();
    assert_eq!((&listed[0]["action"], &listed[0]["effect"]), (&"forget".into(), &"destructive".into()));
    assert_eq!(listed[1]["args"]["code"]["default"], "0");
    cli.ok("action page").says("word=string").says("[code=0]").says("Says a word");

    let said = cli.ok("action page say --arg word='hi; id'");
    said.says("page/0@a: hi; id of page/0").says("page/1@b: hi; id of page/1");
    let one = cli.ok("action page/1 say --arg word=alone");
    assert_eq!(one.stdout, "alone of page/1\n", "one instance's output is passed on as it is");
    let on_a = cli.ok("action page say --arg word=x --node a -o json");
    let lines: Vec<serde_json::Value> =
        on_a.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["instance"], &lines[0]["node"]), (&"page/0".into(), &"a".into()));
    assert_eq!(lines[1]["exit_code"], 0);

    cli.run("action page say --arg word=x --arg code=3").exits(1).says("ended with status 3");
    cli.run("action page say").exits(2).says("argument \"word\" is required");
    cli.run("action page say --arg word=x --arg code=three").exits(2).says("a whole number");
    cli.run("action page sya --arg word=x").exits(2).says("did you mean \"say\"?");
    cli.run("action page say --arg word=x --node c").exits(2).says("has no instance on c");
    cli.run("action page/7 say --arg word=x").exits(2).says("has no instance");
    cli.run("action shop").exits(2).says("shop");

    let asked = format!("{DATA}/volumes/page.0/data/asked");
    eventually("it was asked", Duration::from_secs(10), || a.exists(&asked));
    // A script that names it is not asked; it is told what it may change.
    cli.run("action page/0 forget");
    scene.fleet.host("b").cut().unwrap();
    cli.run("action page say --arg word=x")
        .exits(1)
        .says("page/0@a: x of page/0")
        .says("on page/1@b it ended");
}

#[test]
fn a_command_whose_node_breaks_off_is_not_said_to_have_succeeded() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    let mut command = cli.start("node exec a -o json -- sh -c 'echo begun; exec sleep 300'");
    command.await_said("begun");
    a.run(&format!("kill -9 $(cat {DATA}/agent.lock)")).unwrap();
    let ended = command.wait_within(Duration::from_secs(30)).exits(1).says("ended with status 255");
    assert!(ended.stdout.lines().last().unwrap().contains("\"exit_code\":255"), "{ended}");
}

#[test]
fn of_a_module_in_a_container_it_runs_in_the_container() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    a.make_image("box:1", &[("/inside", "only here\n")], &[]).unwrap();
    let module = "name: box\nversion: 1.0.0\nruntime: {container: {image: 'box:1', command: [sleep, '1000'], stop_timeout: 1s}}\n\
                  actions:\n  look: {command: [cat, \"${args.path}\"], effect: read, args: {path: {type: path}}}\n  \
                  slow: {command: [sleep, '1000'], effect: read, timeout: 1s}\n";
    desk.write("/root/box/MODULE.yaml", module).unwrap();
    cli.ok("deploy ./box");
    assert_eq!(cli.ok("action box look --arg path=/inside").stdout, "only here\n");
    cli.run("action box look --arg path=/nowhere").exits(1).says("nowhere");
    cli.run("action box look --arg path=/../inside").exits(2).says("a path without");
    cli.run("action box slow").exits(1).says("took longer than 1s");

    // The same from a plan.
    desk.write("/root/plan.yaml", INSIDE).unwrap();
    cli.ok("plan approve plan.yaml");
    let run = cli.ok("plan run plan.yaml -o json").json()["run"].as_str().unwrap().to_owned();
    let shown = cli.ok(&format!("run show {run} -o json")).json();
    let steps = shown["nodes"][0]["steps"].as_array().unwrap();
    let step = |id: &str| steps.iter().find(|step| step["step"] == id).unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(step("look")["out"]["stdout"], "only here\n", "{shown}");
    assert!(step("slow")["message"].as_str().unwrap().contains("may still run in the container"), "{shown}");
}

const INSIDE: &str = "
goal: Look into the box
nodes: {every: true}
steps:
  - {id: look, tool: module.action, args: {deployment: box, action: look, args: {path: /inside}}}
  - {id: slow, tool: module.action, args: {deployment: box, action: slow}, on_failure: continue}
  - {id: after, needs: [look], tool: collect.facts, success: [{present: out.arch}]}
";
