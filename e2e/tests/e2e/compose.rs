//! What compose files ask for beyond images and ports, on hosts with real engines of their own.

use std::time::Duration;

use e2e::orchestrator::eventually;
use e2e::scene::{Scene, fetch};

use crate::containers::{docker_scene, url};
use crate::spine::status;

const MODULE: &str = "\
name: town
version: 1.0.0
config:
  - {name: port, type: port, default: auto}
  - {name: token, secret: true}
  - {name: neighbour, default: 10.77.0.99}
ports: [{name: web, port: \"${config.port}\", target: 80, service: web}]
runtime: {compose: {file: compose.yaml, env: {TOKEN: \"${config.token}\", NEIGHBOUR: \"${config.neighbour}\"}}}
health: {http: {path: /, port: web}, interval: 1s, timeout: 1s, retries: 2, start_period: 1s}
update: {health_deadline: 60s}
";

const COMPOSE: &str = "\
services:
  web:
    image: nobody/has-this:1
    command: [/bin/sh, /conf/web.sh]
    environment: {READY: /tmp/ready}
    extra_hosts: ['neighbour:${NEIGHBOUR}']
    dns: [10.77.0.53]
    dns_search: [town.test]
    dns_opt: ['ndots:0']
    networks: {lan: {ipv4_address: 10.77.0.10}}
    volumes:
      - ./conf:/conf:ro
      - {type: volume, source: data, target: /part, volume: {subpath: deep/part}}
    secrets: [{source: token, mode: 0400}, plain]
    healthcheck: {test: 'test -e $${READY}', interval: 1s}
    depends_on: {worker: {condition: service_started}}
    stop_grace_period: 1s
  worker:
    image: town:1
    command: [/bin/sh, -c, 'hostname >/tmp/index.html; exec httpd -f -p 8080 -h /tmp']
    networks: [lan]
    deploy: {replicas: 2}
    stop_grace_period: 1s
networks: {lan: {ipam: {config: [{subnet: 10.77.0.0/24, gateway: 10.77.0.1, ip_range: 10.77.0.128/25}]}}}
volumes: {data: }
secrets: {token: {environment: TOKEN}, plain: {file: ./plain.txt}}
";

const OVERRIDE: &str = "services: {web: {image: 'town:1', environment: {EXTRA: overridden}}}\n";

/// Tells what it sees; each line is one claim.
const WEB: &str = "\
mkdir -p /www
{
echo address $(hostname -i)
echo neighbour $(grep neighbour /etc/hosts | cut -f1)
echo token $(cat /run/secrets/token) $(stat -c %a /run/secrets/token)
echo plain $(cat /run/secrets/plain)
echo extra $EXTRA
echo search $(grep ^search /etc/resolv.conf)
echo options $(grep ^options /etc/resolv.conf)
until [ \"$(sort -u /tmp/seen | wc -l)\" = 2 ]; do wget -q -O - http://worker:8080/ >>/tmp/seen; done
echo workers $(sort -u /tmp/seen | wc -l)
echo kept >/part/file
} >/www/index.html 2>&1
touch $READY
exec httpd -f -p 80 -h /www
";

#[test]
fn addresses_secrets_subpaths_replicas_and_an_override_reach_the_containers() {
    carries_all(&docker_scene(), WEB);
}

#[test]
fn podman_carries_them_too() {
    let scene = Scene::bare(1).unwrap();
    scene.fleet.host("a").start_podman().unwrap();
    scene.orchestrator.ok("node add a --ssh a");
    // Podman has names of containers only with a plugin that is not everywhere.
    let web: String = WEB.split_inclusive('\n').filter(|line| !line.contains("worker")).collect();
    carries_all(&scene, &web);
}

fn carries_all(scene: &Scene, web: &str) {
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    a.make_image("town:1", &[], &[]).unwrap();
    for (path, text) in [
        ("MODULE.yaml", MODULE),
        ("compose.yaml", COMPOSE),
        ("compose.override.yaml", OVERRIDE),
        ("conf/web.sh", web),
        ("plain.txt", "in-the-open"),
    ] {
        desk.write(&format!("/root/town/{path}"), text).unwrap();
    }
    desk.write("/root/token", "s3cr3t").unwrap();
    cli.ok("deploy ./town --secret token=- </root/token");
    let page = fetch(&url(&status(cli, "town"))).unwrap();
    let claims = [
        "address 10.77.0.10",
        "neighbour 10.77.0.99",
        "token s3cr3t 400",
        "plain in-the-open",
        "extra overridden",
        "town.test",
        "ndots:0",
        "workers 2",
    ];
    let is_told = |claim: &&str| *claim != "workers 2" || web == WEB;
    for claim in claims.into_iter().filter(is_told) {
        assert!(page.contains(claim), "{claim}: {page}");
    }
    assert_eq!(a.containers().unwrap().len(), 3, "one web and two workers");
    let kept = a.read(&format!("{}/volumes/town.0/data/deep/part/file", e2e::scene::DATA)).unwrap();
    assert_eq!(kept, "kept\n");
    cli.ok("module show town").says("compose.override.yaml:1:1: is laid over compose.yaml");

    // A container may not lead the next one out of its volume.
    a.run(&format!("cd {}/volumes/town.0/data && rm -rf deep && ln -s /etc deep", e2e::scene::DATA)).unwrap();
    cli.run("restart town --timeout 10s").exits(1).says("make or enter");
    cli.ok("remove town --purge");
    assert_eq!(a.left_in_engine().unwrap(), "");
}

#[test]
fn a_port_inside_a_container_is_checked_where_it_is_and_nobody_is_fooled_by_a_published_one() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    a.make_image("quiet:1", &[("/www/index.html", "quiet\n")], &[]).unwrap();
    let write = |version: &str, more: &str, health: &str| {
        let module = format!(
            "name: quiet\nversion: {version}\n{more}runtime: {{container: {{image: 'quiet:1', command: [httpd, -f, -p, '8080', -h, /www], stop_timeout: 1s}}}}\n\
             health: {{{health}, interval: 1s, timeout: 1s, retries: 2, start_period: 1s}}\nupdate: {{health_deadline: 15s}}\n"
        );
        desk.write("/root/quiet/MODULE.yaml", &module).unwrap();
    };
    write("1.0.0", "", "http: {path: /, target: 8080}");
    cli.ok("deploy ./quiet");
    assert_eq!(a.run("docker ps -q | xargs docker port").unwrap(), "", "nothing is published");
    write("1.1.0", "", "tcp: {target: 8080}");
    cli.ok("deploy ./quiet");
    write("1.2.0", "", "http: {path: /nothing, target: 8080}");
    cli.run("deploy ./quiet").exits(1).says("answers 404");
    write("1.3.0", "", "tcp: {target: 8081}");
    cli.run("deploy ./quiet").exits(1).says("port 8081");

    // Docker takes connections to what it publishes, whoever listens inside.
    let ports = "ports: [{name: web, port: auto, target: 8081}]\n";
    write("1.4.0", ports, "tcp: {port: web}");
    cli.run("deploy ./quiet").exits(1).says("port 8081 in the container");
    write("1.5.0", &ports.replace("8081", "8080"), "tcp: {port: web}");
    cli.ok("deploy ./quiet");
    write("1.6.0", "", "tcp: {target: 8080, service: web}");
    cli.run("deploy ./quiet").exits(2).says("health.tcp.service");
    write("1.6.0", "", "tcp: {port: web, target: 8080}");
    cli.run("deploy ./quiet").exits(2).says("both port and target");
}

const TUNNEL: &str = "\
name: tunnel
version: 1.0.0
config: [{name: port, type: port, default: auto}]
ports: [{name: web, port: \"${config.port}\", target: 80, service: vpn}]
runtime: {compose: {file: compose.yaml}}
health: {http: {path: /, port: web}, interval: 1s, timeout: 1s, retries: 10, start_period: 1s}
update: {health_deadline: 60s}
";

const TUNNEL_COMPOSE: &str = "\
services:
  vpn:
    image: town:1
    command: [sleep, '100000']
    stop_grace_period: 1s
  inner:
    image: inner:1
    network_mode: service:vpn
    healthcheck: {interval: 300ms}
    stop_grace_period: 1s
  once:
    image: town:1
    command: [/bin/sh, -c, 'echo ran >>/kept/runs']
    volumes: ['kept:/kept']
    restart: 'no'
volumes: {kept: }
";

#[test]
fn what_is_inside_of_a_container_follows_it_and_what_has_completed_runs_no_more() {
    let scene = docker_scene();
    let (cli, a, desk) = (&scene.orchestrator, scene.fleet.host("a"), scene.fleet.desk());
    a.make_image("town:1", &[], &[]).unwrap();
    let page = [("/www/index.html", "inside\n")];
    let lines = [
        "CMD [\"httpd\",\"-f\",\"-p\",\"80\",\"-h\",\"/www\"]",
        "HEALTHCHECK CMD echo checked >>/www/checks",
    ];
    a.make_image("inner:1", &page, &lines).unwrap();
    desk.write("/root/tunnel/MODULE.yaml", TUNNEL).unwrap();
    desk.write("/root/tunnel/compose.yaml", TUNNEL_COMPOSE).unwrap();
    cli.ok("deploy ./tunnel");
    let url = url(&status(cli, "tunnel"));
    let serves = || fetch(&url).as_deref() == Some("inside\n");
    assert!(serves());
    // The image's own check every 30 s, but for the file.
    eventually("it is checked often", Duration::from_secs(10), || {
        fetch(&format!("{url}/checks")).is_some_and(|checks| checks.lines().count() > 12)
    });

    let vpn = "$(docker ps -q --filter label=orchestrator.service=vpn)";
    a.run(&format!("docker kill {vpn}")).unwrap();
    eventually("its network is there again", Duration::from_secs(20), serves);
    cli.ok("logs tunnel --tail 200").says("service inner starts again with service vpn");

    // The same while no agent looks.
    a.run(&format!("kill -9 $(pidof node-agent); docker kill {vpn}")).unwrap();
    eventually("healthy under the new agent", Duration::from_secs(20), || {
        status(cli, "tunnel")["state"] == "healthy" && serves()
    });
    let runs = a.read(&format!("{}/volumes/tunnel.0/kept/runs", e2e::scene::DATA)).unwrap();
    assert_eq!(runs, "ran\n", "what has completed is not run again");
    cli.ok("remove tunnel --purge");
    assert_eq!(a.left_in_engine().unwrap(), "");
}
