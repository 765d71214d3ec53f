//! Modules that systemd runs, on a host with a real one.

use std::time::Duration;

use e2e::fleet::{Fleet, Wish};
use e2e::host::Host;
use e2e::orchestrator::{Orchestrator, eventually};

use crate::spine::status;

const UNIT: &str = "orchestrator-clock-0.service";
const MODULE: &str = "\
name: clock
version: VERSION
config: [{name: word, default: tick}]
volumes: [{name: data, path: data}]
runtime: {systemd: {unit: clock.service}}
health: {exec: {command: [/usr/bin/test, -s, \"${volume.data}/beats-VERSION\"]}, interval: 1s, timeout: 1s, retries: 2}
update: {health_deadline: 20s}
";

const SERVICE: &str = "\
[Unit]
Description=${config.word} of ${instance}

[Service]
ExecStart=/bin/sh -c 'echo \"$$CONFIG_WORD VERSION\"; echo beat >>${volume.data}/beats-VERSION; exec sleep 1000'
";

#[test]
fn a_unit_is_installed_watched_updated_and_removed_with_nothing_left() {
    let fleet = Fleet::up_with(&Wish { systemd_hosts: 1, ..Wish::hosts(0) }).unwrap();
    let cli = Orchestrator::on(fleet.desk()).unwrap();
    let a = fleet.host("a");
    cli.ok("node add a --ssh a");
    write(fleet.desk(), "1.0.0", SERVICE);
    cli.ok("deploy ./clock");
    assert_eq!(
        a.run(&format!("systemctl is-active {UNIT}; systemctl show -p Description --value {UNIT}")).unwrap(),
        "active\ntick of clock/0\n"
    );
    cli.ok("logs clock").says("tick 1.0.0");
    assert_eq!(a.run(&format!("stat -c %a /etc/systemd/system/{UNIT}")).unwrap(), "600\n");

    let before = main_pid(a);
    a.run("systemctl kill --signal=KILL orchestrator-agent.service").unwrap();
    eventually("healthy under the new agent", Duration::from_secs(20), || {
        status(&cli, "clock")["state"] == "healthy"
    });
    assert_eq!(main_pid(a), before, "the unit has lived on");

    a.run(&format!("kill -9 {before}")).unwrap();
    eventually("started again", Duration::from_secs(20), || {
        !["0".to_owned(), before.clone()].contains(&main_pid(a))
    });

    write(fleet.desk(), "1.1.0", &SERVICE.replace("echo beat", "exit 7; echo"));
    cli.run("deploy ./clock").exits(1).says("exited with code 7");
    eventually("the previous one runs", Duration::from_secs(10), || {
        status(&cli, "clock")["state"] == "rolled_back"
    });
    assert!(a.run(&format!("systemctl is-active {UNIT}; systemctl cat {UNIT}")).unwrap().contains(" 1.0.0"));

    cli.ok("remove clock");
    assert_eq!(left(a), "");

    // What still runs goes with its node.
    write(fleet.desk(), "2.0.0", SERVICE);
    cli.ok("deploy ./clock");
    cli.ok("node remove a --force").says("has left the fleet");
    assert_eq!(left(a), "");
}

fn left(host: &Host) -> String {
    host.run("find /etc/systemd /run/systemd/system -name 'orchestrator-*'; pgrep -x sleep; true")
        .unwrap()
        .replace("/etc/systemd/system/orchestrator-agent.service\n", "")
        .replace("/etc/systemd/system/multi-user.target.wants/orchestrator-agent.service\n", "")
}

fn write(desk: &Host, version: &str, service: &str) {
    // What is under templates/ has references; a unit's own `$` is written twice there.
    desk.write("/root/clock/MODULE.yaml", &MODULE.replace("VERSION", version)).unwrap();
    desk.write("/root/clock/templates/clock.service", &service.replace("VERSION", version)).unwrap();
}

fn main_pid(host: &Host) -> String {
    host.run(&format!("systemctl show -p MainPID --value {UNIT}")).unwrap().trim().to_owned()
}
