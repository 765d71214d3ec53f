//! Nodes with a real systemd: the agent is a unit there, and comes back after a reboot without being asked.

use std::time::Duration;

use e2e::fleet::{Fleet, Wish};
use e2e::host::Host;
use e2e::orchestrator::{Orchestrator, eventually};
use e2e::scene::{DATA, fetch};
use serde_json::Value;

const UNIT: &str = "orchestrator-agent.service";

#[test]
fn on_systemd_the_agent_is_a_unit_that_needs_no_coordinator() {
    let (fleet, cli) = one_host(false);
    let a = fleet.host("a");
    cli.ok("node add a --ssh a").says("under systemd");
    assert_eq!(
        a.run(&format!("systemctl is-enabled {UNIT}; systemctl is-active {UNIT}")).unwrap(),
        "enabled\nactive\n"
    );
    let node = cli.ok("node list -o json").json()[0].take();
    assert!(node["capabilities"].as_array().unwrap().contains(&"systemd".into()), "{node}");

    cli.ok("deploy hello-web --set greeting=Salve");
    let url = url(&cli);
    let before = server(a);
    let agent = main_pid(a);
    a.run(&format!("systemctl restart {UNIT}")).unwrap();
    assert_ne!(main_pid(a), agent);
    eventually("healthy under the new agent", Duration::from_secs(5), || {
        cli.run("status hello-web -o json").json()[0]["state"] == "healthy"
    });
    assert_eq!(server(a), before, "the instance has lived on");

    reboot_without_coordinator(a, &url);
    assert_eq!(cli.ok("status hello-web -o json").json()[0]["state"], "healthy");

    cli.ok("remove hello-web");
    cli.ok("node remove a");
    let left =
        format!("systemctl cat {UNIT} 2>&1; ls -d {DATA}/*; find /etc/systemd -name 'orchestrator*'; true");
    let left = a.run(&left).unwrap();
    assert!(left.contains("No files found") && left.lines().count() == 2, "{left}");
    let processes = a.processes().unwrap();
    assert!(!processes.iter().any(|(_, command)| command.contains("node-agent")), "{processes:?}");
}

#[test]
fn an_agent_that_crashes_or_is_killed_is_started_again_by_systemd() {
    let (fleet, cli) = one_host(false);
    let a = fleet.host("a");
    cli.ok("node add a --ssh a");
    cli.ok("deploy hello-web");
    let (before, agent) = (server(a), main_pid(a));
    a.run(&format!("kill -9 {agent}")).unwrap();
    eventually("another agent", Duration::from_secs(10), || {
        let now = main_pid(a);
        now != "0" && now != agent
    });
    eventually("it answers", Duration::from_secs(5), || {
        cli.run("status hello-web -o json").json()[0]["state"] == "healthy"
    });
    assert_eq!(server(a), before, "the instance has lived on");
}

/// Takes the power away and gives it back; asks nobody but the page itself.
fn reboot_without_coordinator(host: &Host, url: &str) {
    let boot = host.read("/proc/sys/kernel/random/boot_id").unwrap();
    host.power_off().unwrap();
    assert_eq!(fetch(url), None);
    host.power_on().unwrap();
    assert_ne!(host.read("/proc/sys/kernel/random/boot_id").unwrap(), boot);
    eventually("the page is served again", Duration::from_secs(15), || {
        fetch(url).is_some_and(|page| page.contains("Salve"))
    });
}

/// The pid, on the host, of the agent that systemd watches.
fn main_pid(host: &Host) -> String {
    host.run(&format!("systemctl show -p MainPID --value {UNIT}")).unwrap().trim().to_string()
}

/// The process that serves the page of hello-web.
fn server(host: &Host) -> (u32, String) {
    let processes = host.processes().unwrap();
    let is_server = |(_, command): &&(u32, String)| command.contains("/www") && command.contains("bin/");
    processes.iter().find(is_server).unwrap_or_else(|| panic!("no server in {processes:?}")).clone()
}

fn url(cli: &Orchestrator) -> String {
    let status: Value = cli.ok("status hello-web -o json").json();
    status[0]["instances"][0]["url"].as_str().unwrap_or_else(|| panic!("no url in {status}")).to_string()
}

fn one_host(internet: bool) -> (Fleet, Orchestrator) {
    let fleet = Fleet::up_with(&Wish { systemd_hosts: 1, internet, ..Wish::hosts(0) }).unwrap();
    let cli = Orchestrator::on(fleet.desk()).unwrap();
    (fleet, cli)
}
