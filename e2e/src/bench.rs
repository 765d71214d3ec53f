//! Measures deploying a package to a fleet, beside raw `ssh … tar xz` and an Ansible playbook, in one run on the
//! same hosts with the same package.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::host::Host;
use crate::orchestrator::repository;
use crate::scene::{Page, Scene};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Wish {
    pub hosts: u8,
    pub package_bytes: usize,
    /// The best of so many runs counts, for each contestant.
    pub runs: u8,
}

/// Runs all contestants and prints the figures with their ratios.
pub fn deploy(wish: &Wish) -> Result<()> {
    let scene = Scene::enrolled(wish.hosts)?;
    let desk = scene.fleet.desk();
    let ansible = install_ansible(desk);
    let (mut raw, mut ours, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let (mut usual, mut tuned) = (Vec::new(), Vec::new());
    for run in 0..wish.runs {
        let version = format!("1.{run}.0");
        let page = Page { ballast: wish.package_bytes, ..Page::version(&version) };
        page.write(desk)?;
        desk.run("tar -C /root -czf /root/page.tar.gz page")?;
        raw.push(time_raw(&scene, &version)?);
        ours.push(timed(|| scene.orchestrator.ok("deploy ./page --every-node")));
        again.push(timed(|| scene.orchestrator.ok("deploy ./page --every-node")));
        if ansible.is_ok() {
            usual.push(time_ansible(&scene, &version, "")?);
            tuned.push(time_ansible(&scene, &format!("{version}-tuned"), "  gather_facts: false\n")?);
        }
    }
    println!("{} bytes to {} hosts, best of {}:", wish.package_bytes, wish.hosts, wish.runs);
    let raw = best(&raw);
    report("raw parallel ssh … tar xz", raw, None);
    report("orchestrator deploy, until healthy", best(&ours), Some(raw));
    report("orchestrator deploy, nothing changed", best(&again), Some(raw));
    match ansible {
        Ok(()) => {
            report("ansible-playbook: file, unarchive, command", best(&usual), Some(raw));
            report("the same without gathering facts", best(&tuned), Some(raw));
            println!("ansible / orchestrator: {:.1}", best(&usual).as_secs_f64() / best(&ours).as_secs_f64());
        }
        Err(error) => println!("Ansible was not measured: {error}"),
    }
    Ok(())
}

fn time_raw(scene: &Scene, version: &str) -> Result<Duration> {
    let command = format!("mkdir -p /srv/raw/{version} && tar xz -C /srv/raw/{version}");
    let names: Vec<_> = scene.fleet.hosts().map(Host::name).collect();
    let script = format!(
        "for h in {}; do ssh -o BatchMode=yes $h '{command}' </root/page.tar.gz & pids=\"$pids $!\"; done; \
         for p in $pids; do wait $p || exit 1; done",
        names.join(" ")
    );
    let started = Instant::now();
    scene.fleet.desk().run(&script)?;
    Ok(started.elapsed())
}

/// Copies the virtual environment that `scripts/setup --bench` made to where the desk can see it.
fn install_ansible(desk: &Host) -> Result<()> {
    let made = repository().join("target/ansible");
    ensure!(made.join("bin/ansible-playbook").exists(), "it is not installed: run `make bench`");
    let status = std::process::Command::new("cp")
        .args(["-a", "--no-target-directory"])
        .arg(&made)
        .arg(desk.path("/opt/ansible")?)
        .status()?;
    ensure!(status.success(), "could not copy {} to the desk", made.display());
    Ok(())
}

fn time_ansible(scene: &Scene, version: &str, options: &str) -> Result<Duration> {
    let desk = scene.fleet.desk();
    let names: Vec<_> = scene.fleet.hosts().map(Host::name).collect();
    desk.write("/root/inventory", &format!("{}\n", names.join("\n")))?;
    desk.write("/root/playbook.yaml", &PLAYBOOK.replace("VERSION", version).replace("OPTIONS", options))?;
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
    Ok(took)
}

const PLAYBOOK: &str = "\
- hosts: all
OPTIONS  tasks:
    - file: {path: /srv/ansible/VERSION, state: directory}
    - unarchive: {src: /root/page.tar.gz, dest: /srv/ansible/VERSION}
    - command: test -x /srv/ansible/VERSION/page/serve.sh
";

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn best(times: &[Duration]) -> Duration {
    times.iter().copied().min().unwrap_or_default()
}

fn report(what: &str, took: Duration, raw: Option<Duration>) {
    let ratio = raw.map(|raw| format!("{:6.2} × raw ssh", took.as_secs_f64() / raw.as_secs_f64()));
    println!("{what:<45} {:>8.3} s  {}", took.as_secs_f64(), ratio.unwrap_or_default());
}
