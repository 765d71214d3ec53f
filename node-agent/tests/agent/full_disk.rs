//! The disk runs full, and gets room again. Needs root, to mount a small file system; without, it says so.

use std::process::Command;

use proto::v1::Phase;
use tempfile::TempDir;

use crate::node::{Node, apply, node_spec, signal, until, wait, wait_phase};
use crate::package::{HEALTHY, SLEEP, package, spec};

#[tokio::test]
async fn a_full_disk_is_named_the_old_release_runs_on_and_all_goes_well_once_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not root: no small file system to fill");
        return;
    };
    let mut node = Node::enrolled_in(tempfile::tempdir_in(disk.dir.path()).expect("a folder"));
    node.run();
    let mut client = node.client().await;
    let (old, new) = (package("1", &[SLEEP, HEALTHY]), package("2", &[SLEEP, HEALTHY]));
    node.receive(&old);
    apply(&mut client, 1, &[spec(&old, 1)]).await;
    let mut pid = wait_phase(&mut client, Phase::Running, 1).await.pid;

    // The upload is refused with a reason and leaves nothing.
    disk.fill();
    let size = new.bytes.len().to_string();
    let refused = node.call(&["receive", "--digest", &new.digest, "--size", &size], &new.bytes);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(stderr.contains("No space left") && stderr.contains("hint:"), "{stderr}");
    assert_eq!(std::fs::read_dir(node.path("releases")).expect("list").count(), 1);

    // So is a spec; the old one stays in force.
    let spec_2 = node_spec(2, &[spec(&new, 2)]);
    let refused = client.apply(proto::v1::ApplyRequest { spec: Some(spec_2) }).await.expect_err("full");
    assert!(refused.message().contains("No space left"), "{refused}");

    // What crashes is started again all the same, also by another agent.
    signal(pid, libc::SIGKILL);
    pid = wait(&mut client, "again", |now| now.phase() == Phase::Running && now.pid != pid).await.pid;
    node.kill();
    node.run();
    client = node.client().await;
    assert_eq!(wait_phase(&mut client, Phase::Running, 1).await.pid, pid);

    // Room for the upload and the spec, but not for the instance: the old one runs on meanwhile.
    disk.free();
    node.receive(&new);
    let mut wish = spec(&new, 2);
    disk.fill_but(100 << 10);
    wish.install = Vec::new();
    apply(&mut client, 2, &[wish]).await;
    disk.fill();
    disk.free();
    wait_phase(&mut client, Phase::Running, 2).await;
}

/// A file system of 8 MB of its own.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(dir.path());
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        is_mounted.then_some(Self { dir })
    }

    fn fill(&self) {
        let path = self.dir.path().join("ballast");
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("opened");
        let block = [0u8; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    fn fill_but(&self, room: u64) {
        self.fill();
        let path = self.dir.path().join("ballast");
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("opened");
        let size = file.metadata().expect("a size").len();
        file.set_len(size - room).expect("cut");
    }

    /// Waits for the room too: the kernel may give the blocks of a removed file back a moment after it is gone.
    fn free(&self) {
        let path = self.dir.path().join("ballast");
        let size = std::fs::metadata(&path).expect("a size").len();
        std::fs::remove_file(path).expect("removed");
        until("the disk has room", || {
            let disk = rustix::fs::statvfs(self.dir.path()).expect("a file system");
            disk.f_bavail * disk.f_frsize >= size
        });
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}
