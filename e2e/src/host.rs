//! One host of the fleet: what a test can ask it, and what can be done to it.

mod delay;
mod disk;
mod docker;
mod kind;
mod link;
mod namespaces;
pub(crate) mod pi;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::ssh;
use crate::stage;
pub use disk::Disk;
pub use kind::Kind;
pub use link::{Link, Refusal};
pub(crate) use link::{ip, sh};

const BOOT_DEADLINE: Duration = Duration::from_secs(20);
/// The search path a login on a Debian machine has.
pub const PATH: &str = "/opt/orchestrator:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A host keeps no state in this process: all of it is in its folder, so another process can open it too.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    number: u8,
    slot: u8,
    folder: PathBuf,
}

impl Host {
    pub(crate) fn at(stage: &Path, slot: u8, number: u8, name: &str) -> Host {
        Host { name: name.to_string(), number, slot, folder: stage.join("hosts").join(name) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hosts are counted from 1; the desk is 0.
    pub(crate) fn number(&self) -> usize {
        usize::from(self.number)
    }

    pub fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.slot, 10 + self.number)
    }

    pub fn disk(&self) -> Disk {
        Disk::at(self.folder.join("disk"))
    }

    pub fn link(&self) -> Link {
        Link { slot: self.slot, number: self.number, namespace: format!("oe{}-{}", self.slot, self.name) }
    }

    pub fn kind(&self) -> Kind {
        Kind::of(&self.folder)
    }

    /// Makes the disk and what is on it; the host is still off.
    pub(crate) fn install(
        &self,
        kind: Kind,
        disk_bytes: u64,
        authorized_key: &str,
        names: &str,
    ) -> Result<()> {
        fs::create_dir_all(self.folder.join("root"))?;
        let disk = self.disk();
        disk.mount(disk_bytes)?;
        let hosts = format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {}\n{names}", self.name);
        disk.write("/etc/hosts", &hosts, 0o644)?;
        disk.write("/etc/hostname", &format!("{}\n", self.name), 0o644)?;
        disk.write("/etc/machine-id", &format!("{:032x}\n", u32::from(self.address())), 0o444)?;
        disk.write("/etc/resolv.conf", &name_servers(), 0o644)?;
        // Images for containers forbid packages to start their services; a real machine starts them.
        disk.hide("/usr/sbin/policy-rc.d")?;
        kind.install(&self.folder, &disk)?;
        ssh::install_server(&disk, authorized_key)
    }

    /// Lets the host see the binaries under test, from when it is next powered on.
    pub fn carry_binaries(&self, folder: &Path) -> Result<()> {
        Ok(fs::write(self.folder.join("binaries"), folder.to_string_lossy().as_bytes())?)
    }

    /// Starts the host on its disk and returns when its sshd answers.
    pub fn power_on(&self) -> Result<()> {
        ensure!(!self.is_on(), "{} is on already", self.name);
        let link = self.link();
        link.plug(self.address())?;
        let binaries = fs::read_to_string(self.folder.join("binaries")).unwrap_or_default();
        let log = File::create(self.boot_log())?;
        let mut command = Command::new("sh");
        command.args(["-c", self.kind().boot_script(), "boot"]).arg(&self.folder);
        command.args([&self.name, &link.namespace, &binaries]);
        command.env_clear().env("PATH", PATH);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let network = File::open(Path::new("/run/netns").join(&link.namespace))?;
        let first = namespaces::found(command, network).context("could not make the namespaces of a host")?;
        self.await_ssh(first.id())
    }

    /// Takes the power away: the line goes dead, then all processes are gone at once, nothing is told to anyone.
    pub fn power_off(&self) -> Result<()> {
        let first = self.first()?;
        self.link().unplug()?;
        // SAFETY: kill takes two integers.
        unsafe { libc::kill(first as i32, libc::SIGKILL) };
        stage::reap(first as i32);
        while self.is_on() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub fn is_on(&self) -> bool {
        self.first().is_ok()
    }

    /// The pid, on this machine, of the process that is 1 on the host.
    pub fn init(&self) -> Result<u32> {
        let first = self.first()?;
        match self.kind() {
            Kind::Plain | Kind::Pi => Ok(first),
            Kind::Systemd => {
                namespaces::founded_by(first).with_context(|| format!("{} is only starting", self.name))
            }
        }
    }

    /// The process that made the host's namespaces, and whose end is the host's.
    fn first(&self) -> Result<u32> {
        let off = || format!("{} is off", self.name);
        let recorded = fs::read_to_string(self.folder.join("init")).with_context(off)?;
        let pid = recorded.split(' ').next().and_then(|pid| pid.parse().ok()).with_context(off)?;
        ensure!(stage::identity(pid).is_ok_and(|now| now == recorded.trim_end()), off());
        Ok(pid)
    }

    /// Runs a script as root on the host, not over the network: works while the link is cut.
    pub fn run(&self, script: &str) -> Result<String> {
        let output = self.try_run(script)?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "on {}: `{script}`: {}\n{stdout}{stderr}", self.name, output.status);
        Ok(stdout)
    }

    /// As [`Host::run`], for scripts that may fail.
    pub fn try_run(&self, script: &str) -> Result<Output> {
        let mut command = self.command("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(self.spawn(command)?.wait_with_output()?)
    }

    /// A command with the environment of a login; start it with [`Host::spawn`].
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", PATH).env("HOME", "/root").env("LANG", "C.UTF-8").current_dir("/");
        command.stdin(Stdio::null());
        command
    }

    /// Starts a command on the host. The child is the command itself, so that it can be killed.
    pub fn spawn(&self, command: Command) -> Result<std::process::Child> {
        namespaces::enter(command, self.init()?).with_context(|| format!("could not run on {}", self.name))
    }

    /// The path by which this machine sees a file of the running host.
    pub fn path(&self, path: &str) -> Result<PathBuf> {
        Ok(PathBuf::from(format!("/proc/{}/root", self.init()?)).join(path.trim_start_matches('/')))
    }

    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let file = self.path(path)?;
        fs::create_dir_all(file.parent().context("a file has a folder")?)?;
        fs::write(&file, content).with_context(|| format!("could not write {path} on {}", self.name))
    }

    pub fn read(&self, path: &str) -> Result<String> {
        let file = self.path(path)?;
        fs::read_to_string(file).with_context(|| format!("could not read {path} on {}", self.name))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).is_ok_and(|file| file.symlink_metadata().is_ok())
    }

    /// The command lines of all processes on the host, by their pid there.
    pub fn processes(&self) -> Result<Vec<(u32, String)>> {
        let listed = self.run("ps -e -o pid= -o args=")?;
        let parse = |line: &str| {
            let (pid, command) = line.trim_start().split_once(' ')?;
            Some((pid.parse().ok()?, command.to_string()))
        };
        Ok(listed.lines().filter_map(parse).collect())
    }

    /// Leaves no byte free; what is there stays readable.
    pub fn fill_disk(&self) -> Result<()> {
        self.fill_disk_but(0)
    }

    /// Leaves just `bytes` free, so that a disk fills up in the middle of something.
    pub fn fill_disk_but(&self, bytes: u64) -> Result<()> {
        let disk = self.disk();
        // What is written meanwhile makes the size too small for what is in use; then it is asked again.
        let mut answer = Ok(());
        for _ in 0..20 {
            answer = disk.resize(disk.used()? + bytes);
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    pub fn free_disk(&self) -> Result<()> {
        self.disk().resize(self.disk().used()? + crate::fleet::DISK)
    }

    /// Makes every folder but /run, /proc, /dev and /sys read-only, as a worn-out SD card does. Files that are
    /// open for writing can still be written.
    pub fn read_only(&self) -> Result<()> {
        let freeze = "for d in etc home opt root srv tmp usr var; do \
            mount --bind /$d /$d && mount -o remount,bind,ro /$d; done";
        self.run(freeze).map(drop)
    }

    pub fn writable(&self) -> Result<()> {
        self.run("for d in etc home opt root srv tmp usr var; do umount -l /$d; done").map(drop)
    }

    /// Gives the host a new ssh key, as a reinstalled machine has, and restarts its sshd by a power cycle.
    pub fn change_host_key(&self) -> Result<()> {
        self.power_off()?;
        ssh::make_key(&self.disk().upper("/etc/ssh/ssh_host_ed25519_key"))?;
        self.power_on()
    }

    pub fn cut(&self) -> Result<()> {
        self.link().cut()
    }

    /// Undoes [`Host::cut`], [`Host::drop_share`], [`Host::narrow`], [`Host::delay`] and [`Host::block_port`].
    pub fn heal(&self) -> Result<()> {
        self.link().heal()?;
        self.run(link::CLEAR_RULES).map(drop)
    }

    /// Loses so many percent of the packets, in both directions.
    pub fn drop_share(&self, percent: u8) -> Result<()> {
        self.run(&link::drop_rules(percent)).map(drop)
    }

    /// Limits the line, e.g. to `1mbit`, in both directions.
    pub fn narrow(&self, rate: &str) -> Result<()> {
        self.link().narrow(rate)?;
        self.run(&link::limit("eth0", rate)).map(drop)
    }

    /// Adds so many milliseconds to each way of every TCP connection that reaches the host, until it is healed.
    pub fn delay(&self, milliseconds: u64) -> Result<()> {
        let network = File::open(Path::new("/run/netns").join(self.link().namespace))?;
        let port = delay::forward(network, Duration::from_millis(milliseconds))?;
        self.run(&link::redirect_rules(port)).map(drop)
    }

    /// Closes one TCP port to the outside, as a firewall does, so that only ssh remains.
    pub fn block_port(&self, port: u16, refusal: Refusal) -> Result<()> {
        self.run(&link::block_rules(port, refusal)).map(drop)
    }

    /// What the host said while booting, and what its sshd says.
    pub fn boot_log(&self) -> PathBuf {
        self.folder.join("boot.log")
    }

    fn await_ssh(&self, first: u32) -> Result<()> {
        let deadline = Instant::now() + BOOT_DEADLINE;
        while !answers_ssh(self.address()) {
            let ended = !Path::new(&format!("/proc/{first}/root/proc")).exists();
            if Instant::now() > deadline || ended {
                let log = fs::read_to_string(self.boot_log()).unwrap_or_default();
                bail!("{} did not start:\n{log}", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// The machine's name servers; a stub on its loopback cannot be reached from a host.
fn name_servers() -> String {
    let read = |path| fs::read_to_string(path).ok();
    read("/run/systemd/resolve/resolv.conf").or_else(|| read("/etc/resolv.conf")).unwrap_or_default()
}

fn answers_ssh(address: Ipv4Addr) -> bool {
    let greet = || -> std::io::Result<bool> {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from((address, 22)), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut banner = [0; 4];
        stream.read_exact(&mut banner)?;
        // Ends the conversation in words, so that sshd does not log a broken one.
        stream.write_all(b"SSH-2.0-ready\r\n")?;
        Ok(&banner == b"SSH-")
    };
    greet().unwrap_or(false)
}
