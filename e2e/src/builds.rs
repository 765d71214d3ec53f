//! Other builds of the agent, to upgrade nodes to: some that work, some that do not.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::host::Host;
use crate::orchestrator::{Orchestrator, binaries};
use crate::scene::DATA;

/// Where a desk keeps the build that is to be sent next.
const OFFERED: &str = "/root/agents/node-agent";

/// Builds that work, and differ from the one that nodes are enrolled with.
#[derive(Debug)]
pub struct Builds {
    desk: Host,
    bytes: Vec<u8>,
    made: u32,
}

impl Builds {
    pub fn on(desk: &Host) -> Result<Builds> {
        let stripped = tempfile::NamedTempFile::new()?;
        let made =
            Command::new("strip").arg("-o").arg(stripped.path()).arg(binaries()?.join("node-agent")).status();
        ensure!(made.context("could not run strip")?.success(), "strip failed");
        Ok(Builds { desk: desk.clone(), bytes: fs::read(stripped.path())?, made: 0 })
    }

    /// Offers one that was never offered before; its digest.
    pub fn offer_another(&mut self) -> Result<String> {
        self.made += 1;
        // What follows the program is none of its concern.
        let bytes = [self.bytes.as_slice(), format!("build {}", self.made).as_bytes()].concat();
        self.offer(&bytes)
    }

    /// The command line, with the build that was offered last in place of the usual one.
    pub fn offered_to(&self, cli: &Orchestrator) -> Orchestrator {
        cli.clone().with("ORCHESTRATOR_AGENT_DIR", "/root/agents")
    }

    pub fn offer(&self, bytes: &[u8]) -> Result<String> {
        let path = self.desk.path(OFFERED)?;
        fs::create_dir_all(path.parent().context("it lies in a folder")?)?;
        fs::write(&path, bytes)?;
        Ok(self.desk.run(&format!("sha256sum {OFFERED}"))?[..64].to_owned())
    }
}

/// One that says its version, and ends at once where it is to run.
pub fn crashing(desk: &Host) -> Result<Vec<u8>> {
    compiled(desk, "return 3;")
}

/// One that says its version, and is of the opinion that it has done all there is to do.
pub fn leaving(desk: &Host) -> Result<Vec<u8>> {
    compiled(desk, "return 0;")
}

/// One that says its version, and does nothing ever after.
pub fn hanging(desk: &Host) -> Result<Vec<u8>> {
    compiled(desk, "for (;;) pause();")
}

/// One that looks like a program of this machine, and is none.
pub fn broken() -> Result<Vec<u8>> {
    let mut bytes = fs::read(binaries()?.join("node-agent"))?;
    bytes.truncate(4096);
    Ok(bytes)
}

fn compiled(desk: &Host, run: &str) -> Result<Vec<u8>> {
    let source = format!(
        "#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\nint main(int count, char **words) {{\n\
         if (count > 1 && !strcmp(words[1], \"version\")) {{ puts(\"9.9.9\"); return 0; }}\n{run}\n}}\n"
    );
    desk.write("/root/agent.c", &source)?;
    desk.run("cc -o /root/agent.out /root/agent.c")?;
    Ok(fs::read(desk.path("/root/agent.out")?)?)
}

/// The digest of the program that runs as the one agent of a host.
pub fn running(host: &Host) -> Result<String> {
    let sum = host.run(&format!("sha256sum /proc/$(cat {DATA}/agent.lock)/exe"))?;
    Ok(sum[..64].to_owned())
}

/// The digest of the program that a restart would start.
pub fn installed(host: &Host) -> Result<String> {
    Ok(host.run(&format!("sha256sum {DATA}/bin/node-agent"))?[..64].to_owned())
}

/// What the node runs, by pid there.
pub fn instances(host: &Host) -> Vec<(u32, String)> {
    let all = host.processes().unwrap_or_default();
    all.into_iter().filter(|(_, command)| command.contains("/www") && command.contains("bin/")).collect()
}
