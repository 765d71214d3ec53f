//! A host that runs Docker or Podman: an engine of its own, started at boot, with images that are made on the spot.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::host::Host;

const START: Duration = Duration::from_secs(30);
const RC_LOCAL: &str = "\
#!/bin/sh
rm -f /run/docker.pid /run/docker/containerd/containerd.pid
exec dockerd --insecure-registry 10.213.0.0/16 >>/var/log/dockerd.log 2>&1
";

const RC_LOCAL_PODMAN: &str = "\
#!/bin/sh
mkdir -p /run/podman
exec podman system service --time=0 unix:///run/podman/podman.sock >>/var/log/podman.log 2>&1
";
/// The command line of the engine that the host runs.
const ENGINE: &str = "E=docker; [ -S /run/podman/podman.sock ] && E=podman";

impl Host {
    /// The same for Podman.
    pub fn start_podman(&self) -> Result<()> {
        self.write("/etc/rc.local", RC_LOCAL_PODMAN)?;
        self.run("chmod +x /etc/rc.local; setsid /etc/rc.local </dev/null >/dev/null 2>&1 &")?;
        let deadline = Instant::now() + START;
        let ask = "curl -s --unix-socket /run/podman/podman.sock http://d/_ping";
        while self.run(ask).ok().is_none_or(|answer| answer.trim() != "OK") {
            if Instant::now() > deadline {
                bail!("podman did not start: {}", self.run("tail -n 30 /var/log/podman.log")?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ids of the running containers that carry our label.
    pub fn containers(&self) -> Result<Vec<String>> {
        let listed = self.run(&format!("{ENGINE}; $E ps -q --filter label=orchestrator.instance"))?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// Installs Docker, as far as the host is concerned, and returns when it answers.
    pub fn start_docker(&self) -> Result<()> {
        self.write("/etc/rc.local", RC_LOCAL)?;
        self.run("chmod +x /etc/rc.local; setsid /etc/rc.local </dev/null >/dev/null 2>&1 &")?;
        self.await_docker()
    }

    /// Returns when its dockerd answers.
    pub fn await_docker(&self) -> Result<()> {
        let deadline = Instant::now() + START;
        while !self.try_run("docker version")?.status.success() {
            if Instant::now() > deadline {
                bail!("dockerd did not start: {}", self.run("tail -n 30 /var/log/dockerd.log")?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends its dockerd as an out-of-memory killer would, or an upgrade of the package.
    pub fn kill_docker(&self) -> Result<()> {
        self.run("kill -9 $(cat /run/docker.pid); while pidof dockerd; do sleep 0.02; done").map(drop)
    }

    /// Makes an image that has busybox and these files, by their paths; `changes` as a Dockerfile says them.
    pub fn make_image(&self, name: &str, files: &[(&str, &str)], changes: &[&str]) -> Result<()> {
        let root = "/root/image";
        self.run(&format!(
            "rm -rf {root}; mkdir -p {root}/bin {root}/tmp {root}/etc; cp /usr/bin/busybox {root}/bin/busybox; \
             busybox --list | grep -vx busybox | while read -r name; do ln -sf busybox {root}/bin/$name; done; \
             echo 'app:x:1000:1000::/:/bin/sh' >{root}/etc/passwd"
        ))?;
        for (path, content) in files {
            self.write(&format!("{root}{path}"), content)?;
            self.run(&format!("chmod 755 {root}{path}"))?;
        }
        let changes: String = changes.iter().map(|change| format!(" --change '{change}'")).collect();
        self.run(&format!("{ENGINE}; tar -C {root} -c . | $E import{changes} - {name}")).map(drop)
    }

    /// Containers, networks and volumes that carry our labels, running or not.
    pub fn left_in_engine(&self) -> Result<String> {
        let filter = "--filter label=orchestrator.instance";
        self.run(&format!(
            "{ENGINE}; $E ps -a -q {filter}; $E network ls -q {filter}; $E volume ls -q {filter}"
        ))
    }
}
