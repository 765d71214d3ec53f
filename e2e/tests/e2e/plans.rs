//! Plans over real hosts, written by hand and without any model: rollout, approvals, offline nodes, and deaths of either end.

use std::time::{Duration, SystemTime};

use e2e::kill_matrix::take_points;
use e2e::orchestrator::{Outcome, eventually};
use e2e::scene::{DATA, Scene};
use serde_json::Value;

const LOOK: &str = "
goal: See how full the disks are
nodes: {every: true}
rollout: {canary: 1, batch: 2, max_failures: 0, offline: wait}
steps:
  - {id: disk, tool: collect.disk, args: {path: /}, success: [{number: {of: out.used_percent, at_most: 100}}]}
  - {id: facts, tool: collect.facts}
";

#[test]
fn a_plan_by_hand_runs_on_every_node_and_its_receipts_hold() {
    let scene = with_plan(LOOK);
    let cli = &scene.orchestrator;
    cli.run("plan run plan.yaml").exits(2).says("plan approve");
    cli.ok("plan approve plan.yaml");
    let outcome = cli.ok("plan run plan.yaml -o json");
    let run = outcome.json();
    assert_eq!(
        (&run["state"], &run["done"], &run["nodes"]),
        (&"done".into(), &3.into(), &3.into()),
        "{outcome}"
    );
    let id = run["run"].as_str().unwrap().to_owned();

    // What was done is on record, also when the node does not answer.
    scene.fleet.host("b").cut().unwrap();
    let shown = cli.ok(&format!("run show {id} -o json")).json();
    for node in shown["nodes"].as_array().unwrap() {
        assert_eq!(node["state"], "done", "{node}");
        assert_eq!(node["receipts"]["verified"], true, "{node}");
        let steps: Vec<_> = node["steps"].as_array().unwrap().iter().map(|step| &step["state"]).collect();
        assert_eq!(steps, ["done", "done"], "{node}");
        assert!(node["steps"][0]["out"].is_object(), "{node}");
    }
    cli.ok(&format!("run show {id}")).says("all of them hold");
    let listed = cli.ok("run list -o json").json();
    assert_eq!(listed[0]["run"], id.as_str());
    cli.ok(&format!("run logs {id}")).says("done on 3 of 3 nodes");
}

const DELETE: &str = "
goal: Delete an old file
nodes: {names: [a, b]}
rollout: {canary: 0, batch: 0, max_failures: 0, offline: wait}
steps:
  - {id: delete, tool: file.delete, args: {paths: [/var/tmp/old]}, effect: destructive}
  - {id: gone, needs: [delete], tool: verify.file, args: {path: /var/tmp/old, exists: false}}
";

#[test]
fn a_destructive_step_waits_for_a_person_on_each_node() {
    let scene = with_plan(DELETE);
    let cli = &scene.orchestrator;
    for name in ["a", "b"] {
        scene.fleet.host(name).write("/var/tmp/old", "x").unwrap();
    }
    cli.ok("plan approve plan.yaml");
    let waiting = cli.run("plan run plan.yaml -o json").exits(3).says("approval list");
    let id = waiting.json()["run"].as_str().unwrap().to_owned();
    let asked = questions(&scene);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked.iter().all(|open| open["call"].as_str().unwrap().contains("/var/tmp/old")), "{asked:?}");
    assert!(scene.fleet.host("a").exists("/var/tmp/old"), "nothing is done before the yes");

    // A yes on one node is none on the other.
    cli.ok(&format!("approval approve {}", id_of(&asked, "a")));
    eventually("a has deleted it", SOON, || !scene.fleet.host("a").exists("/var/tmp/old"));
    assert!(scene.fleet.host("b").exists("/var/tmp/old"));
    cli.ok(&format!("approval deny {}", id_of(&asked, "b")));
    cli.run(&format!("run logs {id}")).exits(1);
    assert!(scene.fleet.host("b").exists("/var/tmp/old"), "a no is a no");
    let shown = cli.ok(&format!("run show {id} -o json")).json();
    assert_eq!(states(&shown), ["a done", "b failed"]);
    cli.run(&format!("approval approve {}", id_of(&asked, "b"))).exits(2).says("nobody asks");
}

#[test]
fn no_answer_in_time_is_a_no_and_a_yes_may_be_given_beforehand() {
    let scene = with_plan(DELETE);
    let cli = &scene.orchestrator;
    for name in ["a", "b"] {
        scene.fleet.host(name).write("/var/tmp/old", "x").unwrap();
    }
    cli.ok("plan approve plan.yaml");
    let waiting = cli.run("plan run plan.yaml --approval-timeout 4s -o json");
    let id = waiting.json()["run"].as_str().unwrap().to_owned();
    eventually("its time is up", SOON, || {
        cli.run(&format!("run show {id} -o json")).json()["state"] == "failed"
    });
    assert!(scene.fleet.host("a").exists("/var/tmp/old"));
    cli.run("plan run plan.yaml --yes-to nothing").exits(2).says("no step nothing");
    cli.ok("plan run plan.yaml --yes-to delete");
    assert!(!scene.fleet.host("a").exists("/var/tmp/old") && !scene.fleet.host("b").exists("/var/tmp/old"));
}

#[test]
fn a_node_that_is_away_waits_or_is_left_out_as_the_plan_says() {
    let scene = with_plan(LOOK);
    let cli = &scene.orchestrator;
    cli.ok("plan approve plan.yaml");
    write(&scene, "skip.yaml", &LOOK.replace("offline: wait", "offline: skip"));
    cli.ok("plan approve skip.yaml");
    scene.fleet.host("c").cut().unwrap();

    let skipped = cli.ok("plan run skip.yaml -o json").json();
    assert_eq!((&skipped["done"], &skipped["skipped"]), (&2.into(), &1.into()), "{skipped}");

    let waiting = cli.run("plan run plan.yaml -o json").exits(3).within(Duration::from_secs(40)).json();
    assert_eq!((&waiting["done"], &waiting["state"]), (&2.into(), &"waiting".into()), "{waiting}");
    let id = waiting["run"].as_str().unwrap();
    scene.fleet.host("c").heal().unwrap();
    eventually("it is carried on by a command that looks", Duration::from_secs(40), || {
        cli.run("run list -o json").json()[0]["state"] == "done"
    });
    cli.ok(&format!("run logs {id}")).says("done on 3 of 3");
}

#[test]
fn the_daemon_carries_on_what_a_command_has_begun() {
    let scene = with_plan(LOOK);
    let cli = &scene.orchestrator;
    cli.ok("plan approve plan.yaml");
    scene.fleet.host("a").cut().unwrap();
    let id = cli.run("plan run plan.yaml -o json").exits(3).json()["run"].as_str().unwrap().to_owned();
    let daemon = cli.start("serve");
    scene.fleet.host("a").heal().unwrap();
    eventually("the daemon has done it", Duration::from_secs(60), || {
        cli.run(&format!("run show {id} -o json")).json()["state"] == "done"
    });
    daemon.signal(libc::SIGTERM);
    daemon.wait().exits(0);
}

#[test]
fn a_canary_that_fails_stops_it_and_a_cancelled_run_begins_no_further() {
    let plan = "
goal: Find a file
nodes: {every: true}
rollout: {canary: 1, batch: 1, max_failures: 5, offline: skip}
steps:
  - {id: there, tool: verify.file, args: {path: /var/tmp/marker}, success: [{equals: {of: out.holds, value: true}}]}
";
    let scene = with_plan(plan);
    let cli = &scene.orchestrator;
    cli.ok("plan approve plan.yaml");
    let stopped = cli.run("plan run plan.yaml -o json").exits(1);
    assert!(stopped.json()["message"].as_str().unwrap().contains("a failed as a canary"), "{stopped}");
    let id = stopped.json()["run"].as_str().unwrap().to_owned();
    let shown = cli.ok(&format!("run show {id} -o json")).json();
    assert_eq!(states(&shown), ["a failed", "b waiting", "c waiting"]);

    write(&scene, "ask.yaml", &DELETE.replace("canary: 0, batch: 0", "canary: 1, batch: 1"));
    cli.ok("plan approve ask.yaml");
    let id = cli.run("plan run ask.yaml -o json").exits(3).json()["run"].as_str().unwrap().to_owned();
    cli.ok(&format!("run cancel {id}"));
    let shown = cli.ok(&format!("run show {id} -o json")).json();
    assert_eq!(
        (&shown["state"], states(&shown)),
        (&"cancelled".into(), vec!["a cancelled".to_owned(), "b cancelled".to_owned(),])
    );
    assert!(questions(&scene).is_empty());
}

/// Appends a line: twice is not the same as once.
const APPEND: &str = "
goal: Append a line, once
nodes: {every: true}
# What a crash takes begins again, and counts.
budget: {steps: 20}
rollout: {canary: 1, batch: 2, max_failures: 0, offline: wait}
steps:
  - {id: look, tool: collect.facts}
  - {id: append, needs: [look], tool: exec.argv, args: {argv: [/usr/bin/append-line, MARK]}, effect: reversible}
  - {id: after, needs: [append], tool: verify.file, args: {path: /var/tmp/lines, contains: \"MARK\\n\"}}
";
const POLICY: &str = "
otherwise: forbid
programs: [/usr/bin]
rules:
  - {argv: [/usr/bin/append-line, <word>], decision: allow, effect: reversible, why: a test, match: [append-line x], not: [append-line -x]}
";
const SCRIPT: &str = "#!/bin/sh\necho \"$1\" >>/var/tmp/lines\n";

#[test]
fn a_run_that_is_cancelled_while_it_is_followed_says_so_and_leaves_no_process() {
    let scene = with_appender("#!/bin/sh\nexec sleep 987\n");
    let cli = &scene.orchestrator;
    cli.ok("plan approve plan.yaml");
    let followed = cli.start("plan run plan.yaml");
    let works = || scene.fleet.host("a").processes().unwrap().iter().any(|(_, line)| line.contains("987"));
    eventually("its canary is at work", SOON, works);
    cli.ok(&format!("run cancel {}", newest_run(&scene)));
    followed.wait_within(SOON).exits(1).says("done on 0 of 3 nodes").says("cancelled it");
    assert!(!works(), "what ran was killed");
    let shown = cli.ok(&format!("run show {} -o json", newest_run(&scene))).json();
    assert_eq!(states(&shown), ["a unknown", "b cancelled", "c cancelled"], "half of an append may be done");
}

#[test]
fn the_coordinator_may_die_at_every_point_of_a_run() {
    let scene = with_appender(SCRIPT);
    let cli = &scene.orchestrator;
    write(&scene, "plan.yaml", &APPEND.replace("MARK", "trace"));
    cli.ok("plan approve plan.yaml");
    cli.clone().with("ORCHESTRATOR_FAULT", "trace:/root/reached").ok("plan run plan.yaml");
    let points = take_points(scene.fleet.desk(), "/root/reached").unwrap();
    let points: Vec<_> = points.into_iter().filter(|point| point.starts_with("run.")).collect();
    assert!(points.len() >= 8, "{points:?}");
    for (index, point) in points.iter().enumerate() {
        println!("the coordinator dies at {point}");
        let mark = format!("m{index}");
        write(&scene, "plan.yaml", &APPEND.replace("MARK", &mark));
        cli.ok("plan approve plan.yaml");
        let died = cli.clone().with("ORCHESTRATOR_FAULT", point).run("plan run plan.yaml");
        assert_eq!(died.code, None, "nobody died at {point}\n{died}");
        comes_to_rest(&scene);
        appended_once_everywhere(&scene, &mark, &died);
    }
}

#[test]
fn the_agent_may_die_at_every_point_of_a_run() {
    let scene = with_appender(SCRIPT);
    let cli = &scene.orchestrator;
    let agent = scene.fleet.host("a");
    write(&scene, "plan.yaml", &APPEND.replace("MARK", "trace"));
    cli.ok("plan approve plan.yaml");
    agent.write(&format!("{DATA}/fault"), "trace").unwrap();
    cli.ok("plan run plan.yaml");
    agent.run(&format!("rm -f {DATA}/fault")).unwrap();
    let points = take_points(agent, &format!("{DATA}/fault.reached")).unwrap();
    let is_of_runs =
        |point: &String| ["run.", "step.", "receipt."].iter().any(|prefix| point.starts_with(prefix));
    let points: Vec<_> = points.into_iter().filter(is_of_runs).collect();
    assert!(points.len() >= 5, "{points:?}");
    for (index, point) in points.iter().enumerate() {
        println!("the agent dies at {point}");
        let mark = format!("a{index}");
        write(&scene, "plan.yaml", &APPEND.replace("MARK", &mark));
        cli.ok("plan approve plan.yaml");
        agent.write(&format!("{DATA}/fault"), point).unwrap();
        let told = cli.run("plan run plan.yaml");
        assert!(!agent.exists(&format!("{DATA}/fault")), "nobody died at {point}\n{told}");
        comes_to_rest(&scene);
        appended_once_everywhere(&scene, &mark, &told);
    }
}

#[test]
fn whoever_dies_and_whenever_nothing_is_appended_twice() {
    let mut random = seed();
    println!("ORCHESTRATOR_E2E_SEED={random}");
    let scene = with_appender(SCRIPT);
    let cli = &scene.orchestrator;
    for round in 0..variable("ORCHESTRATOR_E2E_SCHEDULES").unwrap_or(6) {
        let mark = format!("r{round}");
        write(&scene, "plan.yaml", &APPEND.replace("MARK", &mark));
        cli.ok("plan approve plan.yaml");
        let before = runs(&scene).len();
        let running = cli.start("plan run plan.yaml");
        let pause = Duration::from_millis(next(&mut random) % 2500);
        std::thread::sleep(pause);
        let victim = next(&mut random) % 4;
        println!("round {round}: victim {victim} after {pause:?}");
        let told = match victim {
            0 => running.kill(),
            other => {
                let host = scene.fleet.host(["a", "b", "c"][other as usize - 1]);
                let _ = host.run("pkill -9 -f 'node-agent run'");
                running.wait()
            }
        };
        comes_to_rest(&scene);
        if runs(&scene).len() == before {
            // Killed before the run was recorded: then nobody has begun it.
            let begun = ["a", "b", "c"].into_iter().find(|name| lines(&scene, name).contains(&mark));
            assert_eq!(begun, None, "{told}");
            continue;
        }
        appended_once_everywhere(&scene, &mark, &told);
    }
}

/// Looks until every run has ended, and answers as a person does who looks whether the line is there.
fn comes_to_rest(scene: &Scene) {
    let cli = &scene.orchestrator;
    eventually("every run has ended", Duration::from_secs(90), || {
        for open in questions(scene).iter().filter(|open| open["kind"] == "unknown") {
            let node = open["node"].as_str().unwrap();
            let mark = open["call"].as_str().unwrap().rsplit(' ').next().unwrap();
            let is_there = lines(scene, node).iter().any(|line| line == mark);
            let answer = if is_there { "done" } else { "not-done" };
            let run = open["run"].as_str().unwrap();
            let step = open["step"].as_str().unwrap();
            cli.run(&format!("run answer {run} {step} {answer} --node {node}"));
        }
        runs(scene).iter().all(|run| run["ended"].is_string())
    });
}

/// The newest first.
fn runs(scene: &Scene) -> Vec<serde_json::Value> {
    let listed = scene.orchestrator.ok("run list -o json").json();
    listed.as_array().expect("a list").clone()
}

fn appended_once_everywhere(scene: &Scene, mark: &str, told: &Outcome) {
    let newest = &runs(scene)[0];
    for name in ["a", "b", "c"] {
        let count = lines(scene, name).iter().filter(|line| *line == mark).count();
        assert!(count <= 1, "{name} has {mark} {count} times\n{newest}\n{told}");
        if newest["state"] == "done" {
            assert_eq!(count, 1, "{name} says done without {mark}\n{newest}\n{told}");
        }
    }
    let shown =
        scene.orchestrator.ok(&format!("run show {} -o json", newest["run"].as_str().unwrap())).json();
    for node in shown["nodes"].as_array().unwrap().iter().filter(|node| node["receipts"].is_object()) {
        assert_eq!(node["receipts"]["verified"], true, "{node}\n{told}");
    }
    assert_eq!(newest["state"], "done", "the run was recorded, so it is carried out\n{newest}\n{told}");
}

fn lines(scene: &Scene, host: &str) -> Vec<String> {
    let text = scene.fleet.host(host).read("/var/tmp/lines").unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

pub fn newest_run(scene: &Scene) -> String {
    scene.orchestrator.ok("run list -o json").json()[0]["run"].as_str().unwrap().to_owned()
}

/// Hosts that know the command of `APPEND`, and a policy that allows it.
pub fn with_appender(script: &str) -> Scene {
    let scene = with_plan(APPEND);
    for host in scene.fleet.hosts() {
        host.write("/usr/bin/append-line", script).unwrap();
        host.run("chmod 755 /usr/bin/append-line").unwrap();
    }
    write(&scene, "policy.yaml", POLICY);
    scene.orchestrator.ok("policy set policy.yaml");
    scene
}

fn with_plan(plan: &str) -> Scene {
    let scene = Scene::enrolled(3).unwrap();
    write(&scene, "plan.yaml", plan);
    scene
}

fn write(scene: &Scene, name: &str, text: &str) {
    scene.fleet.desk().write(&format!("/root/{name}"), text).unwrap();
}

fn questions(scene: &Scene) -> Vec<Value> {
    let asked = scene.orchestrator.run("approval list -o json").json();
    asked.as_array().cloned().unwrap_or_default()
}

fn id_of(questions: &[Value], node: &str) -> String {
    let found = questions.iter().find(|open| open["node"] == node).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

/// Node and state, by node.
fn states(shown: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes = shown["nodes"].as_array().unwrap().iter();
    nodes.map(|node| format!("{} {}", text(&node["node"]), text(&node["state"]))).collect()
}

const SOON: Duration = Duration::from_secs(30);

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Printed with every failure.
fn seed() -> u64 {
    let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    variable("ORCHESTRATOR_E2E_SEED").unwrap_or_else(clock)
}

/// The next number of a sequence that a seed begins.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
