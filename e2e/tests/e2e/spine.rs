//! The spine of the product over three bare hosts and an etcd: enrol, deploy, look, update, fail, go back, remove.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use e2e::host::Host;
use e2e::orchestrator::{Orchestrator, eventually};
use e2e::scene::{DATA, Page, Scene, fetch};
use serde_json::Value;

#[test]
fn a_module_lives_its_whole_life_on_three_bare_hosts() {
    let scene = Scene::bare(3).unwrap();
    let cli = &scene.orchestrator;
    for name in ["a", "b", "c"] {
        cli.ok(&format!("node add {name} --ssh {name}"));
    }
    let nodes = cli.ok("node list -o json").json();
    assert_eq!(nodes.as_array().unwrap().len(), 3, "{nodes}");
    assert_eq!(nodes[0]["name"], "a");
    assert_eq!(nodes[0]["state"], "ready");

    cli.ok("deploy hello-web --count 2");
    let hello = status(cli, "hello-web");
    assert_eq!(hello["state"], "healthy");
    let placed: BTreeSet<_> = instances(&hello).iter().map(|it| it["node"].to_string()).collect();
    assert_eq!(placed.len(), 2, "two instances are spread over two nodes: {hello}");
    for instance in instances(&hello) {
        assert!(fetch(instance["url"].as_str().unwrap()).is_some(), "{instance}");
    }
    assert!(!cli.ok("logs hello-web --tail 50").stdout.trim().is_empty());
    cli.ok("remove hello-web");

    Page::version("1.0.0").write(scene.fleet.desk()).unwrap();
    cli.ok("deploy ./page --count 2");
    cli.ok("logs page").says("page 1.0.0 starts");
    let urls = urls(&status(cli, "page"));
    Page::version("1.1.0").write(scene.fleet.desk()).unwrap();
    cli.ok("deploy ./page");
    assert_serves(cli, "1.1.0", &urls);
    cli.ok("rollback page");
    assert_serves(cli, "1.0.0", &urls);
    let history = cli.ok("history page -o json").json();
    assert!(history.as_array().is_some_and(|entries| entries.len() == 3), "{history}");

    cli.ok("remove page");
    assert_eq!(cli.ok("status -o json").json().as_array().unwrap().len(), 0);
    for host in scene.fleet.hosts() {
        assert_nothing_left(host);
    }
}

#[test]
fn what_others_have_begun_is_shown_while_it_is_on_its_way() {
    const SLOW: &str = "\
name: NAME
version: 1.0.0
runtime: {process: {command: [sleep, inf]}}
health: {exec: {command: [test, -e, /tmp/go]}, interval: 1s, retries: 3, start_period: 5m}
update: {health_deadline: 5m}
";
    let scene = Scene::enrolled(1).unwrap();
    let cli = &scene.orchestrator;
    let names = ["s1", "s2", "s3", "s4", "s5"];
    for name in names {
        let module = SLOW.replace("NAME", name);
        scene.fleet.desk().write(&format!("/root/{name}/MODULE.yaml"), &module).unwrap();
        cli.run(&format!("deploy ./{name} --no-wait")).exits(3);
    }
    // A look that waited for each of them in turn would not be answered at all.
    let shown = cli.ok("status -o json").json();
    let states: Vec<_> = shown.as_array().unwrap().iter().map(|it| it["state"].clone()).collect();
    assert_eq!(states, ["starting"; 5], "{shown}");
    scene.fleet.host("a").write("/tmp/go", "").unwrap();
    eventually("all are healthy", Duration::from_secs(30), || {
        let shown = cli.ok("status -o json").json();
        shown.as_array().unwrap().iter().all(|it| it["state"] == "healthy")
    });
}

#[test]
fn a_release_that_is_not_healthy_is_rolled_back_within_two_seconds() {
    let scene = Scene::enrolled(1).unwrap();
    let cli = &scene.orchestrator;
    Page::version("1.0.0").write(scene.fleet.desk()).unwrap();
    cli.ok("deploy ./page");
    let url = urls(&status(cli, "page")).remove(0);
    Page::broken("2.0.0").write(scene.fleet.desk()).unwrap();
    let over = AtomicBool::new(false);
    let (outcome, served) = thread::scope(|scope| {
        let watch = scope.spawn(|| moments_of(&url, "page 1.0.0", &over));
        let outcome = cli.run("deploy ./page");
        over.store(true, Ordering::Relaxed);
        (outcome, watch.join().unwrap())
    });
    outcome.exits(1).says("2.0.0");
    assert_eq!(fetch(&url).as_deref(), Some("page 1.0.0"));
    let failed = last_asked(scene.fleet.host("a"), "2.0.0");
    let back = served.iter().find(|moment| **moment > failed).expect("it serves again");
    assert!(back - failed <= 2_000_000_000, "{} ms after the failed check", (back - failed) / 1_000_000);
    let page = status(cli, "page");
    assert_eq!(page["state"], "rolled_back", "{page}");
    assert_eq!(page["instances"][0]["version"], "1.0.0", "{page}");
    // The next good release goes through.
    Page::version("2.0.1").write(scene.fleet.desk()).unwrap();
    cli.ok("deploy ./page");
    assert_serves(cli, "2.0.1", &[url]);
}

#[test]
fn a_second_deploy_of_the_same_changes_nothing() {
    let scene = Scene::enrolled(2).unwrap();
    let cli = &scene.orchestrator;
    scene.deploy_page_everywhere(&Page::version("1.0.0")).unwrap().exits(0);
    let before = status(cli, "page");
    cli.ok("deploy ./page --every-node");
    assert_eq!(lasting(&status(cli, "page")), lasting(&before), "nothing was restarted");
    let plan = cli.ok("deploy ./page --every-node --dry-run");
    assert_eq!(status(cli, "page")["generation"], before["generation"], "{plan}");
}

/// The instances without what they use just now.
fn lasting(deployment: &serde_json::Value) -> serde_json::Value {
    let mut instances = deployment["instances"].clone();
    for instance in instances.as_array_mut().expect("a list") {
        let fields = instance.as_object_mut().expect("an instance");
        fields.retain(|name, _| name != "cpu_cores" && name != "memory_bytes");
    }
    instances
}

#[test]
fn a_node_reboots_and_its_instances_come_back_with_the_agent() {
    let scene = Scene::enrolled(1).unwrap();
    let cli = &scene.orchestrator;
    scene.deploy_page_everywhere(&Page::version("1.0.0")).unwrap().exits(0);
    let url = urls(&status(cli, "page")).remove(0);
    let a = scene.fleet.host("a");
    a.power_off().unwrap();
    a.power_on().unwrap();
    // Without systemd nobody starts the agent at boot: the next contact does, over ssh.
    eventually("healthy again", Duration::from_secs(30), || status(cli, "page")["state"] == "healthy");
    assert_eq!(fetch(&url).as_deref(), Some("page 1.0.0"));
}

#[test]
fn a_node_whose_agent_port_is_closed_is_reached_through_ssh() {
    let scene = Scene::bare(1).unwrap();
    let cli = &scene.orchestrator;
    scene.fleet.host("a").block_port(7644, e2e::host::Refusal::Silent).unwrap();
    cli.ok("node add a --ssh a");
    cli.ok("deploy hello-web");
    assert_eq!(status(cli, "hello-web")["state"], "healthy");
}

#[test]
fn a_user_with_sudo_is_enough() {
    let scene = Scene::bare(1).unwrap();
    scene.orchestrator.ok("node add a --ssh pi@a");
    scene.orchestrator.ok("deploy hello-web");
}

#[test]
fn the_first_deploy_needs_no_node_and_no_configuration() {
    let fleet = e2e::fleet::Fleet::up(1).unwrap();
    let cli = Orchestrator::on(fleet.desk()).unwrap();
    cli.ok("deploy hello-web").says("local");
    let hello = status(&cli, "hello-web");
    assert_eq!(hello["instances"][0]["node"], "local");
    assert_eq!(hello["state"], "healthy");
}

pub fn status(cli: &Orchestrator, deployment: &str) -> Value {
    cli.run(&format!("status {deployment} -o json")).json()[0].take()
}

pub fn instances(deployment: &Value) -> &Vec<Value> {
    deployment["instances"].as_array().unwrap_or_else(|| panic!("no instances in {deployment}"))
}

fn urls(deployment: &Value) -> Vec<String> {
    let url =
        |instance: &Value| instance["url"].as_str().unwrap_or_else(|| panic!("no url in {instance}")).into();
    instances(deployment).iter().map(url).collect()
}

/// Insists that the deployment is healthy in this version, where it was.
fn assert_serves(cli: &Orchestrator, version: &str, urls: &[String]) {
    let page = status(cli, "page");
    assert_eq!(page["state"], "healthy", "{page}");
    assert!(instances(&page).iter().all(|instance| instance["version"] == version), "{page}");
    for url in urls {
        assert_eq!(fetch(url).unwrap_or_default(), format!("page {version}"), "{url}");
    }
}

/// After a removal a node has its agent, and volumes.
fn assert_nothing_left(host: &Host) {
    let left = host
        .run(&format!("cd {DATA} && find instances releases -mindepth 1; find logs -type f -name 'page*'"));
    assert_eq!(left.unwrap(), "", "on {}", host.name());
    let processes = host.processes().unwrap();
    let is_ours = |command: &str| command.contains("busybox") || command.contains("serve.sh");
    assert!(!processes.iter().any(|(_, command)| is_ours(command)), "{processes:?}");
}

/// When the page answered as expected, in nanoseconds since 1970, asked every 10 ms.
fn moments_of(url: &str, text: &str, over: &AtomicBool) -> Vec<u128> {
    let mut moments = Vec::new();
    while !over.load(Ordering::Relaxed) {
        if fetch(url).is_some_and(|body| body == text) {
            moments.push(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos());
        }
        thread::sleep(Duration::from_millis(10));
    }
    moments
}

/// When a release was last asked for its health.
fn last_asked(host: &Host, version: &str) -> u128 {
    let asked = host.read(&format!("{DATA}/volumes/page.0/data/asked")).unwrap();
    let moment = |line: &str| line.strip_prefix(version)?.trim().parse().ok();
    asked.lines().filter_map(moment).next_back().expect("its health was asked for")
}
