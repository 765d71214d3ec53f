//! Nodes with a real systemd: the agent is a unit there, and comes back after a reboot without being asked.

use std::time::Duration;

use e2e::fleet::{Fleet, Wish};
use e2e::host::Host;
use e2e::orchestrator::{Orchestrator, binaries, eventually};
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
        format!("systemctl cat {UNIT} 2>&1; ls -d {DATA}; find /etc/systemd -name 'orchestrator*'; true");
    assert_eq!(a.run(&left).unwrap(), format!("No files found for {UNIT}.\n"));
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

#[test]
fn the_first_node_of_all_comes_back_after_a_reboot_too() {
    let (fleet, _) = one_host(false);
    let a = fleet.host("a");
    a.carry_binaries(&binaries().unwrap()).unwrap();
    a.power_off().unwrap();
    a.power_on().unwrap();
    let cli = Orchestrator::on(a).unwrap();
    cli.ok("deploy hello-web --set greeting=Salve");
    let page = format!("curl -sf -m 2 {}", url(&cli));
    a.run(&page).unwrap();
    a.power_off().unwrap();
    a.power_on().unwrap();
    eventually("the page is served again", Duration::from_secs(15), || {
        a.run(&page).is_ok_and(|page| page.contains("Salve"))
    });
    cli.ok("node show local").says_nothing_of("through SSH");
    cli.ok("node remove local --force");
    assert_eq!(a.run("find /etc/systemd -name 'orchestrator*'").unwrap(), "");
}

#[test]
fn a_service_that_apt_brings_is_neither_started_nor_enabled() {
    let (fleet, cli) = one_host(true);
    let a = fleet.host("a");
    // Not installed on the host, whatever this machine has; and without the policy that containers have.
    a.run("dpkg --purge mosquitto mosquitto-clients 2>/dev/null; rm -rf /etc/mosquitto; true").unwrap();
    cli.ok("node add a --ssh a");
    cli.ok("deploy mosquitto");
    let asked = a.run("systemctl is-enabled mosquitto; systemctl is-active mosquitto; true").unwrap();
    assert_eq!(asked, "disabled\ninactive\n");
    assert!(matches!(&brokers(a)[..], [ours] if ours.contains(DATA)), "{:?}", brokers(a));
    a.power_off().unwrap();
    a.power_on().unwrap();
    eventually("ours is back", Duration::from_secs(15), || !brokers(a).is_empty());
    assert!(matches!(&brokers(a)[..], [ours] if ours.contains(DATA)), "{:?}", brokers(a));
    assert_eq!(a.run("systemctl is-active mosquitto; true").unwrap(), "inactive\n");
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

fn brokers(host: &Host) -> Vec<String> {
    let commands = host.processes().unwrap().into_iter().map(|(_, command)| command);
    commands.filter(|command| command.starts_with("mosquitto ") || command.contains("/mosquitto ")).collect()
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
