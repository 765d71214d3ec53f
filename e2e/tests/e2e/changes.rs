//! Changes that meet others: of the same deployment, of the machines that it runs on, of what the store remembers.

use std::time::Duration;

use e2e::fleet::Fleet;
use e2e::host::Host;
use e2e::orchestrator::{Orchestrator, eventually};
use e2e::scene::{DATA, Page, Scene};
use serde_json::Value;

use crate::spine::{instances, status};

/// Keeps nothing; healthy where it is told so.
const MODULE: &str = "\
name: still
version: VERSION
MORE
runtime: {process: {command: [sleep, '1000'], stop_timeout: 1s}}
health: {exec: {command: ['HEALTH']}, interval: 1s, timeout: 1s, retries: 1, start_period: 300ms}
update: {health_deadline: 5s}
";
const FIXED_PORT: &str = "ports: [{name: web, port: 7070}]";

fn write(desk: &Host, version: &str, health: &str, more: &str) {
    let module = MODULE.replace("VERSION", version).replace("HEALTH", health).replace("MORE", more);
    desk.write("/root/still/MODULE.yaml", &module).unwrap();
}

fn nodes(cli: &Orchestrator, deployment: &str) -> Vec<String> {
    let status = status(cli, deployment);
    instances(&status).iter().map(|one| one["node"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_drained_node_keeps_what_fits_nowhere_else_and_one_deployment_holds_up_no_other() {
    let scene = Scene::enrolled(3).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    write(desk, "1.0.0", "true", "");
    cli.ok("deploy ./still --name pinned --node a");
    cli.ok("deploy ./still --name early --node a --node c");
    cli.ok("node remove c --force");
    cli.ok("node cordon b");
    cli.ok("deploy still --name late");
    cli.ok("node uncordon b");
    let drained = cli.run("node drain a").exits(3).says("not moved: ").says("pinned (no node fits pinned/0");
    drained.says("early (no node is named c").says("uncordon a");
    assert_eq!((nodes(cli, "pinned"), nodes(cli, "late")), (vec!["a".to_owned()], vec!["b".to_owned()]));
    assert_eq!(status(cli, "pinned")["state"], "healthy");
}

#[test]
fn what_a_release_asks_for_no_more_is_left_out_and_what_it_would_go_back_to_is_kept() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    desk.write("/root/token", "t").unwrap();
    write(desk, "1.0.0", "true", "config: [{name: token, secret: true, required: true}]");
    cli.ok("deploy ./still --secret token=@token");
    write(desk, "2.0.0", "true", "");
    cli.ok("deploy ./still");
    cli.run("secret remove still.token").exits(1).says("still");
    write(desk, "3.0.0", "true", "config: [{name: token, type: string}]");
    cli.ok("deploy ./still --set token=plain");
    write(desk, "4.0.0", "true", "config: [{name: token, secret: true, required: false}]");
    cli.ok("deploy ./still");
    // Nothing refers to it any more; what went before is not begun without it.
    cli.ok("secret remove still.token");
    cli.run("rollback still --to 1").exits(2).says("still.token");
    assert_eq!(status(cli, "still")["state"], "healthy");
    assert_eq!(status(cli, "still")["version"], "4.0.0");
}

#[test]
fn an_instance_that_waited_for_a_node_still_does_after_going_back() {
    let scene = Scene::bare(3).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    for name in ["a", "b"] {
        cli.ok(&format!("node add {name} --ssh {name}"));
    }
    write(desk, "1.0.0", "true", FIXED_PORT);
    cli.run("deploy ./still --count 3").exits(3).says("still/2");
    write(desk, "2.0.0", "false", FIXED_PORT);
    cli.run("deploy ./still").exits(1).says("1.0.0 runs again");
    assert_eq!(instances(&status(cli, "still")).len(), 3);
    cli.ok("node add c --ssh c");
    eventually("the third has its place", Duration::from_secs(30), || {
        let status = status(cli, "still");
        status["state"] == "healthy"
            && status["version"] == "1.0.0"
            && instances(&status).iter().any(|one| one["node"] == "c")
    });
}

#[test]
fn a_store_of_yesterday_does_not_take_what_a_node_has_for_what_it_says() {
    let scene = Scene::bare(1).unwrap();
    let cli = Orchestrator::on(scene.fleet.desk()).unwrap();
    let (desk, a) = (scene.fleet.desk(), scene.fleet.host("a"));
    cli.ok("node add a --ssh a");
    write(desk, "1.0.0", "true", "");
    cli.ok("deploy ./still");
    let folder = "/root/.local/share/orchestrator";
    desk.run(&format!("cp -r {folder} /root/yesterday")).unwrap();
    cli.ok("restart still");
    desk.run(&format!("rm -r {folder} && mv /root/yesterday {folder}")).unwrap();
    cli.ok("remove still");
    let left = a.run(&format!("ls {DATA}/instances")).unwrap();
    assert!(!left.contains("still"), "{left}");
}

#[test]
fn nodes_are_chosen_by_what_they_offer_now() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    cli.ok("node exec --on apt -- true");
    a.run("rm /usr/bin/apt-get; pkill -9 -f 'node-agent ru[n]'").unwrap();
    eventually("it offers less", Duration::from_secs(20), || {
        cli.run("node exec --on apt -- true").stderr.contains("no node matches apt")
    });
}

#[test]
fn a_coordinator_that_is_told_to_stop_does_so_while_somebody_follows_a_log() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    Page::version("1.0.0").write(desk).unwrap();
    cli.ok("deploy ./page");
    let serve = cli.start("serve");
    let socket = "/root/.local/share/orchestrator/orchestrator.sock";
    eventually("it serves", Duration::from_secs(10), || desk.exists(socket));
    let mut logs = cli.start("logs page -f");
    logs.await_said("page 1.0.0 starts");
    serve.signal(libc::SIGTERM);
    serve.wait_within(Duration::from_secs(10)).exits(0);
    assert!(!desk.exists(socket));
    logs.kill();
}

#[test]
fn a_package_on_a_slow_line_holds_up_nobody_who_only_looks() {
    let fleet = Fleet::up(2).unwrap();
    let (desk, a) = (fleet.desk(), fleet.host("a"));
    // Without a store that is named, commands ask the daemon.
    let cli = &Orchestrator::on(desk).unwrap();
    for name in ["a", "b"] {
        cli.ok(&format!("node add {name} --ssh {name}"));
    }
    Page::version("1.0.0").write(desk).unwrap();
    cli.ok("deploy ./page --count 2");
    a.cut().unwrap();
    Page { ballast: 20_000_000, ..Page::version("2.0.0") }.write(desk).unwrap();
    cli.run("deploy ./page --count 2").exits(3);
    a.heal().unwrap();
    a.narrow("2mbit").unwrap();
    let serve = cli.start("serve");
    let socket = "/root/.local/share/orchestrator/orchestrator.sock";
    eventually("it serves", Duration::from_secs(10), || desk.exists(socket));
    eventually("the package is on its way", Duration::from_secs(30), || {
        a.run(&format!("ls -A {DATA}/releases")).unwrap().lines().count() > 1
    });
    let is_done = |status: &Value| instances(status).iter().all(|one| one["version"] == "2.0.0");
    let arrived = || a.run(&format!("ls {DATA}/releases")).unwrap().lines().count() > 1;
    let looked = status(cli, "page");
    assert!(!arrived(), "it was waited for: {looked}");
    assert!(!is_done(&looked), "it was waited for: {looked}");
    // Another release is wanted by the time that this one has arrived.
    Page { ballast: 40_000_000, ..Page::version("3.0.0") }.write(desk).unwrap();
    let mut deploy = cli.start("deploy ./page --count 2");
    eventually("both are on their way", Duration::from_secs(60), || {
        a.run(&format!("ls -A {DATA}/releases")).unwrap().lines().count() > 2
    });
    assert!(!arrived() && !deploy.has_ended());
    a.narrow("40mbit").unwrap();
    eventually("the one that is wanted no more has arrived", Duration::from_secs(60), arrived);
    assert!(!deploy.has_ended());
    deploy.wait_within(Duration::from_secs(60)).exits(0);
    let mut on = nodes(cli, "page");
    on.sort();
    assert_eq!(on, ["a", "b"], "who takes a package is not lost");
    let said = cli.ok("logs page --tail 1000").stdout;
    let of_a: Vec<&str> = said.lines().filter(|line| line.contains("page 2.0.0 starts")).collect();
    assert!(of_a.len() < 2, "only b was told to start it: {of_a:?}");
    serve.kill();
}

#[test]
fn a_restart_beside_a_deploy_does_not_take_it_back() {
    let scene = Scene::enrolled(2).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    write(desk, "1.0.0", "true", "");
    cli.ok("deploy ./still --every-node");
    for version in ["2.0.0", "3.0.0", "4.0.0"] {
        write(desk, version, "true", "");
        let changes = [cli.start("deploy ./still"), cli.start("restart still")];
        let ended = changes.map(e2e::orchestrator::Running::wait);
        let told: Value = cli.ok("status still -o json").json();
        assert_eq!(told[0]["version"], version, "{ended:?}");
    }
}
