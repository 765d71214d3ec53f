//! Modules that depend on each other, and secrets that many versions of were given.

use std::time::Duration;

use e2e::host::Host;
use e2e::orchestrator::eventually;
use e2e::scene::{DATA, Page, Scene};
use serde_json::Value;

const ASKER: &str = "\
name: asker
version: VERSION
depends: [{module: page}]
volumes: [{name: data, path: data}]
runtime:
  process:
    command: [sh, -c, 'echo \"$PAGE\" >\"$VOLUME_DATA/told\"; exec sleep 1000']
    env: {PAGE: \"${depends.page.web}\"}
health: {exec: {command: [HEALTH]}, interval: 1s, timeout: 1s, retries: 2}
update: {health_deadline: 5s}
";

#[test]
fn who_depends_on_another_is_told_its_address_also_when_it_goes_back_and_when_that_moves() {
    let scene = Scene::enrolled(2).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    let [a, b] = ["a", "b"].map(|name| scene.fleet.host(name));
    write(desk, "1.0.0", "true");
    cli.run("deploy ./asker --node b").exits(2).says("needs page").says("hint:");
    Page::version("1.0.0").write(desk).unwrap();
    cli.ok("deploy ./page --node a");
    cli.ok("deploy ./asker --node b");
    let told = || b.read(&format!("{DATA}/volumes/asker.0/data/told")).unwrap();
    let port = |cli: &e2e::orchestrator::Orchestrator| {
        let status = cli.ok("status page -o json").json();
        let url = status[0]["instances"][0]["url"].as_str().unwrap().to_owned();
        url.rsplit_once(':').unwrap().1.to_owned()
    };
    let first = format!("{}:{}\n", a.address(), port(cli));
    assert_eq!(told(), first);

    write(desk, "1.1.0", "false");
    let failed =
        cli.run("deploy ./asker").exits(1).says("1.0.0 runs again").says_nothing_of("unknown reference");
    assert!(!failed.stderr.contains("failed, too"), "{failed}");
    assert_eq!(told(), first);
    assert_eq!(state(&cli.ok("status asker -o json").json()), "rolled_back");

    cli.run("deploy page --node b").exits(1).says("page/0 on a").says("--leave-data");
    cli.ok("deploy page --node b --leave-data");
    eventually("it is told where the page is now", Duration::from_secs(30), || {
        state(&cli.ok("status asker -o json").json()) == "healthy"
            && told() == format!("{}:{}\n", b.address(), port(cli))
    });
    cli.ok("deploy asker@1.0.0").says("nothing changed");
}

#[test]
fn what_ran_before_is_not_brought_back_by_asking_again_for_what_runs() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    let module = ASKER.replace("depends: [{module: page}]\n", "").replace("${depends.page.web}", "-");
    let write = |version: &str| {
        let module = module.replace("VERSION", version).replace("HEALTH", "test, -e, /run/good");
        desk.write("/root/asker/MODULE.yaml", &module).unwrap();
    };
    a.write("/run/good", "").unwrap();
    for version in ["1.0.0", "2.0.0"] {
        write(version);
        cli.ok("deploy ./asker");
    }
    a.run("rm /run/good").unwrap();
    eventually("it is unhealthy", Duration::from_secs(20), || {
        state(&cli.run("status asker -o json").json()) != "healthy"
    });
    cli.run("deploy asker@2.0.0 --timeout 3s").exits(1).says("nothing was changed").says("hint:");
    let status = cli.run("status asker -o json").json();
    assert_eq!(status[0]["version"], "2.0.0", "{status}");
}

#[test]
fn a_secret_in_use_outlives_any_number_of_newer_ones() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    let secret = "config: [{name: token, secret: true}]\n";
    let module = ASKER.replace("depends: [{module: page}]\n", secret).replace("${depends.page.web}", "-");
    let module = module.replace("VERSION", "1.0.0").replace("HEALTH", "\"true\"");
    desk.write("/root/asker/MODULE.yaml", &module).unwrap();
    desk.write("/root/token", "0").unwrap();
    cli.ok("deploy ./asker --secret token=@token");
    for round in 1..=12 {
        desk.write("/root/token", &round.to_string()).unwrap();
        cli.ok("secret set asker.token </root/token");
    }
    Page::version("1.0.0").write(desk).unwrap();
    cli.ok("deploy ./page");
    cli.ok("deploy asker --secret token=@token");
}

#[test]
fn a_dry_run_refuses_what_a_deploy_refuses() {
    let scene = Scene::enrolled(1).unwrap();
    let (cli, desk) = (&scene.orchestrator, scene.fleet.desk());
    let module = "name: deep\nversion: 1.0.0\nruntime: {container: {image: 'x:1', cap_add: [SYS_ADMIN]}}\n";
    desk.write("/root/deep/MODULE.yaml", module).unwrap();
    let dry = cli.run("deploy ./deep --dry-run").exits(1).says("--accept");
    let real = cli.run("deploy ./deep").exits(1).says("--accept");
    assert_eq!(dry.stderr, real.stderr);
    assert!(cli.ok("module list -o json").json().as_array().unwrap().iter().all(|it| it["name"] != "deep"));
}

#[test]
fn a_node_that_nobody_can_speak_to_takes_no_other_back() {
    let scene = Scene::enrolled(3).unwrap();
    let (cli, b, desk) = (&scene.orchestrator, scene.fleet.host("b"), scene.fleet.desk());
    Page::version("1.0.0").write(desk).unwrap();
    cli.ok("deploy ./page --every-node");
    // Its agent cannot start again.
    b.run(&format!("mv {DATA}/bin/node-agent {DATA}/bin/away; pkill -9 node-agent")).unwrap();
    Page::version("2.0.0").write(desk).unwrap();
    cli.run("deploy ./page").exits(3).says("b (could not start the agent of b");
    let status = cli.run("status page -o json").json();
    let at = |node: &str| {
        let instances = status[0]["instances"].as_array().unwrap();
        instances.iter().find(|it| it["node"] == node).unwrap()["state"].clone()
    };
    assert_eq!((at("a"), at("c")), ("healthy".into(), "healthy".into()), "{status}");
    assert_eq!(status[0]["version"], "2.0.0");
    b.run(&format!("mv {DATA}/bin/away {DATA}/bin/node-agent")).unwrap();
    cli.ok("deploy page");
}

fn state(status: &Value) -> &str {
    status[0]["state"].as_str().unwrap_or_default()
}

fn write(desk: &Host, version: &str, health: &str) {
    let module = ASKER.replace("VERSION", version).replace("HEALTH", &format!("\"{health}\""));
    desk.write("/root/asker/MODULE.yaml", &module).unwrap();
}
