//! The sweep over an agent's upgrade: whoever dies wherever, one healthy agent is left, the former or the new one, and what
//! the node runs was never touched.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Victim;
use super::inventory;
use super::sweep::{points_of, take_points};
use super::world::insist_on_faults;
use crate::builds::{self, Builds};
use crate::fleet::Fleet;
use crate::host::Host;
use crate::orchestrator::{Orchestrator, Outcome};
use crate::scene::DATA;

const OURS: &str = "upgrade.";
/// Those that only a trial reaches that goes wrong.
const OF_THE_WAY_BACK: [&str; 2] = ["upgrade.timed_out", "upgrade.given_up"];
/// A trial that nobody confirms lasts a second; its end and a restart come after.
const RESTS: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// Kills the victim at every point of an upgrade, each in an upgrade of its own.
pub fn sweep_upgrade(victim: Victim) -> Result<()> {
    insist_on_faults()?;
    let mut ground = Ground::new()?;
    let (package, ours) = match victim {
        Victim::Coordinator => ("coordinator", ground.trace(victim)?),
        Victim::Agent => ("node-agent", ground.trace(victim)?),
    };
    let mut reached: BTreeSet<String> = ours.iter().cloned().collect();
    if victim == Victim::Agent {
        reached.extend(OF_THE_WAY_BACK.map(str::to_owned));
    }
    let named: BTreeSet<String> =
        points_of(package)?.into_iter().filter(|point| point.starts_with(OURS)).collect();
    let missed: Vec<_> = named.difference(&reached).collect();
    ensure!(missed.is_empty(), "no upgrade reaches {missed:?}");
    for point in ours.iter().filter(|point| point.starts_with(OURS)) {
        println!("{victim:?} dies at {point}");
        ground.strike(victim, point).with_context(|| format!("{victim:?} dies at {point}"))?;
    }
    if victim == Victim::Agent {
        ground.dies_on_its_way_back()?;
    }
    Ok(())
}

/// One node that runs something.
struct Ground {
    fleet: Fleet,
    cli: Orchestrator,
    builds: Builds,
    instances: Vec<(u32, String)>,
}

impl Ground {
    fn new() -> Result<Ground> {
        let fleet = Fleet::up(1)?;
        let cli = Orchestrator::on(fleet.desk())?;
        cli.ok("node add a --ssh a");
        cli.ok("deploy hello-web");
        let builds = Builds::on(fleet.desk())?;
        let instances = builds::instances(fleet.host("a"));
        ensure!(!instances.is_empty(), "something must run");
        Ok(Ground { fleet, cli, builds, instances })
    }

    /// The points of an upgrade that nothing disturbs.
    fn trace(&mut self, victim: Victim) -> Result<Vec<String>> {
        let offered = self.builds.offer_another()?;
        self.arm("trace")?;
        self.run("upgrade a", "trace:/root/reached").exits(0);
        self.host().run(&format!("rm {DATA}/fault"))?;
        let of_agent = take_points(self.host(), &format!("{DATA}/fault.reached"))?;
        let of_coordinator = take_points(self.fleet.desk(), "/root/reached")?;
        self.comes_to_rest(&[&offered])?;
        Ok(match victim {
            Victim::Coordinator => of_coordinator,
            Victim::Agent => of_agent,
        })
    }

    fn strike(&mut self, victim: Victim, point: &str) -> Result<()> {
        self.start_afresh()?;
        let former = builds::running(self.host())?;
        let offered = self.builds.offer_another()?;
        let struck = match victim {
            Victim::Coordinator => self.run("upgrade a --timeout 1s", point),
            Victim::Agent => {
                self.arm(point)?;
                self.run("upgrade a --timeout 1s", "none")
            }
        };
        let has_died = match victim {
            Victim::Coordinator => struck.code.is_none(),
            Victim::Agent => !self.host().exists(&format!("{DATA}/fault")),
        };
        ensure!(has_died, "nobody died\n{struck}");
        self.comes_to_rest(&[&former, &offered]).with_context(|| struck.to_string())?;
        let is_done = builds::running(self.host())? == offered;
        ensure!(is_done || struck.code != Some(0), "it is not as told\n{struck}");
        if is_done { Ok(()) } else { self.completes(&offered) }
    }

    /// An agent that has died several times is started later each time; nobody wants to wait for that here.
    fn start_afresh(&self) -> Result<()> {
        let agent = format!("{DATA}/bin/node-agent");
        self.host().run(&format!(
            "{agent} stop --data-dir {DATA} && {agent} start --listen 0.0.0.0:7644 --data-dir {DATA}"
        ))?;
        Ok(())
    }

    /// The former agent may die, too, while it takes over again.
    fn dies_on_its_way_back(&mut self) -> Result<()> {
        self.start_afresh()?;
        let former = builds::running(self.host())?;
        self.builds.offer_another()?;
        self.arm("upgrade.timed_out")?;
        let struck = self.run("upgrade a --timeout 1s", "upgrade.asked");
        ensure!(struck.code.is_none(), "the coordinator lives\n{struck}");
        self.comes_to_rest(&[&former]).context("it dies as its time is over")?;
        self.builds.offer(&builds::crashing(self.fleet.desk())?)?;
        self.arm("upgrade.given_up")?;
        self.run("upgrade a --timeout 1s", "none").exits(1).says("rolled back");
        ensure!(!self.host().exists(&format!("{DATA}/fault")), "nobody died");
        self.comes_to_rest(&[&former]).context("it dies as it gives up")?;
        let offered = self.builds.offer_another()?;
        self.completes(&offered)
    }

    fn completes(&self, offered: &str) -> Result<()> {
        self.run("upgrade a", "none").exits(0);
        self.comes_to_rest(&[offered]).context("the same command again")
    }

    /// One agent that answers, of one of these builds, which a restart would start, too.
    fn comes_to_rest(&self, allowed: &[&str]) -> Result<()> {
        let end = Instant::now() + RESTS;
        loop {
            let Err(unrest) = self.is_at_rest(allowed) else { return Ok(()) };
            if Instant::now() > end {
                let record = self.host().read(&format!("{DATA}/upgrade")).unwrap_or_default();
                let log = self.host().run(&format!("tail -n 30 {DATA}/agent.log")).unwrap_or_default();
                return Err(unrest.context(format!("{record}\n{log}")));
            }
            std::thread::sleep(POLL);
        }
    }

    fn is_at_rest(&self, allowed: &[&str]) -> Result<()> {
        let host = self.host();
        let record = host.read(&format!("{DATA}/upgrade")).unwrap_or_default();
        let stage = record.lines().next().unwrap_or_default();
        ensure!(!["asked", "on-trial"].contains(&stage), "an upgrade is under way");
        ensure!(!host.exists(&format!("{DATA}/bin/node-agent.trial")), "a build on trial is left");
        let found = inventory::untidy(host, &["hello-web/0".to_owned()], true)?;
        ensure!(found.is_empty(), "{found:#?}");
        let running = builds::running(host)?;
        ensure!(allowed.contains(&running.as_str()), "{running} runs, not one of {allowed:?}");
        ensure!(builds::installed(host)? == running, "a restart would start another one");
        let copies = inventory::copies(&inventory::processes(host));
        ensure!(copies.values().all(|count| *count == 1) && copies.len() == 1, "{copies:?}");
        ensure!(builds::instances(host) == self.instances, "what ran was touched");
        let address = fs::read_to_string(host.path(&format!("{DATA}/agent.addr"))?)?;
        let port = address.rsplit(':').next().unwrap_or_default().to_owned();
        std::net::TcpStream::connect(format!("{}:{port}", host.address())).context("nobody listens")?;
        Ok(())
    }

    fn arm(&self, what: &str) -> Result<()> {
        self.host().write(&format!("{DATA}/fault"), what)
    }

    fn run(&self, line: &str, fault: &str) -> Outcome {
        let cli = self.builds.offered_to(&self.cli).with("ORCHESTRATOR_FAULT", fault);
        cli.run(&format!("node {line}"))
    }

    fn host(&self) -> &Host {
        self.fleet.host("a")
    }
}
