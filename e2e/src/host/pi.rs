//! A Raspberry Pi without one: `sh`, `uname` and `busybox` of the host are programs for aarch64, which the kernel
//! hands to qemu, as it does with every other such program on the host. What is not asked for its architecture
//! (sshd, `ps`, …) stays what the machine has.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::host::{Disk, sh};
use crate::orchestrator::repository;

const QEMU: &str = "/usr/bin/qemu-aarch64-static";
/// A 64-bit little-endian ELF file, executable or shared, for machine 0xb7; the mask ignores what may differ.
const MAGIC: &str = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
const MASK: &str = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";

/// Lets the kernel run programs for aarch64 until the stage is struck. That holds for this whole machine: the
/// kernel has one list for all namespaces that share their users.
pub(crate) fn emulate(stage: &Path, slot: u8) -> Result<()> {
    ensure!(Path::new(QEMU).exists(), "{QEMU} is missing: install qemu-user-static (scripts/setup --pi)");
    let list = stage.join("binfmt");
    fs::create_dir_all(&list)?;
    let list = list.display();
    // How to take it back is written first: the strike runs it.
    let undo = format!("echo -1 >{list}/oe{slot}\numount {list}\n");
    fs::write(stage.join("emulation"), undo)?;
    // `F` opens qemu now, so that it need not be found in a host; `P` keeps argv[0], by which busybox knows what
    // it is to be.
    let entry = format!(":oe{slot}:M::{MAGIC}:{MASK}:{QEMU}:FP");
    sh(&format!("mount -t binfmt_misc binfmt_misc {list} && printf %s '{entry}' >{list}/register"))
        .context("the kernel does not let programs for aarch64 be emulated (binfmt_misc)")
}

/// Puts the programs for aarch64 in place of the machine's own.
pub(super) fn install(disk: &Disk) -> Result<()> {
    let busybox = repository().join("target/pi/bin/busybox");
    let program = fs::read(&busybox)
        .with_context(|| format!("{} is missing: run `scripts/setup --pi`", busybox.display()))?;
    for name in ["busybox", "sh", "uname"] {
        let place = disk.upper("/usr/bin").join(name);
        fs::create_dir_all(disk.upper("/usr/bin"))?;
        fs::write(&place, &program)?;
        fs::set_permissions(&place, Permissions::from_mode(0o755))?;
    }
    Ok(())
}
