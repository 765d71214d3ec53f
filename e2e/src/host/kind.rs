//! The kinds of machines a host can be: how each starts, and what must be on its disk for that.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::host::{Disk, pi};

const SSHD: &str = concat!(include_str!("begin.sh"), include_str!("sshd.sh"));
const SYSTEMD: &str = concat!(include_str!("begin.sh"), include_str!("systemd.sh"));

/// What is enabled on this machine, and not to start on a host.
const ENABLED: [&str; 8] = [
    "/etc/systemd/system",
    "/etc/rc0.d",
    "/etc/rc2.d",
    "/etc/rc3.d",
    "/etc/rc4.d",
    "/etc/rc5.d",
    "/etc/rc6.d",
    "/etc/rcS.d",
];
/// What nothing needs that is tested here; each takes its time at boot.
const MASKED: [&str; 4] =
    ["console-getty.service", "getty.target", "systemd-logind.service", "systemd-update-utmp.service"];

/// What kind of machine a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its first process is sshd; nothing starts services at boot but `/etc/rc.local`.
    Plain,
    /// It boots a real systemd.
    Systemd,
    /// As far as a login can tell, a 64-bit Raspberry Pi: see [`pi`].
    Pi,
}

impl Kind {
    /// Reads what [`Kind::install`] wrote into a host's folder.
    pub(super) fn of(folder: &Path) -> Kind {
        match fs::read_to_string(folder.join("kind")).as_deref() {
            Ok("systemd") => Kind::Systemd,
            Ok("pi") => Kind::Pi,
            Ok(_) | Err(_) => Kind::Plain,
        }
    }

    /// Puts on the disk what the kind needs.
    pub(super) fn install(self, folder: &Path, disk: &Disk) -> Result<()> {
        let word = match self {
            Kind::Plain => "plain",
            Kind::Systemd => "systemd",
            Kind::Pi => "pi",
        };
        fs::write(folder.join("kind"), word)?;
        match self {
            Kind::Plain => Ok(()),
            Kind::Systemd => install_systemd(disk),
            Kind::Pi => pi::install(disk),
        }
    }

    /// The script that the first process runs.
    pub(super) fn boot_script(self) -> &'static str {
        match self {
            Kind::Plain | Kind::Pi => SSHD,
            Kind::Systemd => SYSTEMD,
        }
    }
}

fn install_systemd(disk: &Disk) -> Result<()> {
    let tool = Path::new("/usr/bin/systemd-nspawn");
    ensure!(tool.exists(), "{} is missing: install systemd-container (scripts/setup --test)", tool.display());
    for folder in ENABLED {
        disk.cover(folder, 0o755)?;
    }
    // Nothing of this machine's is there to be mounted.
    disk.write("/etc/fstab", "", 0o644)?;
    for unit in MASKED {
        link(disk, "/dev/null", &format!("/etc/systemd/system/{unit}"))?;
    }
    let units = "/lib/systemd/system";
    link(disk, &format!("{units}/multi-user.target"), "/etc/systemd/system/default.target")?;
    link(disk, &format!("{units}/ssh.service"), "/etc/systemd/system/multi-user.target.wants/ssh.service")
}

fn link(disk: &Disk, target: &str, path: &str) -> Result<()> {
    let place = disk.upper(path);
    fs::create_dir_all(place.parent().context("a link has a folder")?)?;
    symlink(target, &place).with_context(|| format!("could not link {path} of a host"))
}
