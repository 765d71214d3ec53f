//! An exclusive module never runs twice, not even while it moves.

use e2e::scene::{DATA, Scene};

use crate::spine::{instances, status};

const MODULE: &str = "\
name: single
version: 1.0.0
exclusive: true
volumes: [{name: data, path: data}]
runtime:
  process: {command: [./run.sh], stop_timeout: 5s}
";

/// Takes its time to stop, and writes down when it started and when it had stopped.
const RUN: &str = "\
#!/bin/sh
trap 'sleep 1; date +%s%N >\"$VOLUME_DATA/stopped\"; exit 0' TERM
date +%s%N >\"$VOLUME_DATA/started\"
while :; do sleep 0.1; done
";

#[test]
fn an_exclusive_instance_stops_before_it_starts_elsewhere() {
    let scene = Scene::enrolled(2).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    desk.write("/root/single/MODULE.yaml", MODULE).unwrap();
    desk.write("/root/single/run.sh", RUN).unwrap();
    desk.run("chmod +x /root/single/run.sh").unwrap();
    cli.ok("deploy ./single");
    let old = instances(&status(cli, "single"))[0]["node"].as_str().unwrap().to_owned();

    let held = cli.run(&format!("node drain {old}"));
    held.exits(3).says("would start empty elsewhere").says("--leave-data");
    cli.ok(&format!("node drain {old} --leave-data"));

    let new = instances(&status(cli, "single"))[0]["node"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    let moment = |node: &str, file: &str| -> u128 {
        let text = scene.fleet.host(node).read(&format!("{DATA}/volumes/single.0/data/{file}")).unwrap();
        text.trim().parse().unwrap()
    };
    let (stopped, started) = (moment(&old, "stopped"), moment(&new, "started"));
    assert!(
        stopped <= started,
        "started {} ms before the other had stopped",
        (stopped - started) / 1_000_000
    );
}

/// Notes all the time that it lives, does not end until it must, and is healthy only where it is told so.
const CLINGING: &str = "\
#!/bin/sh
trap '' TERM
while :; do date +%s%N >>\"$VOLUME_DATA/alive\"; sleep 0.02; done
";

#[test]
fn an_exclusive_instance_that_fails_elsewhere_stops_before_the_old_one_starts_again() {
    let scene = Scene::enrolled(2).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    let write = |version: &str, check: &str| {
        let health = format!(
            "health: {{exec: {{command: [{check}]}}, interval: 100ms, retries: 2, start_period: 300ms}}\n"
        );
        desk.write("/root/single/MODULE.yaml", &(MODULE.replace("1.0.0", version) + &health)).unwrap();
        desk.write("/root/single/run.sh", CLINGING).unwrap();
        desk.run("chmod +x /root/single/run.sh").unwrap();
    };
    write("1.0.0", "/bin/true");
    cli.ok("deploy ./single --node a");
    let moments = |node: &str| -> Vec<u128> {
        let text = scene.fleet.host(node).read(&format!("{DATA}/volumes/single.0/data/alive")).unwrap();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    };

    write("2.0.0", "/bin/false");
    let outcome = cli.run("deploy ./single --node b --leave-data");

    let outcome = outcome.exits(1);
    assert!(outcome.to_string().contains("1.0.0 runs again"), "{outcome}");
    let status = status(cli, "single");
    assert_eq!((&status["version"], &status["state"]), (&"1.0.0".into(), &"rolled_back".into()), "{status}");
    assert_eq!(instances(&status)[0]["node"], "a");
    let on_b = moments("b");
    let (first, last) = (on_b.first().unwrap(), on_b.last().unwrap());
    let meanwhile = moments("a").into_iter().filter(|moment| (first..=last).contains(&moment)).count();
    assert_eq!(meanwhile, 0, "both ran at the same time");
    assert!(moments("a").iter().any(|moment| moment > last), "it never ran again");
}
