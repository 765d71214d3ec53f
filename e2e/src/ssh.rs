//! Keys and configuration of ssh, for both ends: the sshd of a host and the person at the desk.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::host::{Disk, Host};

const SERVER: &str = "\
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
PidFile none
Subsystem sftp /usr/lib/openssh/sftp-server
";

/// Puts sshd's files on a disk, and the users `root` and `pi` who may log in with the key.
pub fn install_server(disk: &Disk, authorized_key: &str) -> Result<()> {
    disk.write("/etc/ssh/sshd_config", SERVER, 0o644)?;
    make_key(&disk.upper("/etc/ssh/ssh_host_ed25519_key"))?;
    disk.write("/root/.ssh/authorized_keys", authorized_key, 0o600)?;
    install_pi(disk, authorized_key)
}

/// The user that a Raspberry Pi has: not root, but sudo asks no password (where sudo is installed).
fn install_pi(disk: &Disk, authorized_key: &str) -> Result<()> {
    const ID: u32 = 31415;
    let append = |file: &str, line: String, mode| {
        let present = fs::read_to_string(file).with_context(|| format!("could not read {file}"))?;
        disk.write(file, &format!("{present}{line}\n"), mode)
    };
    append("/etc/passwd", format!("pi:x:{ID}:{ID}:Pi:/home/pi:/bin/sh"), 0o644)?;
    append("/etc/group", format!("pi:x:{ID}:"), 0o644)?;
    append("/etc/shadow", "pi:*:20000:0:99999:7:::".to_string(), 0o640)?;
    disk.write("/etc/sudoers.d/pi", "pi ALL=(ALL) NOPASSWD: ALL\n", 0o440)?;
    disk.write("/home/pi/.ssh/authorized_keys", authorized_key, 0o600)?;
    for path in ["/home/pi", "/home/pi/.ssh", "/home/pi/.ssh/authorized_keys"] {
        std::os::unix::fs::chown(disk.upper(path), Some(ID), Some(ID))?;
    }
    Ok(())
}

/// Makes a key pair in place of what is there.
pub fn make_key(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "orchestrator-e2e", "-f"]).arg(path);
    let output = command.output().context("could not run ssh-keygen: install openssh-client")?;
    ensure!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Writes a person's `.ssh` folder: a key, a config that knows the hosts by name, and their host keys.
/// `home` is where the folder will be seen by ssh.
pub fn install_client(folder: &Path, home: &str, key: &Path, hosts: &[Host]) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    fs::copy(key, folder.join("id_ed25519"))?;
    fs::copy(key.with_extension("pub"), folder.join("id_ed25519.pub"))?;
    let mut config = String::new();
    let mut known = String::new();
    for host in hosts {
        let (name, address) = (host.name(), host.address());
        config += &format!("Host {name}\n  HostName {address}\n");
        let public = fs::read_to_string(host.disk().upper("/etc/ssh/ssh_host_ed25519_key.pub"))?;
        known += &format!("{name},{address} {public}");
    }
    config += &format!(
        "Host *\n  User root\n  IdentityFile {home}/.ssh/id_ed25519\n  \
         UserKnownHostsFile {home}/.ssh/known_hosts\n"
    );
    fs::write(folder.join("config"), config)?;
    fs::write(folder.join("known_hosts"), known)?;
    Ok(())
}
