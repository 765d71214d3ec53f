//! Agents that are upgraded from the coordinator: what they run goes on, and one that cannot be reached anew goes back.

use std::time::Duration;

use e2e::builds::{self, Builds, installed, instances, running};
use e2e::fleet::{Fleet, Wish};
use e2e::host::{Host, Refusal};
use e2e::kill_matrix::{self, Victim};
use e2e::orchestrator::{Orchestrator, Outcome, eventually};
use e2e::scene::DATA;
use serde_json::Value;

use crate::plans::{newest_run, with_appender};

const UNIT: &str = "orchestrator-agent.service";

#[test]
fn all_nodes_get_the_new_agent_and_what_they_run_goes_on() {
    let (fleet, cli, mut builds) = enrolled(&Wish::hosts(3));
    let [a, b, c] = ["a", "b", "c"].map(|name| fleet.host(name));
    cli.ok("deploy hello-web --every-node");
    let before = [a, b].map(|host| (instances(host), agent_pid(host)));
    let former = running(c).unwrap();
    let offered = builds.offer_another().unwrap();
    let cli = builds.offered_to(&cli);

    let would = cli.ok("node upgrade --all --dry-run -o json");
    assert_eq!(outcomes(&would), ["a would_upgrade", "b would_upgrade", "c would_upgrade"]);
    assert_eq!(running(a).unwrap(), former, "a dry run sends nothing");

    c.cut().unwrap();
    let upgraded = cli.run("node upgrade --all -o json").exits(3).says("c");
    assert_eq!(outcomes(&upgraded), ["a upgraded", "b upgraded", "c offline"]);
    for (host, (ran, agent)) in [a, b].into_iter().zip(before) {
        assert_eq!([running(host).unwrap(), installed(host).unwrap()], [offered.clone(), offered.clone()]);
        assert_eq!(instances(host), ran, "nothing was restarted");
        assert_eq!(agent_pid(host), agent, "the agent became the new one in place");
        let previous = host.run(&format!("sha256sum {DATA}/bin/node-agent.previous")).unwrap();
        assert!(previous.starts_with(&former), "the former one is kept");
    }

    let again = cli.ok("node upgrade a b").says_nothing_of("sending");
    assert!(again.stdout.contains("up to date"), "{again}");
    c.heal().unwrap();
    cli.ok("node upgrade --on node=c");
    assert_eq!(running(c).unwrap(), offered);
    assert_eq!(cli.ok("status hello-web -o json").json()[0]["state"], "healthy");
}

#[test]
fn under_systemd_a_build_that_crashes_is_followed_by_the_former_one_and_a_good_one_survives_a_reboot() {
    let (fleet, cli, mut builds) = enrolled(&Wish { systemd_hosts: 1, ..Wish::hosts(0) });
    let a = fleet.host("a");
    cli.ok("deploy hello-web");
    let (ran, former) = (instances(a), running(a).unwrap());
    let cli = builds.offered_to(&cli);

    builds.offer(&builds::crashing(fleet.desk()).unwrap()).unwrap();
    cli.run("node upgrade a").exits(1).says("ended before it was confirmed").says("journalctl");
    assert_eq!([running(a).unwrap(), installed(a).unwrap()], [former.clone(), former]);
    assert_eq!(instances(a), ran);

    let offered = builds.offer_another().unwrap();
    cli.ok("node upgrade a");
    assert_eq!(instances(a), ran);
    assert_eq!(a.run(&format!("systemctl is-active {UNIT}")).unwrap(), "active\n");
    let pid = a.run(&format!("systemctl show -p MainPID --value {UNIT}")).unwrap();
    assert_eq!(pid.trim(), agent_pid(a), "systemd watches the new one");
    a.power_off().unwrap();
    a.power_on().unwrap();
    eventually("the new one is back", Duration::from_secs(15), || running(a).is_ok_and(|it| it == offered));
}

#[test]
fn an_agent_on_this_machine_is_upgraded_too() {
    let fleet = Fleet::up(1).unwrap();
    let desk = fleet.desk();
    let cli = Orchestrator::on(desk).unwrap();
    cli.ok("node add laptop --local");
    cli.ok("deploy hello-web");
    let ran = instances(desk);
    let mut builds = Builds::on(desk).unwrap();
    let offered = builds.offer_another().unwrap();
    builds.offered_to(&cli).ok("node upgrade laptop");
    let data = "/root/.local/share/orchestrator/node";
    let runs = desk.run(&format!("sha256sum /proc/$(cat {data}/agent.lock)/exe")).unwrap();
    assert_eq!(runs[..64], offered);
    assert_eq!(instances(desk), ran);
}

#[test]
fn one_way_to_a_node_is_enough_to_upgrade_it() {
    let (fleet, cli, mut builds) = enrolled(&Wish::hosts(2));
    let offered = builds.offer_another().unwrap();
    let cli = builds.offered_to(&cli);
    for (name, closed) in [("a", 7644), ("b", 22)] {
        fleet.host(name).block_port(closed, Refusal::Reset).unwrap();
        cli.ok(&format!("node upgrade {name}"));
        assert_eq!(running(fleet.host(name)).unwrap(), offered, "{name} without port {closed}");
    }
}

#[test]
fn where_the_first_node_refuses_or_goes_back_the_others_are_not_touched() {
    let (fleet, cli, builds) = enrolled(&Wish::hosts(2));
    let [a, b] = ["a", "b"].map(|name| fleet.host(name));
    cli.ok("deploy hello-web --every-node");
    let untouched = || [a, b].map(|host| (running(host).unwrap(), installed(host).unwrap(), instances(host)));
    let before = (untouched(), agent_pid(a));
    let cli = builds.offered_to(&cli);

    builds.offer(&builds::broken().unwrap()).unwrap();
    let refused = cli.run("node upgrade --all -o json").exits(1).says("does not run here").says("hint: ");
    assert_eq!(outcomes(&refused), ["a failed", "b not_tried"]);
    assert_eq!((untouched(), agent_pid(a)), before, "nothing was switched");

    // One that hangs is ended by the kernel, one that leaves is not taken at its word.
    for (build, why) in
        [(builds::hanging(fleet.desk()), "a hangs"), (builds::leaving(fleet.desk()), "a leaves")]
    {
        builds.offer(&build.unwrap()).unwrap();
        let back = cli.run("node upgrade --all --timeout 1s -o json").exits(1).says("rolled back");
        assert_eq!(outcomes(&back), ["a rolled_back", "b not_tried"], "{why}");
        assert_eq!(untouched(), before.0, "{why}");
    }
    assert_eq!(cli.ok("status hello-web -o json").json()[0]["state"], "healthy");
}

#[test]
fn an_agent_that_is_not_reached_anew_goes_back_by_itself() {
    let (fleet, cli, mut builds) = enrolled(&Wish::hosts(1));
    let a = fleet.host("a");
    cli.ok("deploy hello-web");
    let (ran, former) = (instances(a), running(a).unwrap());
    let offered = builds.offer_another().unwrap();
    let cli = builds.offered_to(&cli);

    // Its coordinator is dead, and for all that the node knows the line is.
    let dead = cli.clone().with("ORCHESTRATOR_FAULT", "upgrade.asked").run("node upgrade a --timeout 2s");
    assert_eq!(dead.code, None, "{dead}");
    eventually("it is tried", Duration::from_secs(5), || running(a).is_ok_and(|it| it == offered));
    cli.run("node upgrade a").exits(1).says("under way");
    eventually("the former one is back", Duration::from_secs(6), || running(a).is_ok_and(|it| it == former));
    assert_eq!(installed(a).unwrap(), former);
    assert_eq!(instances(a), ran);

    // The power fails in the middle of a trial.
    let dead = cli.clone().with("ORCHESTRATOR_FAULT", "upgrade.asked").run("node upgrade a");
    assert_eq!(dead.code, None, "{dead}");
    eventually("it is tried", Duration::from_secs(5), || running(a).is_ok_and(|it| it == offered));
    a.power_off().unwrap();
    a.power_on().unwrap();
    cli.ok("node list");
    assert_eq!(running(a).unwrap(), former);
    cli.ok("node upgrade a");
    assert_eq!(running(a).unwrap(), offered);
}

const SLOW: &str = "\
name: slow
version: 1.0.0
install: [{run: [sh, -c, 'touch /run/begun; while [ ! -e /run/go ]; do sleep .1; done']}]
runtime: {process: {command: [sleep, '1000']}}
";

#[test]
fn nothing_is_tried_while_something_is_installed_or_the_disk_is_full() {
    let (fleet, cli, mut builds) = enrolled(&Wish::hosts(1));
    let a = fleet.host("a");
    let former = running(a).unwrap();
    let offered = builds.offer_another().unwrap();
    let newer = builds.offered_to(&cli);
    fleet.desk().run("mkdir -p /root/slow").unwrap();
    fleet.desk().write("/root/slow/MODULE.yaml", SLOW).unwrap();

    let deploy = cli.start("deploy ./slow");
    eventually("it is installing", Duration::from_secs(20), || a.exists("/run/begun"));
    newer.run("node upgrade a").exits(1).says("it is installing something").says("try again then");
    assert_eq!([running(a).unwrap(), installed(a).unwrap()], [former.clone(), former.clone()]);
    a.write("/run/go", "").unwrap();
    deploy.wait().exits(0);

    let ran = instances(a);
    a.fill_disk_but(1 << 20).unwrap();
    newer.run("node upgrade a").exits(1).says("No space left").says("nothing was switched");
    a.free_disk().unwrap();
    assert_eq!([running(a).unwrap(), installed(a).unwrap()], [former.clone(), former]);
    let left = a.run(&format!("ls {DATA}/bin")).unwrap();
    assert_eq!(left, "node-agent\n", "nothing stays of what did not come whole");
    newer.ok("node upgrade a");
    assert_eq!(running(a).unwrap(), offered);
    assert_eq!(instances(a), ran);
}

#[test]
fn nothing_is_tried_while_a_step_of_a_plan_runs() {
    let scene = with_appender("#!/bin/sh\ntouch /var/tmp/begun\nexec sleep 987\n");
    let (cli, a) = (&scene.orchestrator, scene.fleet.host("a"));
    let former = running(a).unwrap();
    let mut builds = Builds::on(scene.fleet.desk()).unwrap();
    let offered = builds.offer_another().unwrap();
    let newer = builds.offered_to(cli);

    cli.ok("plan approve plan.yaml");
    let run = cli.start("plan run plan.yaml");
    eventually("a step runs", Duration::from_secs(20), || a.exists("/var/tmp/begun"));
    newer.run("node upgrade a").exits(1).says("it is carrying out a step of a plan");
    assert_eq!(running(a).unwrap(), former);
    cli.ok(&format!("run cancel {}", newest_run(&scene)));
    run.wait().exits(1);
    newer.ok("node upgrade a");
    assert_eq!(running(a).unwrap(), offered);
}

#[test]
fn the_coordinator_may_die_at_every_point_of_an_upgrade() {
    kill_matrix::sweep_upgrade(Victim::Coordinator).unwrap();
}

#[test]
fn the_agent_may_die_at_every_point_of_an_upgrade() {
    kill_matrix::sweep_upgrade(Victim::Agent).unwrap();
}

fn enrolled(wish: &Wish) -> (Fleet, Orchestrator, Builds) {
    let fleet = Fleet::up_with(wish).unwrap();
    let cli = Orchestrator::on(fleet.desk()).unwrap();
    for host in fleet.hosts() {
        cli.ok(&format!("node add {0} --ssh {0}", host.name()));
    }
    let builds = Builds::on(fleet.desk()).unwrap();
    (fleet, cli, builds)
}

/// `node outcome` of each.
fn outcomes(outcome: &Outcome) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let json = outcome.json();
    let all = json.as_array().unwrap_or_else(|| panic!("{outcome}"));
    all.iter().map(|it| format!("{} {}", text(&it["node"]), text(&it["outcome"]))).collect()
}

/// As the host numbers it.
fn agent_pid(host: &Host) -> String {
    host.read(&format!("{DATA}/agent.lock")).unwrap()
}
