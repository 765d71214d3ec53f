//! One node that cannot be reached stops nobody, and gets its changes when it is back.

use std::time::Duration;

use e2e::host::Host;
use e2e::orchestrator::eventually;
use e2e::scene::{Page, Scene};
use serde_json::Value;

#[test]
fn a_cut_node_waits_and_is_served_by_the_next_command() {
    let scene = with_one_of_three_cut();
    let cli = &scene.orchestrator;
    cli.run("logs page").exits(1).says("page 2.0.0 starts").says("no logs: ");
    // What ran last where it could be reached is what a bad release goes back to.
    scene.deploy_page_everywhere(&Page::broken("3.0.0")).unwrap().exits(1).says("going back to 2.0.0");
    assert_eq!(states(&scene)[..2], ["a healthy 2.0.0", "b healthy 2.0.0"]);
    Page::version("2.0.0").write(scene.fleet.desk()).unwrap();
    scene.fleet.host("c").heal().unwrap();
    cli.ok("deploy ./page --every-node");
    assert_eq!(states(&scene), ["a healthy 2.0.0", "b healthy 2.0.0", "c healthy 2.0.0"]);

    // A node that was given up while it was away is told, when it is back, that nothing of it is wanted any more.
    let c = scene.fleet.host("c");
    c.cut().unwrap();
    cli.ok("node remove c --force");
    cli.ok("remove page");
    c.heal().unwrap();
    assert!(serves(c), "nobody has told it");
    cli.ok("node add c --ssh c");
    eventually("what it was told in its earlier life has ended", Duration::from_secs(10), || !serves(c));
}

fn serves(host: &Host) -> bool {
    host.processes().unwrap().iter().any(|(_, command)| command.contains("httpd"))
}

#[test]
fn a_cut_node_waits_and_is_served_by_the_daemon() {
    let scene = with_one_of_three_cut();
    let daemon = scene.orchestrator.start("serve");
    scene.fleet.host("c").heal().unwrap();
    eventually("all are healthy", Duration::from_secs(60), || {
        states(&scene) == ["a healthy 2.0.0", "b healthy 2.0.0", "c healthy 2.0.0"]
    });
    daemon.signal(libc::SIGTERM);
    daemon.wait().exits(0);
}

/// Version 1 runs on three nodes, version 2 on the two that can be reached.
fn with_one_of_three_cut() -> Scene {
    let scene = Scene::enrolled(3).unwrap();
    scene.deploy_page_everywhere(&Page::version("1.0.0")).unwrap().exits(0);
    scene.fleet.host("c").cut().unwrap();
    let outcome = scene.deploy_page_everywhere(&Page::version("2.0.0")).unwrap();
    let outcome = outcome.exits(3).within(Duration::from_secs(30));
    let waits = |line: &&str| line.contains('c') && line.contains("wait");
    assert!(
        outcome.stderr.lines().chain(outcome.stdout.lines()).any(|line| waits(&line)),
        "says which\n{outcome}"
    );
    let states = states(&scene);
    assert_eq!(states[..2], ["a healthy 2.0.0", "b healthy 2.0.0"], "{states:?}");
    assert!(states[2].starts_with("c waiting") || states[2].starts_with("c unknown"), "{states:?}");
    scene
}

/// Node, state and version of each instance, by node.
fn states(scene: &Scene) -> Vec<String> {
    let status = scene.orchestrator.run("status page -o json").json();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let line = |it: &Value| format!("{} {} {}", text(&it["node"]), text(&it["state"]), text(&it["version"]));
    let mut states: Vec<_> = status[0]["instances"].as_array().into_iter().flatten().map(line).collect();
    states.sort();
    states
}
