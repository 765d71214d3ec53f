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

    cli.ok(&format!("node drain {old}"));

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
