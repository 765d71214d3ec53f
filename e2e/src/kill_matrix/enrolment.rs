//! The sweep over a node's joining and leaving: whoever dies wherever, asking again completes it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::inventory;
use super::sweep::take_points;
use super::world::insist_on_faults;
use crate::fleet::Fleet;
use crate::host::Host;
use crate::orchestrator::{Orchestrator, Outcome};
use crate::scene::DATA;

const ADD: &str = "node add a --ssh a";
const REMOVE: &str = "node remove a";
const TRACE: &str = "trace:/root/reached";
/// What is still ending may end for so long.
const SETTLES: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// Kills the coordinator at every point of both, and the agent at every point of its joining.
pub fn sweep_enrolment() -> Result<()> {
    insist_on_faults()?;
    let ground = Ground { fleet: Fleet::up(1)? };
    let points = ground.trace()?;
    for point in &points.adding {
        println!("the coordinator dies at {point} in `{ADD}`");
        ground.add_twice(point, None).with_context(|| point.clone())?;
    }
    for point in &points.removing {
        println!("the coordinator dies at {point} in `{REMOVE}`");
        ground.remove_twice(point).with_context(|| point.clone())?;
    }
    for point in &points.of_agent {
        println!("the agent dies at {point} in `{ADD}`");
        ground.add_twice("none", Some(point)).with_context(|| point.clone())?;
    }
    Ok(())
}

/// The points that joining and leaving reach.
pub fn points() -> Result<BTreeSet<String>> {
    let points = Ground { fleet: Fleet::up(1)? }.trace()?;
    Ok(points.adding.into_iter().chain(points.removing).chain(points.of_agent).collect())
}

struct Points {
    adding: Vec<String>,
    removing: Vec<String>,
    of_agent: Vec<String>,
}

/// One host, and a desk where nothing was ever done.
struct Ground {
    fleet: Fleet,
}

impl Ground {
    fn trace(&self) -> Result<Points> {
        self.wipe()?;
        self.arm("trace")?;
        self.run(ADD, TRACE)?.exits(0);
        let adding = take_points(self.fleet.desk(), "/root/reached")?;
        let of_agent = take_points(self.host(), &format!("{DATA}/fault.reached"))?;
        self.host().run(&format!("rm -f {DATA}/fault"))?;
        self.run(REMOVE, TRACE)?.exits(0);
        let removing = take_points(self.fleet.desk(), "/root/reached")?;
        Ok(Points { adding, removing, of_agent })
    }

    fn add_twice(&self, point: &str, of_agent: Option<&String>) -> Result<()> {
        self.wipe()?;
        if let Some(point) = of_agent {
            self.arm(point)?;
        }
        let struck = self.run(ADD, point)?;
        let has_died = match of_agent {
            Some(_) => !self.host().exists(&format!("{DATA}/fault")),
            None => struck.code.is_none(),
        };
        ensure!(has_died, "nobody died\n{struck}");
        self.run(ADD, "none")?.exits(0);
        self.is_ready()?;
        self.run("deploy hello-web", "none")?.exits(0);
        self.run("remove hello-web", "none")?.exits(0);
        Ok(())
    }

    fn remove_twice(&self, point: &str) -> Result<()> {
        self.wipe()?;
        self.run(ADD, "none")?.exits(0);
        let struck = self.run(REMOVE, point)?;
        ensure!(struck.code.is_none(), "nobody died\n{struck}");
        let again = self.run(REMOVE, "none")?;
        ensure!(matches!(again.code, Some(0 | 2)), "it is not completed\n{again}");
        let nodes = self.run("node list -o json", "none")?.exits(0).json();
        ensure!(nodes.as_array().is_some_and(Vec::is_empty), "{nodes}");
        let left = self.host().run(&format!("ls -A {DATA} 2>/dev/null || :"))?;
        ensure!(left.is_empty(), "left behind: {left}");
        let end = Instant::now() + SETTLES;
        loop {
            let processes = inventory::processes(self.host());
            if !processes.iter().any(|it| it.command.contains("node-agent")) {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{processes:#?}");
            std::thread::sleep(POLL);
        }
    }

    fn is_ready(&self) -> Result<()> {
        let nodes = self.run("node list -o json", "none")?.exits(0).json();
        ensure!(nodes.as_array().is_some_and(|nodes| nodes.len() == 1), "{nodes}");
        ensure!(nodes[0]["state"] == "ready", "{nodes}");
        // An agent that has just started tries its sandboxes, and takes away what it needs for that.
        let end = Instant::now() + SETTLES;
        loop {
            let mut found = inventory::untidy(self.host(), &[], false)?;
            found.extend(inventory::untidy_desk(self.fleet.desk())?);
            if found.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < end, "left behind: {found:#?}");
            std::thread::sleep(POLL);
        }
    }

    /// As on the first day.
    fn wipe(&self) -> Result<()> {
        let agent = format!("{DATA}/bin/node-agent");
        self.host()
            .run(&format!("[ ! -x {agent} ] || {agent} stop --instances --data-dir {DATA}; rm -rf {DATA}"))?;
        self.fleet.desk().run("rm -rf /root/.local").map(drop)
    }

    fn arm(&self, what: &str) -> Result<()> {
        self.host().write(&format!("{DATA}/fault"), what)
    }

    fn run(&self, line: &str, fault: &str) -> Result<Outcome> {
        Ok(Orchestrator::on(self.fleet.desk())?.with("ORCHESTRATOR_FAULT", fault).run(line))
    }

    fn host(&self) -> &Host {
        self.fleet.host("a")
    }
}
