//! The apt step with a package manager made of files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::APT;

/// Knows `installed`, one package a line; a broker brings a unit.
const DPKG_QUERY: &str = r#"#!/bin/sh
case "$*" in
*Status*) for name; do :; done; grep -qx "$name" "$HOME/installed" && echo installed ;;
*source*broker*) echo broker ;;
*'${Package} ${source'*) sed 's/.*/& &/' "$HOME/installed" ;;
*) cat "$HOME/installed" ;;
esac
"#;
const DPKG: &str = "#!/bin/sh\n[ $1 = -L ] && echo /lib/systemd/system/$2.service\n";
/// Dies right after it has installed, if it is to.
const APT_GET: &str = r#"#!/bin/sh
for name; do :; done
echo "$name" >>"$HOME/installed"
echo "$name.service" >>"$HOME/enabled"
if [ -e "$HOME/power_cut" ]; then rm "$HOME/power_cut"; kill -9 $PPID; fi
"#;
const SYSTEMCTL: &str = r#"#!/bin/sh
for name; do :; done
grep -vx "$name" "$HOME/enabled" >"$HOME/still"; mv "$HOME/still" "$HOME/enabled"
"#;

#[test]
fn a_service_is_disabled_also_when_the_installation_was_cut_short_before() {
    let home = tempfile::tempdir().expect("tempdir");
    let bin = home.path().join("bin");
    fs::create_dir(&bin).expect("made");
    let id = "#!/bin/sh\necho 0\n";
    for (name, script) in [
        ("dpkg-query", DPKG_QUERY),
        ("dpkg", DPKG),
        ("apt-get", APT_GET),
        ("systemctl", SYSTEMCTL),
        ("id", id),
    ] {
        fs::write(bin.join(name), script).expect("written");
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("executable");
    }
    fs::write(home.path().join("installed"), "ssh\n").expect("written");
    fs::write(home.path().join("enabled"), "ssh.service\n").expect("written");
    fs::write(home.path().join("power_cut"), "").expect("written");

    assert!(!install(home.path(), "broker"), "the power was cut");
    assert_eq!(read(home.path(), "enabled"), "ssh.service\nbroker.service\n");
    assert!(install(home.path(), "broker"));
    assert_eq!(read(home.path(), "enabled"), "ssh.service\n", "what was there before is left alone");

    // Somebody enables it: that is theirs to decide, once it is installed.
    fs::write(home.path().join("enabled"), "broker.service\n").expect("written");
    assert!(install(home.path(), "broker"));
    assert_eq!(read(home.path(), "enabled"), "broker.service\n");
    let left = fs::read_dir(home.path().join("release")).expect("list").count();
    assert_eq!(left, 0, "nothing lies around in the release");
}

fn install(home: &Path, package: &str) -> bool {
    let release = home.join("release");
    fs::create_dir_all(&release).expect("made");
    let policy = home.join("policy-rc.d");
    let script = APT.replace("/usr/sbin/policy-rc.d", &policy.to_string_lossy());
    let path = format!("{}:/usr/bin:/bin", home.join("bin").display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script, "orchestrator", package]).env_clear().env("PATH", path).env("HOME", home);
    shell.current_dir(release).status().expect("a shell").success()
}

fn read(home: &Path, name: &str) -> String {
    fs::read_to_string(home.join(name)).expect("there")
}
