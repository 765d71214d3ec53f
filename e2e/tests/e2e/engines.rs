//! What a container is given of its node, and what it is kept from, with a real dockerd.

use std::time::Duration;

use e2e::orchestrator::eventually;
use e2e::scene::fetch;

use crate::containers::{docker_scene, start_registry, url};
use crate::imported::accepting;
use crate::spine::{instances, status};

const MODULE: &str = "\
name: box
version: VERSION
config: [{name: port, type: port, default: auto}, {name: login, secret: true, required: false}]
ports: [{name: web, port: \"${config.port}\", target: 80}]
runtime:
  container:
    image: IMAGE
    pull_secret: login
    stop_timeout: 1s
MORE
health: {http: {path: /, port: web}, interval: 1s, timeout: 1s, retries: 2, start_period: 2s}
update: {health_deadline: 20s}
";

const SERVE: &str = "\
#!/bin/sh
mkdir -p /www
{ SHOW; } >/www/index.html 2>&1
trap 'exit 0' TERM
httpd -f -p 80 -h /www & wait
";

#[test]
fn latest_is_pulled_again_and_where_its_registry_is_away_what_is_here_is_taken() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    let registry = start_registry(desk);
    let image = format!("{registry}/box:latest");
    desk.write("/root/login", "me:secret").unwrap();
    // Publishes this as the newest, and leaves the host with what it had before.
    let push = |text: &str| {
        let serve = SERVE.replace("SHOW", &format!("echo {text}"));
        a.make_image("made:1", &[("/serve.sh", &serve)], &["CMD [\"/serve.sh\"]"]).unwrap();
        a.run(&format!(
            "before=$(docker images -q {image}); docker login -u me -p secret {registry} 2>&1; \
             docker tag made:1 {image}; docker push -q {image}; docker logout {registry}; docker rmi {image} made:1; \
             rm -rf /root/.docker; [ -z \"$before\" ] || docker tag $before {image}"
        ))
        .unwrap();
    };
    let deploy = |version: &str| {
        let module = MODULE.replace("VERSION", version).replace("IMAGE", &image).replace("MORE\n", "");
        desk.write("/root/box/MODULE.yaml", &module).unwrap();
        let refused = cli.run("deploy ./box --secret login=- </root/login");
        if refused.code == Some(0) {
            return refused;
        }
        // That the newest may be anything is a finding, which has to be accepted.
        let accept = accepting(&refused.stderr);
        assert!(!accept.is_empty(), "{refused}");
        cli.ok(&format!("deploy ./box{accept} --secret login=- </root/login"))
    };
    push("first");
    deploy("1.0.0");
    let url = url(&status(cli, "box"));
    assert_eq!(fetch(&url).as_deref(), Some("first\n"));
    push("second");
    deploy("1.1.0");
    assert_eq!(fetch(&url).as_deref(), Some("second\n"), "the name was asked for again");
    cli.ok("rollback box");
    assert_eq!(fetch(&url).as_deref(), Some("first\n"), "going back means the image that ran");
    deploy("1.2.0");
    assert_eq!(fetch(&url).as_deref(), Some("second\n"));

    desk.run("kill $(pidof docker-registry)").unwrap();
    eventually("the registry is away", Duration::from_secs(10), || {
        std::net::TcpStream::connect((desk.address(), 5000)).is_err()
    });
    deploy("1.3.0");
    assert_eq!(fetch(&url).as_deref(), Some("second\n"));
    cli.ok("logs box").says("is taken as it is here, as it could not be pulled again");
}

#[test]
fn a_container_that_takes_more_memory_than_it_may_is_ended_and_named() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    let write = |version: &str, image: &str| {
        let module = MODULE.replace("VERSION", version).replace("IMAGE", image).replace("MORE\n", "");
        let limits = "limits: {memory: 64MiB, cpu: 0.5, processes: 50, open_files: 333}\n";
        desk.write("/root/box/MODULE.yaml", &format!("{module}{limits}")).unwrap();
    };
    let serve = SERVE.replace("SHOW", "ulimit -n");
    a.make_image("box:1", &[("/serve.sh", &serve)], &["CMD [\"/serve.sh\"]"]).unwrap();
    write("1.0.0", "box:1");
    cli.ok("deploy ./box");
    let inspected = a
        .run("docker inspect --format '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}' $(docker ps -q)")
        .unwrap();
    assert_eq!(inspected.trim(), "67108864 500000000 50");
    assert!(fetch(&url(&status(cli, "box"))).unwrap().starts_with("333\n"));

    // It keeps all of a line that never ends.
    let eater = "#!/bin/sh\nexec tail -n 1 /dev/zero\n";
    a.make_image("box:2", &[("/serve.sh", eater)], &["CMD [\"/serve.sh\"]"]).unwrap();
    write("2.0.0", "box:2");
    cli.run("deploy ./box").exits(1).says("ran out of memory and was killed");
    assert_eq!(status(cli, "box")["state"], "rolled_back");
}

#[test]
fn devices_capabilities_and_kernel_settings_reach_the_container_and_nothing_else_does() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    let show = "cat /proc/sys/net/ipv4/ip_default_ttl; test -c /dev/fuse && echo fuse; \
                test -c /dev/net/tun || echo no tun; grep CapEff /proc/self/status";
    let serve = SERVE.replace("SHOW", show);
    a.make_image("box:1", &[("/serve.sh", &serve)], &["CMD [\"/serve.sh\"]"]).unwrap();
    a.run("test -c /dev/fuse || mknod /dev/fuse c 10 229").unwrap();
    let more =
        "    cap_add: [NET_ADMIN]\n    cap_drop: [MKNOD]\n    sysctls: {net.ipv4.ip_default_ttl: '42'}\n";
    let module = MODULE.replace("VERSION", "1.0.0").replace("IMAGE", "box:1").replace("MORE\n", more);
    desk.write("/root/box/MODULE.yaml", &format!("{module}permissions: {{devices: [/dev/fuse]}}\n")).unwrap();
    cli.ok("deploy ./box");
    let page = fetch(&url(&status(cli, "box"))).unwrap();
    assert!(page.starts_with("42\nfuse\nno tun\n"), "{page}");
    let mask = page.lines().last().and_then(|line| line.split_whitespace().last()).unwrap();
    let mask = u64::from_str_radix(mask, 16).unwrap();
    let has = |capability: u32| mask & (1 << capability) != 0;
    // CAP_NET_ADMIN, CAP_MKNOD, CAP_SYS_ADMIN
    assert_eq!((has(12), has(27), has(21)), (true, false, false), "{page}");
}

#[test]
fn what_a_group_uses_is_what_all_its_services_use() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    a.make_image("box:1", &[], &[]).unwrap();
    let module = "name: pair\nversion: 1.0.0\nruntime: {compose: {file: compose.yaml}}\n";
    desk.write("/root/pair/MODULE.yaml", module).unwrap();
    // The first holds 60 MiB, the second nothing to speak of.
    let compose = "services:\n  big:\n    image: box:1\n    stop_grace_period: 1s\n    \
                   command: [/bin/sh, -c, \"(head -c 60m /dev/zero; sleep 1000) | tail -n 1\"]\n  \
                   small:\n    image: box:1\n    stop_grace_period: 1s\n    command: [sleep, '1000']\n";
    desk.write("/root/pair/compose.yaml", compose).unwrap();
    cli.ok("deploy ./pair");
    eventually("both are counted", Duration::from_secs(20), || {
        let deployment = status(cli, "pair");
        instances(&deployment)[0]["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 60 << 20)
    });

    // Of this one nothing runs, however well it ended.
    desk.write("/root/pair/compose.yaml", "services: {once: {image: 'box:1', command: ['true']}}\n").unwrap();
    desk.write("/root/pair/MODULE.yaml", &module.replace("1.0.0", "1.1.0")).unwrap();
    cli.run("deploy ./pair").exits(1).says("exited with code 0, and nothing of it runs any more");
}
