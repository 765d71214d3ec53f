//! A host that runs Docker: its own dockerd, started at boot, with images that are made on the spot.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::host::Host;

const START: Duration = Duration::from_secs(30);
const RC_LOCAL: &str = "\
#!/bin/sh
rm -f /run/docker.pid /run/docker/containerd/containerd.pid
exec dockerd --insecure-registry 10.213.0.0/16 >>/var/log/dockerd.log 2>&1
";

impl Host {
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
        self.run(&format!("tar -C {root} -c . | docker import{changes} - {name}")).map(drop)
    }

    /// Containers, networks and volumes that carry our labels, running or not.
    pub fn left_in_docker(&self) -> Result<String> {
        let filter = "--filter label=orchestrator.instance";
        self.run(&format!(
            "docker ps -a -q {filter}; docker network ls -q {filter}; docker volume ls -q {filter}"
        ))
    }
}
