//! What most tests start from: a fleet that is enrolled, with its wish in a real etcd, and a module to deploy.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use crate::etcd::Etcd;
use crate::fleet::{Fleet, Wish};
use crate::host::Host;
use crate::orchestrator::{Orchestrator, Outcome};

/// Where the agent keeps its things when it is root.
pub const DATA: &str = "/var/lib/orchestrator";

/// Hosts that are nodes of one fleet, and the command line that rules it.
#[derive(Debug)]
pub struct Scene {
    pub orchestrator: Orchestrator,
    pub etcd: Etcd,
    pub fleet: Fleet,
}

impl Scene {
    /// Hosts with nothing but sshd.
    pub fn bare(hosts: u8) -> Result<Scene> {
        Scene::bare_with(&Wish::hosts(hosts))
    }

    pub fn bare_with(wish: &Wish) -> Result<Scene> {
        let fleet = Fleet::up_with(wish)?;
        let etcd = fleet.etcd()?;
        let orchestrator = Orchestrator::on(fleet.desk())?.with_store(&etcd.store());
        Ok(Scene { orchestrator, etcd, fleet })
    }

    /// Hosts that are nodes already.
    pub fn enrolled(hosts: u8) -> Result<Scene> {
        let scene = Scene::bare(hosts)?;
        for host in scene.fleet.hosts() {
            scene.orchestrator.ok(&format!("node add {0} --ssh {0}", host.name()));
        }
        Ok(scene)
    }

    /// Writes a module for `deploy ./page` and deploys it to every node.
    pub fn deploy_page_everywhere(&self, page: &Page) -> Result<Outcome> {
        page.write(self.fleet.desk())?;
        Ok(self.orchestrator.run("deploy ./page --every-node"))
    }
}

/// A module that is a small web page. It writes down when its health was asked for.
#[derive(Debug, Clone)]
pub struct Page {
    pub version: String,
    pub is_healthy: bool,
    /// Random bytes in the package, which do not compress.
    pub ballast: usize,
}

impl Page {
    pub fn version(version: &str) -> Page {
        Page { version: version.to_string(), is_healthy: true, ballast: 0 }
    }

    /// A release whose health check fails.
    pub fn broken(version: &str) -> Page {
        Page { is_healthy: false, ..Page::version(version) }
    }

    /// What its web server answers.
    pub fn text(&self) -> String {
        format!("page {}", self.version)
    }

    /// Writes the folder `~/page` on a desk.
    pub fn write(&self, desk: &Host) -> Result<()> {
        self.write_to(desk, "page")
    }

    /// Writes a folder in the home of a desk.
    pub fn write_to(&self, desk: &Host, folder: &str) -> Result<()> {
        let folder = format!("/root/{folder}");
        desk.run(&format!("rm -rf {folder}"))?;
        desk.write(&format!("{folder}/MODULE.yaml"), &MODULE.replace("VERSION", &self.version))?;
        desk.write(&format!("{folder}/serve.sh"), &SERVE.replace("VERSION", &self.version))?;
        desk.write(&format!("{folder}/www/index.html"), &self.text())?;
        let status = if self.is_healthy { "200 OK" } else { "503 Service Unavailable" };
        desk.write(
            &format!("{folder}/www/cgi-bin/health"),
            &HEALTH.replace("STATUS", status).replace("VERSION", &self.version),
        )?;
        let ballast = self.ballast;
        desk.run(&format!(
            "cd {folder} && chmod +x serve.sh www/cgi-bin/health && head -c {ballast} /dev/urandom >ballast"
        ))?;
        Ok(())
    }
}

const MODULE: &str = "\
name: page
version: VERSION
description: A page to test with
config:
  - {name: port, type: port, default: auto}
ports:
  - {name: web, port: \"${config.port}\"}
volumes:
  - {name: data, path: data}
install:
  - run: [sh, -c, echo page VERSION is installed]
runtime:
  process: {command: [./serve.sh], stop_timeout: 2s}
health: {http: {path: /cgi-bin/health, port: web}, interval: 1s, timeout: 1s, retries: 2, start_period: 1s}
update: {health_deadline: 10s}
";

const SERVE: &str = "\
#!/bin/sh
echo \"page VERSION starts\"
exec busybox httpd -f -p \"$PORT_WEB\" -h www
";

const HEALTH: &str = "\
#!/bin/sh
echo \"VERSION $(date +%s%N)\" >>\"$VOLUME_DATA/asked\"
printf 'Status: STATUS\\r\\nContent-Type: text/plain\\r\\n\\r\\nasked\\n'
";

/// Fetches a page from this machine; `None` when nobody answers with 200.
pub fn fetch(url: &str) -> Option<String> {
    use std::io::{Read, Write};
    let rest = url.strip_prefix("http://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address: SocketAddr = authority.parse().ok()?;
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET /{path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200").then(|| body.to_string())
}
