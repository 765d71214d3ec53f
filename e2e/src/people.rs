//! `fleet …`: what people type. A fleet made here has no owner and stays until `fleet down`.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use e2e::fleet::{DISK, Fleet, Wish};
use e2e::host::{Host, Kind, Refusal};
use e2e::stage::{self, Stage};

#[derive(Subcommand)]
pub enum FleetCommand {
    /// Makes a fleet and prints how to use it
    Up(Up),
    /// Removes a fleet
    Down(Which),
    /// Lists the fleets of this machine
    List,
    /// Removes what crashed tests left behind
    Sweep,
    /// Runs a command, or a shell, on a host
    Enter {
        #[command(flatten)]
        target: Target,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Cuts the line of a host
    Cut(Target),
    /// Undoes all that was done to the line of a host
    Heal(Target),
    /// Loses a share of a host's packets
    Drop {
        #[command(flatten)]
        target: Target,
        percent: u8,
    },
    /// Limits the line of a host
    Narrow {
        #[command(flatten)]
        target: Target,
        /// e.g. 1mbit
        rate: String,
    },
    /// Closes a TCP port of a host to the outside
    Block {
        #[command(flatten)]
        target: Target,
        port: u16,
    },
    /// Kills everything on a host at once
    PowerOff(Target),
    /// Starts a host again on its disk
    PowerOn(Target),
    /// Leaves no byte free on a host's disk
    Fill(Target),
    /// Makes room on a host's disk again
    Free(Target),
}

#[derive(Args)]
pub struct Up {
    /// How many hosts without systemd
    #[arg(default_value_t = 3)]
    hosts: u8,
    /// How many hosts with systemd besides
    #[arg(long, default_value_t = 0)]
    systemd: u8,
    /// How many emulated 64-bit Raspberry Pis besides; `make test-pi` installs what they need
    #[arg(long, default_value_t = 0)]
    pi: u8,
    /// Also starts an etcd on the fleet's bridge
    #[arg(long)]
    etcd: bool,
    /// Lets the hosts reach the internet through this machine
    #[arg(long)]
    internet: bool,
    /// The size of each host's disk, in MiB
    #[arg(long, default_value_t = DISK >> 20)]
    disk: u64,
}

#[derive(Args)]
pub struct Which {
    /// The number of the fleet, when there are several
    #[arg(long)]
    fleet: Option<u8>,
}

#[derive(Args)]
pub struct Target {
    /// The name of the host, e.g. `a` or `desk`
    host: String,
    #[command(flatten)]
    which: Which,
}

pub fn run(command: FleetCommand) -> Result<()> {
    match command {
        FleetCommand::Up(wish) => up(&wish),
        FleetCommand::Down(which) => which.open()?.stage().strike(),
        FleetCommand::List => list(),
        FleetCommand::Sweep => sweep(),
        FleetCommand::Enter { target, command } => enter(&target.open()?, &command),
        FleetCommand::Cut(target) => target.open()?.cut(),
        FleetCommand::Heal(target) => target.open()?.heal(),
        FleetCommand::Drop { target, percent } => target.open()?.drop_share(percent),
        FleetCommand::Narrow { target, rate } => target.open()?.narrow(&rate),
        FleetCommand::Block { target, port } => target.open()?.block_port(port, Refusal::Silent),
        FleetCommand::PowerOff(target) => target.open()?.power_off(),
        FleetCommand::PowerOn(target) => target.open()?.power_on(),
        FleetCommand::Fill(target) => target.open()?.fill_disk(),
        FleetCommand::Free(target) => target.open()?.free_disk(),
    }
}

impl Which {
    fn open(&self) -> Result<Fleet> {
        Fleet::open(self.slot()?)
    }

    fn slot(&self) -> Result<u8> {
        if let Some(slot) = self.fleet {
            return Ok(slot);
        }
        let stages = stage::stages().into_keys();
        let detached = |slot: &u8| Stage::open(*slot).is_ok_and(|stage| stage.is_detached());
        match stages.filter(detached).collect::<Vec<_>>()[..] {
            [only] => Ok(only),
            [] => bail!("there is no fleet: make one with `fleet up 3`"),
            _ => bail!("there are several fleets: say which with --fleet (see `fleet list`)"),
        }
    }
}

impl Target {
    fn open(&self) -> Result<Host> {
        self.which.open()?.find(&self.host).cloned()
    }
}

fn up(wish: &Up) -> Result<()> {
    let plan = Wish {
        hosts: wish.hosts,
        systemd_hosts: wish.systemd,
        pis: wish.pi,
        disk_bytes: wish.disk << 20,
        internet: wish.internet,
    };
    let fleet = Fleet::up_detached(&plan)?;
    let etcd = if wish.etcd { Some(fleet.etcd()?) } else { None };
    describe(&fleet);
    let (folder, slot) = (fleet.ssh_folder(), fleet.slot());
    println!("\nssh:         ssh -F {}/config a", folder.display());
    let first = fleet.host("a").address();
    println!(
        "enrol:       orchestrator node add a --ssh root@{first} --identity {0}/id_ed25519 \\",
        folder.display()
    );
    println!("                 --accept-new-host-key");
    println!("or at the desk, whose ~/.ssh/config has the hosts:");
    println!("             e2e fleet enter desk --fleet {slot} orchestrator node add a --ssh a");
    if let Some(etcd) = etcd {
        println!("store:       --store {}", etcd.store());
        // It belongs to the fleet now, and goes with it.
        std::mem::forget(etcd);
    }
    println!("remove:      e2e fleet down --fleet {slot}");
    Ok(())
}

fn describe(fleet: &Fleet) {
    println!("fleet {}:", fleet.slot());
    for host in fleet.hosts().chain([fleet.desk()]) {
        let kind = match host.kind() {
            Kind::Plain => "",
            Kind::Systemd => "systemd",
            Kind::Pi => "aarch64",
        };
        let state = if host.is_on() { "on" } else { "off" };
        println!("  {:<5} {:<15} {state:<4} {kind}", host.name(), host.address());
    }
}

fn list() -> Result<()> {
    for (slot, owner) in stage::stages() {
        match Fleet::open(slot) {
            Ok(fleet) => describe(&fleet),
            Err(_) => println!("fleet {slot}: no hosts"),
        }
        println!("  owner: {owner}");
    }
    Ok(())
}

fn sweep() -> Result<()> {
    for slot in stage::sweep()? {
        println!("removed fleet {slot}");
    }
    Ok(())
}

fn enter(host: &Host, words: &[String]) -> Result<()> {
    let (program, arguments) = match words.split_first() {
        Some((program, arguments)) => (program.as_str(), arguments),
        None => ("bash", &[][..]),
    };
    let mut command = host.command(program);
    command.args(arguments).current_dir("/root").stdin(Stdio::inherit());
    command.envs(std::env::vars().filter(|(name, _)| name == "TERM"));
    let status = host.spawn(command)?.wait()?;
    std::process::exit(status.code().context("the command was killed")?)
}
