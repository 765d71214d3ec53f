//! A fleet of a server and a 64-bit Raspberry Pi, whose agent and modules are programs for aarch64.

use std::fs;
use std::time::Duration;

use e2e::fleet::{Fleet, Wish};
use e2e::host::Host;
use e2e::orchestrator::{Orchestrator, eventually, repository};
use e2e::scene::fetch;
use serde_json::Value;

/// A machine that says it is a Pi is enough here: the agent is never sent.
#[test]
fn a_node_without_an_agent_for_it_is_told_which_file_is_missing_and_how_to_build_it() {
    let fleet = Fleet::up(1).unwrap();
    let cli = Orchestrator::on(fleet.desk()).unwrap();
    let a = fleet.host("a");
    for (program, answer) in [("uname", "aarch64"), ("od", " b7 00")] {
        a.write(&format!("/usr/local/bin/{program}"), &format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
        a.run(&format!("chmod +x /usr/local/bin/{program}")).unwrap();
    }
    let refused = cli.run("node add a --ssh a").exits(2).says("no node-agent for aarch64");
    refused.says("/node-agent-aarch64").says("make agent-aarch64");
    assert_eq!(cli.ok("node list -o json").json().as_array().map(Vec::len), Some(0));
}

#[test]
#[ignore = "needs dist/node-agent-aarch64 and qemu: `make test-pi`"]
fn a_pi_runs_what_is_for_it_and_nothing_else() {
    let fleet = Fleet::up_with(&Wish { pis: 1, ..Wish::hosts(1) }).unwrap();
    let [server, pi, desk] = [fleet.host("a"), fleet.host("b"), fleet.desk()];
    assert_eq!(pi.run("uname -m").unwrap(), "aarch64\n");
    assert_eq!(server.run("uname -m").unwrap(), "x86_64\n");
    let agents = "/root/agents";
    let cli = Orchestrator::on(desk).unwrap().with("ORCHESTRATOR_AGENT_DIR", agents);
    carry_agent(desk, agents);
    cli.ok("node add a --ssh a");
    cli.ok("node add b --ssh b").says("aarch64");
    let nodes = cli.ok("node list -o json").json();
    assert_eq!([&nodes[0]["arch"], &nodes[1]["arch"]], ["x86_64", "aarch64"], "{nodes}");

    cli.ok("deploy hello-web --on arch=aarch64");
    let hello = only_instance(&cli, "hello-web");
    assert_eq!(hello["node"], "b");
    assert!(fetch(hello["url"].as_str().unwrap()).is_some(), "{hello}");
    assert!(runs(pi, "bin/aarch64"), "{:?}", pi.processes());
    cli.ok("logs hello-web");

    write_module(desk, "aarch64");
    cli.ok("deploy ./page");
    assert_eq!(only_instance(&cli, "page")["node"], "b");
    cli.ok("remove page");
    write_module(desk, "x86_64");
    let refused = cli.run("deploy ./page --node b --timeout 5s").exits(3);
    let reason = |line: &str| ["b", "x86_64", "aarch64"].iter().all(|word| line.contains(word));
    assert!(refused.stderr.lines().any(reason), "says why\n{refused}");
    cli.run("remove page");

    // The instance outlives the agent there too, and both end when they are told to.
    let before = processes(pi, "bin/aarch64");
    pi.run("kill -9 $(pgrep -f '[n]ode-agent run')").unwrap();
    eventually("healthy under the next agent", Duration::from_secs(10), || {
        only_instance(&cli, "hello-web")["state"] == "healthy"
    });
    assert_eq!(processes(pi, "bin/aarch64"), before);
    cli.ok("remove hello-web");
    assert!(!runs(pi, "bin/aarch64"), "{:?}", pi.processes());
    cli.ok("node remove b");
    assert!(!runs(pi, "node-agent"), "{:?}", pi.processes());
}

fn carry_agent(desk: &Host, folder: &str) {
    let agent = repository().join("dist/node-agent-aarch64");
    assert!(agent.exists(), "{} is missing: `make agent-aarch64`", agent.display());
    desk.run(&format!("mkdir {folder}")).unwrap();
    fs::copy(agent, desk.path(&format!("{folder}/node-agent-aarch64")).unwrap()).unwrap();
}

fn write_module(desk: &Host, arch: &str) {
    let runtime = "runtime: {process: {command: [sleep, '1000']}}";
    let module = format!("name: page\nversion: 1.0.0\nrequires: {{arch: [{arch}]}}\n{runtime}\n");
    desk.write("/root/page/MODULE.yaml", &module).unwrap();
}

fn only_instance(cli: &Orchestrator, deployment: &str) -> Value {
    let status = cli.run(&format!("status {deployment} -o json")).json();
    assert_eq!(status[0]["instances"].as_array().map(Vec::len), Some(1), "{status}");
    status[0]["instances"][0].clone()
}

fn processes(host: &Host, words: &str) -> Vec<(u32, String)> {
    let mut processes = host.processes().unwrap();
    processes.retain(|(_, command)| command.contains(words));
    processes
}

fn runs(host: &Host, words: &str) -> bool {
    !processes(host, words).is_empty()
}
