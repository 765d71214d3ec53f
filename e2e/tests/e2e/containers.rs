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
    a_whole_life(&docker_scene(), "docker");
}

#[test]
fn podman_does_as_docker_does() {
    let scene = Scene::bare(1).unwrap();
    scene.fleet.host("a").start_podman().unwrap();
    scene.orchestrator.ok("node add a --ssh a");
    a_whole_life(&scene, "podman");
}

fn a_whole_life(scene: &Scene, engine: &str) {
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    let offered = cli.ok("node list -o json").json()[0]["capabilities"].take();
    for capability in [engine, "container", "compose"] {
        assert!(offered.as_array().unwrap().contains(&capability.into()), "{offered}");
    }
    publish(scene, "1.0.0", SERVE);
    cli.ok("deploy ./box");
    let url = url(&status(cli, "box"));
    assert_eq!(fetch(&url).as_deref(), Some("1.0.0 1.0.0 \n"));
    let logs = cli.ok("logs box");
    logs.says("hello from 1.0.0").says("trouble in 1.0.0");

    publish(scene, "1.1.0", SERVE);
    cli.ok("deploy ./box --set greeting=salve");
    assert_eq!(fetch(&url).as_deref(), Some("1.1.0 1.0.0 1.1.0 \n"), "the volume was kept");
    cli.ok("logs box").says("salve from 1.1.0");
    assert_eq!(a.containers().unwrap().len(), 1, "{:?}", a.containers().unwrap());

    publish(scene, "2.0.0", "#!/bin/sh\necho no such luck >&2; exit 3\n");
    let failed = cli.run("deploy ./box").exits(1);
    if engine == "docker" {
        // Podman tells of an end so late that the check may have failed before.
        failed.says("exited with code 3").says("no such luck");
    }
    assert!(fetch(&url).unwrap().starts_with("1.1.0 "), "the previous one runs again");
    assert_eq!(status(cli, "box")["state"], "rolled_back");

    let before = a.containers().unwrap();
    cli.ok("restart box");
    assert_ne!(a.containers().unwrap(), before);
    cli.ok("rollback box");
    assert!(fetch(&url).unwrap().starts_with("1.0.0 "));

    cli.ok("remove box");
    assert_eq!(a.left_in_engine().unwrap(), "");
    assert!(a.read(&format!("{DATA}/volumes/box.0/data/versions")).unwrap().starts_with("1.0.0\n1.1.0\n"));
    assert_eq!(cli.ok("status -o json").json().as_array().unwrap().len(), 0);

    // What still runs goes with its node.
    publish(scene, "3.0.0", SERVE);
    cli.ok("deploy ./box");
    cli.ok("node remove a --force").says("has left the fleet");
    assert_eq!(a.left_in_engine().unwrap(), "");
    assert_eq!(a.run(&format!("ls {DATA}")).unwrap(), "volumes\n");
}

#[test]
fn containers_that_cannot_be_ended_are_told_and_their_node_stays_as_it_was() {
    let scene = docker_scene();
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    publish(&scene, "1.0.0", SERVE);
    cli.ok("deploy ./box");
    a.kill_docker().unwrap();
    let stop = a.try_run(&format!("{DATA}/bin/node-agent stop --instances --data-dir {DATA}")).unwrap();
    let said = String::from_utf8_lossy(&stop.stderr).into_owned();
    assert!(!stop.status.success() && said.contains("box/0: Docker does not answer"), "{said}");
    cli.ok("node remove a --force").says("box/0: Docker does not answer");
    a.start_docker().unwrap();
    eventually("the agent goes on with it", Duration::from_secs(20), || {
        a.run("pidof node-agent").is_ok() && a.containers().unwrap().len() == 1
    });
}

#[test]
fn containers_are_adopted_never_doubled_and_come_back_after_power_loss() {
    let scene = docker_scene();
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    publish(&scene, "1.0.0", SERVE);
    cli.ok("deploy ./box");
    let url = url(&status(cli, "box"));
    let before = a.containers().unwrap();
    a.run("kill -9 $(pidof node-agent)").unwrap();
    eventually("healthy under the new agent", Duration::from_secs(20), || {
        status(cli, "box")["state"] == "healthy"
    });
    assert_eq!(a.containers().unwrap(), before);

    // A container that somebody kills is started again, with what it wrote outside of the module's volumes.
    a.run(&format!("docker exec {} sh -c 'echo kept >/kept'", before[0])).unwrap();
    a.run(&format!("docker kill {}", before[0])).unwrap();
    eventually("the same container", Duration::from_secs(20), || {
        a.containers().unwrap() == before && fetch(&url).as_deref() == Some("1.0.0 1.0.0 1.0.0 \n")
    });

    a.kill_docker().unwrap();
    a.run("setsid /etc/rc.local </dev/null >/dev/null 2>&1 &").unwrap();
    a.await_docker().unwrap();
    eventually("healthy under the new dockerd", Duration::from_secs(30), || {
        status(cli, "box")["state"] == "healthy"
            && fetch(&url).is_some()
            && a.containers().unwrap().len() == 1
    });

    a.power_off().unwrap();
    a.power_on().unwrap();
    a.await_docker().unwrap();
    eventually("healthy after power loss", Duration::from_secs(40), || {
        status(cli, "box")["state"] == "healthy" && fetch(&url).is_some()
    });
    assert_eq!(a.containers().unwrap(), before);
    assert_eq!(a.run(&format!("docker exec {} cat /kept", before[0])).unwrap(), "kept\n");
    cli.ok("remove box --purge");
    assert_eq!(a.left_in_engine().unwrap(), "");
    assert!(!a.exists(&format!("{DATA}/volumes/box.0")));
}

pub fn docker_scene() -> Scene {
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

pub fn url(deployment: &Value) -> String {
    let instance = &instances(deployment)[0];
    instance["url"].as_str().unwrap_or_else(|| panic!("no url in {instance}")).to_owned()
}

const COMPOSE_MODULE: &str = "\
name: shop
version: VERSION
config: [{name: port, type: port, default: auto}, {name: motto, default: cheap}]
ports: [{name: web, port: \"${config.port}\", target: 80, service: web}]
runtime: {compose: {file: compose.yaml, env: {MOTTO: \"${config.motto}\"}}}
health: {http: {path: /, port: web}, interval: 1s, timeout: 1s, retries: 2, start_period: 1s}
update: {health_deadline: 40s}
";

const COMPOSE: &str = "\
services:
  web:
    image: shop:1
    command: [/bin/sh, /conf/web.sh]
    environment: {MOTTO: \"${MOTTO}\", RELEASE: VERSION}
    volumes: ['./conf:/conf:ro', 'stock:/stock:ro']
    stop_grace_period: 1s
    depends_on: {api: {condition: service_healthy}}
  api:
    image: shop:1
    command: [/bin/sh, -c, \"httpd -f -p 8080 -h /stock\"]
    volumes: ['stock:/stock']
    stop_grace_period: 1s
    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, 'http://127.0.0.1:8080/versions'], interval: 1s}
    depends_on: {prepare: {condition: service_completed_successfully}}
  prepare:
    image: shop:1
    command: [/bin/sh, -c, 'sleep 0.3; echo VERSION >>/stock/versions; echo prepared VERSION']
    volumes: ['stock:/stock']
volumes: {stock: {}}
";

const WEB: &str = "\
mkdir -p /www
wget -q -O /www/fetched http://api:8080/versions || exit 1
echo \"$RELEASE $MOTTO $(cat /www/fetched | tr '\\n' ' ')\" >/www/index.html
exec httpd -f -p 80 -h /www
";

#[test]
fn a_compose_app_of_three_services_keeps_its_volume_over_an_update() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    a.make_image("shop:1", &[], &[]).unwrap();
    let write = |version: &str, compose: &str| {
        desk.write("/root/shop/MODULE.yaml", &COMPOSE_MODULE.replace("VERSION", version)).unwrap();
        desk.write("/root/shop/compose.yaml", &compose.replace("VERSION", version)).unwrap();
        desk.write("/root/shop/conf/web.sh", WEB).unwrap();
    };
    write("1.0.0", COMPOSE);
    cli.ok("deploy ./shop");
    let url = url(&status(cli, "shop"));
    assert_eq!(fetch(&url).as_deref(), Some("1.0.0 cheap 1.0.0 \n"));
    cli.ok("logs shop").says("prepare | prepared 1.0.0");
    assert_eq!(a.containers().unwrap().len(), 2, "the one that prepares has ended");

    let before = a.containers().unwrap();
    a.run("kill -9 $(pidof node-agent)").unwrap();
    eventually("healthy under the new agent", Duration::from_secs(20), || {
        status(cli, "shop")["state"] == "healthy"
    });
    assert_eq!(a.containers().unwrap(), before);
    assert_eq!(fetch(&url).as_deref(), Some("1.0.0 cheap 1.0.0 \n"), "nothing was prepared again");

    write("1.1.0", COMPOSE);
    cli.ok("deploy ./shop --set motto=good");
    assert_eq!(fetch(&url).as_deref(), Some("1.1.0 good 1.0.0 1.1.0 \n"));

    write(
        "1.2.0",
        &COMPOSE
            .replace("httpd -f -p 8080 -h /stock", "sleep 1000")
            .replace("interval: 1s", "interval: 1s, retries: 2"),
    );
    cli.run("deploy ./shop").exits(1).says("service api");
    assert!(fetch(&url).unwrap().starts_with("1.1.0 good "), "the previous one runs again");

    write("1.3.0", &COMPOSE.replace("{prepare: {", "{web: {"));
    cli.run("deploy ./shop").exits(2).says("compose.yaml");
    cli.ok("remove shop --purge");
    assert_eq!(a.left_in_engine().unwrap(), "");
    assert!(!a.exists(&format!("{DATA}/volumes/shop.0")));
}

#[test]
fn what_cannot_be_pulled_says_why_and_what_can_is_pulled_with_the_login_that_was_given() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    let registry = start_registry(desk);
    publish(&scene, "1.0.0", SERVE);
    a.run(&format!(
        "docker tag box:1.0.0 {registry}/box:1; docker login -u me -p secret {registry} 2>&1; \
         docker push -q {registry}/box:1; docker logout {registry}; docker rmi {registry}/box:1 box:1.0.0; rm -rf /root/.docker"
    ))
    .unwrap();
    let write = |image: &str| {
        write_module(desk, "1.0.0", image);
        let module = desk.read("/root/box/MODULE.yaml").unwrap();
        let module = module.replace(
            "  - {name: greeting",
            "  - {name: login, secret: true, required: false}\n  - {name: greeting",
        );
        desk.write("/root/box/MODULE.yaml", &module.replace("    env:", "    pull_secret: login\n    env:"))
            .unwrap();
    };
    write(&format!("{registry}/box:1"));
    cli.run("deploy ./box").exits(1).says("refuses the login").says("pull_secret");
    desk.write("/root/login", "me:secret").unwrap();
    cli.ok("deploy ./box --secret login=- </root/login");
    assert!(fetch(&url(&status(cli, "box"))).unwrap().starts_with("1.0.0 "));
    assert!(a.run("docker images -q").unwrap().lines().count() == 1);
    cli.ok("remove box --purge");
    eventually("the image that was pulled is gone", Duration::from_secs(10), || {
        a.run("docker images -q").unwrap().is_empty()
    });
    write(&format!("{registry}/nothing:1"));
    cli.run("deploy ./box --secret login=- </root/login").exits(1).says(&format!("is not in {registry}"));
    write(&format!("{}:5001/box:1", desk.address()));
    cli.run("deploy ./box").exits(1).says("cannot be reached");
}

#[test]
fn an_image_for_another_processor_is_refused_and_one_in_the_package_is_loaded() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    publish(&scene, "1.0.0", SERVE);
    a.run("docker save -o /root/image.tar box:1.0.0; docker rmi box:1.0.0").unwrap();
    let archive = std::fs::read(a.path("/root/image.tar").unwrap()).unwrap();
    std::fs::write(desk.path("/root/box/image.tar").unwrap(), &archive).unwrap();
    let module = desk.read("/root/box/MODULE.yaml").unwrap();
    desk.write("/root/box/MODULE.yaml", &module.replace("    env:", "    load: image.tar\n    env:"))
        .unwrap();
    cli.ok("deploy ./box");
    assert!(fetch(&url(&status(cli, "box"))).unwrap().starts_with("1.0.0 "));

    a.run(
        "mkdir -p /root/other; cd /root/other; docker save box:1.0.0 | tar x; \
         config=$(jq -r '.[0].Config' manifest.json); jq -c '.architecture=\"arm64\"' $config >config.json; rm $config; \
         jq -c '.[0].Config=\"config.json\" | .[0].RepoTags=[\"box:2.0.0\"]' manifest.json >m; mv m manifest.json; \
         rm -rf index.json oci-layout; tar c . | docker load",
    )
    .unwrap();
    write_module(desk, "2.0.0", "box:2.0.0");
    desk.run("rm /root/box/image.tar").unwrap();
    cli.run("deploy ./box").exits(1).says("is for linux/arm64, this node is x86_64");
    assert!(fetch(&url(&status(cli, "box"))).unwrap().starts_with("1.0.0 "), "the other runs on");
}

/// A registry on the desk that wants a login: me, secret. Gives its address.
pub fn start_registry(desk: &Host) -> String {
    let config = "\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry-test}}
http: {addr: ':5000'}
auth: {htpasswd: {realm: test, path: /root/htpasswd}}
";
    desk.write("/root/registry.yml", config).unwrap();
    // bcrypt of \"secret\"
    let hash = desk
        .run("python3 -c 'import crypt; print(crypt.crypt(\"secret\", crypt.mksalt(crypt.METHOD_BLOWFISH)))'")
        .unwrap();
    desk.write("/root/htpasswd", &format!("me:{}", hash.replace("$2b$", "$2y$"))).unwrap();
    desk.run("setsid docker-registry serve /root/registry.yml >/root/registry.log 2>&1 </dev/null &")
        .unwrap();
    let address = format!("{}:5000", desk.address());
    eventually("the registry answers", Duration::from_secs(10), || {
        std::net::TcpStream::connect((desk.address(), 5000)).is_ok()
    });
    address
}
