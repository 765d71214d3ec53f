//! Modules in containers, on hosts with a real dockerd of their own and images made on the spot.

use std::time::Duration;

use e2e::host::Host;
use e2e::orchestrator::eventually;
use e2e::scene::{DATA, Scene, fetch};
use serde_json::Value;

use crate::spine::{instances, status};

const MODULE: &str = "\
name: box
version: VERSION
config:
  - {name: port, type: port, default: auto}
  - {name: greeting, default: hello}
ports: [{name: web, port: \"${config.port}\", target: 80}]
volumes: [{name: data, path: data, target: /data}]
runtime:
  container:
    image: IMAGE
    env: {GREETING: \"${config.greeting}\"}
    stop_timeout: 2s
health: {http: {path: /, port: web}, interval: 1s, timeout: 1s, retries: 2, start_period: 1s}
update: {health_deadline: 20s}
";

const SERVE: &str = "\
#!/bin/sh
echo \"$GREETING from VERSION\"
echo \"trouble in VERSION\" >&2
echo VERSION >>/data/versions
echo \"VERSION $(cat /data/versions | tr '\\n' ' ')\" >/www/index.html
trap 'exit 0' TERM
httpd -f -p 80 -h /www & wait
";

#[test]
fn a_container_lives_its_whole_life_and_leaves_nothing() {
    let scene = docker_scene();
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    let offered = cli.ok("node list -o json").json()[0]["capabilities"].take();
    for capability in ["docker", "container", "compose"] {
        assert!(offered.as_array().unwrap().contains(&capability.into()), "{offered}");
    }
    publish(&scene, "1.0.0", SERVE);
    cli.ok("deploy ./box");
    let url = url(&status(cli, "box"));
    assert_eq!(fetch(&url).as_deref(), Some("1.0.0 1.0.0 \n"));
    let logs = cli.ok("logs box");
    logs.says("hello from 1.0.0").says("trouble in 1.0.0");

    publish(&scene, "1.1.0", SERVE);
    cli.ok("deploy ./box --set greeting=salve");
    assert_eq!(fetch(&url).as_deref(), Some("1.1.0 1.0.0 1.1.0 \n"), "the volume was kept");
    cli.ok("logs box").says("salve from 1.1.0");
    assert_eq!(containers(a).len(), 1, "{:?}", containers(a));

    publish(&scene, "2.0.0", "#!/bin/sh\necho no such luck >&2; exit 3\n");
    cli.run("deploy ./box").exits(1).says("exited with code 3").says("no such luck");
    assert!(fetch(&url).unwrap().starts_with("1.1.0 "), "the previous one runs again");
    assert_eq!(status(cli, "box")["state"], "rolled_back");

    let before = containers(a);
    cli.ok("restart box");
    assert_ne!(containers(a), before);
    cli.ok("rollback box");
    assert!(fetch(&url).unwrap().starts_with("1.0.0 "));

    cli.ok("remove box");
    assert_eq!(a.left_in_docker().unwrap(), "");
    assert!(a.read(&format!("{DATA}/volumes/box.0/data/versions")).unwrap().starts_with("1.0.0\n1.1.0\n"));
    assert_eq!(cli.ok("status -o json").json().as_array().unwrap().len(), 0);
}

#[test]
fn containers_are_adopted_never_doubled_and_come_back_after_power_loss() {
    let scene = docker_scene();
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    publish(&scene, "1.0.0", SERVE);
    cli.ok("deploy ./box");
    let url = url(&status(cli, "box"));
    let before = containers(a);
    a.run("kill -9 $(pidof node-agent)").unwrap();
    eventually("healthy under the new agent", Duration::from_secs(20), || {
        status(cli, "box")["state"] == "healthy"
    });
    assert_eq!(containers(a), before);

    // A container that somebody kills is started again, and only once.
    a.run(&format!("docker kill {}", before[0])).unwrap();
    eventually("another container", Duration::from_secs(20), || {
        matches!(&containers(a)[..], [one] if *one != before[0]) && fetch(&url).is_some()
    });

    a.kill_docker().unwrap();
    a.run("setsid /etc/rc.local </dev/null >/dev/null 2>&1 &").unwrap();
    a.await_docker().unwrap();
    eventually("healthy under the new dockerd", Duration::from_secs(30), || {
        status(cli, "box")["state"] == "healthy" && fetch(&url).is_some() && containers(a).len() == 1
    });

    a.power_off().unwrap();
    a.power_on().unwrap();
    a.await_docker().unwrap();
    eventually("healthy after power loss", Duration::from_secs(40), || {
        status(cli, "box")["state"] == "healthy" && fetch(&url).is_some()
    });
    assert_eq!(containers(a).len(), 1, "{:?}", containers(a));
    cli.ok("remove box --purge");
    assert_eq!(a.left_in_docker().unwrap(), "");
    assert!(!a.exists(&format!("{DATA}/volumes/box.0")));
}

fn docker_scene() -> Scene {
    let scene = Scene::bare(1).unwrap();
    let a = scene.fleet.host("a");
    a.start_docker().unwrap();
    scene.orchestrator.ok("node add a --ssh a");
    scene
}

/// Makes the image of a version on host `a`, and writes the module `~/box` on the desk.
fn publish(scene: &Scene, version: &str, serve: &str) {
    let serve = serve.replace("VERSION", version);
    let files = [("/serve.sh", serve.as_str()), ("/www/index.html", ""), ("/data/.keep", "")];
    let image = format!("box:{version}");
    scene.fleet.host("a").make_image(&image, &files, &["CMD [\"/serve.sh\"]"]).unwrap();
    write_module(scene.fleet.desk(), version, &image);
}

fn write_module(desk: &Host, version: &str, image: &str) {
    let module = MODULE.replace("VERSION", version).replace("IMAGE", image);
    desk.write("/root/box/MODULE.yaml", &module).unwrap();
}

/// Ids of the running containers of ours.
fn containers(host: &Host) -> Vec<String> {
    let listed = host.try_run("docker ps -q --filter label=orchestrator.instance").unwrap();
    String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
}

fn url(deployment: &Value) -> String {
    let instance = &instances(deployment)[0];
    instance["url"].as_str().unwrap_or_else(|| panic!("no url in {instance}")).to_owned()
}
