//! The fleet: a bridge, some hosts on it, and a desk, the machine of the person who runs the command line.

use std::collections::BTreeMap;
use std::fs;
use std::iter;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::etcd::Etcd;
use crate::host::{Host, Kind, ip, pi, sh};
use crate::orchestrator::binaries;
use crate::ssh;
use crate::stage::Stage;

/// What a disk holds unless the wish says otherwise. It is a limit: memory is used only for what is written.
pub const DISK: u64 = 2 << 30;
const DESK: &str = "desk";

/// What a fleet should be like.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How many hosts without systemd; their names come first, then those of the other kinds.
    pub hosts: u8,
    pub systemd_hosts: u8,
    pub pis: u8,
    pub disk_bytes: u64,
    /// Lets the hosts reach what this machine reaches, through NAT; turns on IP forwarding on this machine.
    pub internet: bool,
}

impl Wish {
    pub fn hosts(hosts: u8) -> Wish {
        Wish { hosts, systemd_hosts: 0, pis: 0, disk_bytes: DISK, internet: false }
    }

    fn kinds(&self) -> Vec<Kind> {
        let counts = [(Kind::Plain, self.hosts), (Kind::Systemd, self.systemd_hosts), (Kind::Pi, self.pis)];
        counts.into_iter().flat_map(|(kind, count)| iter::repeat_n(kind, usize::from(count))).collect()
    }
}

/// Hosts `a`, `b`, `c`, … and a `desk`, all gone when this is dropped.
#[derive(Debug)]
pub struct Fleet {
    hosts: BTreeMap<String, Host>,
    desk: Host,
    stage: Stage,
}

impl Fleet {
    /// Makes a fleet and returns when every host answers over ssh.
    pub fn up(hosts: u8) -> Result<Fleet> {
        Fleet::build(Stage::claim()?, &Wish::hosts(hosts))
    }

    pub fn up_with(wish: &Wish) -> Result<Fleet> {
        Fleet::build(Stage::claim()?, wish)
    }

    /// Makes a fleet that stays when this process ends, for people; nothing is left when that fails.
    pub fn up_detached(wish: &Wish) -> Result<Fleet> {
        let stage = Stage::claim_detached()?;
        let slot = stage.slot();
        let built = Fleet::build(stage, wish);
        if built.is_err() {
            Stage::open(slot)?.strike()?;
        }
        built
    }

    /// Finds a fleet that another process made.
    pub fn open(slot: u8) -> Result<Fleet> {
        let stage = Stage::open(slot)?;
        let mut fleet = Fleet::plan(stage, 0);
        let count = fs::read_dir(fleet.stage.folder().join("hosts"))?.count().saturating_sub(1);
        fleet.hosts = plan_hosts(&fleet.stage, u8::try_from(count)?);
        Ok(fleet)
    }

    pub fn slot(&self) -> u8 {
        self.stage.slot()
    }

    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// One of the hosts.
    ///
    /// # Panics
    /// When the fleet has no such host, which is a mistake of the test.
    pub fn host(&self, name: &str) -> &Host {
        self.find(name).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn find(&self, name: &str) -> Result<&Host> {
        if name == DESK {
            return Ok(&self.desk);
        }
        let known = || self.hosts.keys().cloned().collect::<Vec<_>>().join(", ");
        self.hosts.get(name).with_context(|| format!("no host `{name}`, there are: desk, {}", known()))
    }

    /// All hosts but the desk, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// The machine to run the command line on; it has the ssh key and, in `~/.ssh/config`, the hosts.
    pub fn desk(&self) -> &Host {
        &self.desk
    }

    /// This machine's own address on the fleet's bridge.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.slot(), 1)
    }

    /// Starts an etcd that every host of the fleet can reach.
    pub fn etcd(&self) -> Result<Etcd> {
        Etcd::start_on(&self.stage, self.gateway())
    }

    /// A `.ssh` folder for this machine: `ssh -F <folder>/config a`.
    pub fn ssh_folder(&self) -> PathBuf {
        self.stage.folder().join("home/.ssh")
    }

    fn plan(stage: Stage, hosts: u8) -> Fleet {
        let desk = Host::at(&stage.folder(), stage.slot(), 0, DESK);
        Fleet { hosts: plan_hosts(&stage, hosts), desk, stage }
    }

    fn build(stage: Stage, wish: &Wish) -> Result<Fleet> {
        let count = wish.kinds().len();
        ensure!((1..=200).contains(&count), "a fleet has 1 to 200 hosts");
        let fleet = Fleet::plan(stage, u8::try_from(count)?);
        fleet.make_bridge()?;
        if wish.pis > 0 {
            pi::emulate(&fleet.stage.folder(), fleet.slot())?;
        }
        if wish.internet {
            fleet.allow_internet()?;
        }
        let key = fleet.stage.folder().join("key");
        ssh::make_key(&key)?;
        fleet.install(wish, &key)?;
        each(fleet.machines(), Host::power_on)?;
        Ok(fleet)
    }

    fn machines(&self) -> Vec<&Host> {
        self.hosts.values().chain([&self.desk]).collect()
    }

    fn install(&self, wish: &Wish, key: &Path) -> Result<()> {
        let authorized = fs::read_to_string(key.with_extension("pub"))?;
        let name = |host: &Host| format!("{} {}\n", host.address(), host.name());
        let names: String = self.hosts.values().map(name).collect();
        let kinds = wish.kinds();
        each(self.machines(), |host| {
            let kind = kinds.get(host.number().wrapping_sub(1)).copied().unwrap_or(Kind::Plain);
            host.install(kind, wish.disk_bytes, &authorized, &names)
        })?;
        let hosts: Vec<_> = self.hosts.values().cloned().collect();
        ssh::install_client(&self.desk.disk().upper("/root/.ssh"), "/root", key, &hosts)?;
        let home = self.stage.folder().join("home");
        ssh::install_client(&home.join(".ssh"), &home.to_string_lossy(), key, &hosts)?;
        self.desk.carry_binaries(&binaries()?)
    }

    /// Its MAC address is fixed: left to itself, a bridge takes the lowest one among its ports, so whenever a host
    /// goes or comes the others could no longer reach this machine until their ARP caches forget the former one.
    fn make_bridge(&self) -> Result<()> {
        let (slot, gateway) = (self.slot(), self.gateway());
        ip(
            &[],
            &format!(
                "link add oe{slot} address 02:e2:00:00:{slot:02x}:ff type bridge\n\
                 address add {gateway}/24 dev oe{slot}\n\
                 link set oe{slot} up\n"
            ),
        )
    }

    fn allow_internet(&self) -> Result<()> {
        let subnet = format!("10.213.{}.0/24", self.slot());
        let rules = |verb: &str, insert: &str| {
            format!(
                "iptables -w -t nat -{verb} POSTROUTING -s {subnet} ! -d {subnet} -j MASQUERADE\n\
                 iptables -w -{insert} FORWARD -s {subnet} -j ACCEPT\n\
                 iptables -w -{insert} FORWARD -d {subnet} -j ACCEPT\n"
            )
        };
        // How to take it back is written first: the strike runs it.
        fs::write(self.stage.folder().join("internet"), rules("D", "D"))?;
        sh(&format!("sysctl -q -w net.ipv4.ip_forward=1\n{}", rules("A", "I")))
    }
}

fn plan_hosts(stage: &Stage, count: u8) -> BTreeMap<String, Host> {
    let host = |number| Host::at(&stage.folder(), stage.slot(), number, &host_name(number));
    (1..=count).map(host).map(|host| (host.name().to_string(), host)).collect()
}

/// 1 is `a`, 26 is `z`, 27 is `aa`.
fn host_name(number: u8) -> String {
    let letter = |index: u8| char::from(b'a' + index);
    match (number - 1) / 26 {
        0 => letter(number - 1).to_string(),
        more => format!("{}{}", letter(more - 1), letter((number - 1) % 26)),
    }
}

/// Does the same on all hosts at once and reports the first failure.
pub fn each(hosts: Vec<&Host>, act: impl Fn(&Host) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = hosts.iter().map(|host| scope.spawn(|| act(host))).collect();
        let join =
            |thread: thread::ScopedJoinHandle<'_, Result<()>>| thread.join().expect("no panic in a host");
        threads.into_iter().map(join).collect::<Vec<_>>().into_iter().collect()
    })
}
