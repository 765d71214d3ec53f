//! Ansible as a contestant: a playbook of `file`, `unarchive` and `command`, ten hosts at a time.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::fleet::Fleet;
use crate::host::Host;
use crate::orchestrator::repository;

const PLAYBOOK: &str = "\
- hosts: all
OPTIONS  tasks:
    - file: {path: /srv/ansible/VERSION, state: directory}
    - unarchive: {src: PACKAGE, dest: /srv/ansible/VERSION}
    - command: test -f /srv/ansible/VERSION/MODULE.yaml
";

/// Copies the virtual environment that `scripts/setup --bench` made to where the desk can see it.
pub fn install(desk: &Host) -> Result<()> {
    let made = repository().join("target/ansible");
    ensure!(made.join("bin/ansible-playbook").exists(), "it is not installed: run `scripts/setup --bench`");
    let copied = Command::new("cp")
        .args(["-a", "--no-target-directory"])
        .arg(&made)
        .arg(desk.path("/opt/ansible")?)
        .status()?;
    ensure!(copied.success(), "could not copy {} to the desk", made.display());
    Ok(())
}

/// Runs the playbook and gives the seconds.
pub fn time(fleet: &Fleet, version: &str, package: &str, options: &str) -> Result<f64> {
    let desk = fleet.desk();
    let names: Vec<_> = fleet.hosts().map(Host::name).collect();
    desk.write("/root/inventory", &format!("{}\n", names.join("\n")))?;
    let playbook =
        PLAYBOOK.replace("VERSION", version).replace("PACKAGE", package).replace("OPTIONS", options);
    desk.write("/root/playbook.yaml", &playbook)?;
    let started = Instant::now();
    let output = desk.try_run(
        "cd /root && /opt/ansible/bin/python /opt/ansible/bin/ansible-playbook \
         --forks 10 -i inventory -e ansible_python_interpreter=/usr/bin/python3 playbook.yaml",
    )?;
    let took = started.elapsed();
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("ansible-playbook failed:\n{}", String::from_utf8_lossy(&said));
    }
    Ok(took.as_secs_f64())
}
