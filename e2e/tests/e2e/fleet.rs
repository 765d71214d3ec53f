//! The fleet itself: what the other tests rely on.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::fleet::{Fleet, Wish};
use e2e::host::{Host, Refusal};
use e2e::orchestrator::eventually;
use e2e::stage;

#[test]
fn hosts_share_nothing_but_the_network() {
    let fleet = Fleet::up(2).unwrap();
    let [a, b] = ["a", "b"].map(|name| fleet.host(name));
    assert_eq!(ssh(&fleet, "a", "hostname").unwrap(), "a\n");
    assert_eq!(ssh(&fleet, "pi@b", "id -un").unwrap(), "pi\n");
    a.run("echo mine >/etc/mine; echo mine >/var/lib/mine").unwrap();
    assert!(!b.exists("/etc/mine") && !b.exists("/var/lib/mine") && !Path::new("/etc/mine").exists());
    let differing = ["ip -o -4 addr show eth0", "cat /etc/machine-id", "cat /proc/sys/kernel/random/boot_id"];
    for command in differing {
        assert_ne!(a.run(command).unwrap(), b.run(command).unwrap(), "{command}");
    }
    let processes = a.processes().unwrap();
    assert!(processes.iter().any(|(pid, command)| *pid == 1 && command.contains("sshd")), "{processes:?}");
    assert!(processes.len() < 6, "only its own: {processes:?}");
    a.run("bash -c '</dev/tcp/b/22'").unwrap();
}

#[test]
fn hosts_have_what_a_debian_machine_has() {
    let fleet = Fleet::up(1).unwrap();
    let a = fleet.host("a");
    a.run("test -d /sys/fs/cgroup && test -c /dev/null && test -w /dev/shm && test -d /proc/1").unwrap();
    a.run("head -c 4 /dev/urandom >/dev/null; script -qec 'test -t 1' /dev/null").unwrap();
    a.run("test \"$(stat -c %a /tmp)\" = 1777 && test -z \"$(ls -A /tmp)$(ls -A /mnt)\"").unwrap();
    a.run("test ! -e /run/systemd/system && test -z \"$(ls -A /run/netns 2>/dev/null)\"").unwrap();
    assert_eq!(ssh(&fleet, "pi@a", "sudo -n id -un").unwrap(), "root\n");
}

#[test]
fn a_cut_host_is_unreachable_until_it_heals() {
    let fleet = Fleet::up(1).unwrap();
    let a = fleet.host("a");
    a.cut().unwrap();
    assert!(!connects(a, 22));
    assert_eq!(a.run("hostname").unwrap(), "a\n", "it still runs");
    a.heal().unwrap();
    eventually("reachable again", Duration::from_secs(5), || connects(a, 22));
}

#[test]
fn power_loss_ends_processes_and_keeps_files() {
    let fleet = Fleet::up(1).unwrap();
    let a = fleet.host("a");
    let boot = a.read("/proc/sys/kernel/random/boot_id").unwrap();
    a.run("echo kept >/var/lib/kept; echo lost >/run/lost").unwrap();
    a.run("setsid sleep 1000 >/dev/null 2>&1 &").unwrap();
    a.write("/etc/rc.local", "#!/bin/sh\ntouch /run/started-by-rc-local\n").unwrap();
    a.run("chmod +x /etc/rc.local").unwrap();
    let gateway = || std::fs::read_to_string(format!("/sys/class/net/oe{}/address", fleet.slot())).unwrap();
    let address = gateway();
    a.power_off().unwrap();
    assert!(!a.is_on() && !connects(a, 22));
    assert_eq!(gateway(), address, "the other hosts still reach this machine");
    a.power_on().unwrap();
    assert_eq!(gateway(), address);
    assert_eq!(a.read("/var/lib/kept").unwrap(), "kept\n");
    assert!(!a.exists("/run/lost"));
    assert!(!a.processes().unwrap().iter().any(|(_, command)| command.contains("sleep")));
    assert_ne!(a.read("/proc/sys/kernel/random/boot_id").unwrap(), boot);
    eventually("rc.local has run", Duration::from_secs(5), || a.exists("/run/started-by-rc-local"));
    assert_eq!(ssh(&fleet, "a", "hostname").unwrap(), "a\n", "the host key is the same");
}

#[test]
fn a_full_disk_and_a_read_only_one_refuse_to_be_written() {
    let fleet = Fleet::up(2).unwrap();
    let [a, b] = ["a", "b"].map(|name| fleet.host(name));
    a.fill_disk_but(1 << 20).unwrap();
    let refused = a.try_run("head -c 2000000 /dev/zero >/var/lib/big").unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("No space left"), "{refused:?}");
    a.free_disk().unwrap();
    a.run("head -c 2000000 /dev/zero >/var/lib/big").unwrap();
    b.read_only().unwrap();
    let refused = b.try_run("touch /var/lib/new").unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Read-only"), "{refused:?}");
    b.writable().unwrap();
    b.run("touch /var/lib/new").unwrap();
}

#[test]
fn a_bad_line_is_slow_or_lossy_or_closed_as_asked() {
    const NARROW: Duration = Duration::from_millis(3500);
    let fleet = Fleet::up(4).unwrap();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| fleet.host(name));
    a.narrow("2mbit").unwrap();
    let took = timed(|| ssh(&fleet, "a", "head -c 1000000 /dev/zero").unwrap());
    assert!(took > NARROW, "1 MB over 2 Mbit/s in {took:?}");
    b.delay(100).unwrap();
    let took = timed(|| ssh(&fleet, "b", "true").unwrap());
    assert!(took > Duration::from_millis(800), "a handshake of several round trips in {took:?}");
    c.drop_share(100).unwrap();
    assert!(!connects(c, 22));
    d.block_port(22, Refusal::Reset).unwrap();
    assert!(is_refused(d, 22), "refused, not lost");
    for host in fleet.hosts() {
        host.heal().unwrap();
        let took = timed(|| ssh(&fleet, host.name(), "head -c 1000000 /dev/zero").unwrap());
        assert!(took < NARROW, "{} is healed, but takes {took:?}", host.name());
    }
}

#[test]
fn a_changed_host_key_is_noticed_by_ssh() {
    let fleet = Fleet::up(1).unwrap();
    fleet.host("a").change_host_key().unwrap();
    let refused = ssh(&fleet, "a", "true").unwrap_err();
    assert!(refused.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"), "{refused}");
}

#[test]
fn etcd_keeps_its_data_over_a_kill() {
    let fleet = Fleet::up(1).unwrap();
    let mut etcd = fleet.etcd().unwrap();
    let (put, range) = (r#"{"key":"aw==","value":"dg=="}"#, r#"{"key":"aw=="}"#);
    let ask = |what: &str, body: &str| {
        let endpoint = etcd.endpoint();
        fleet.host("a").run(&format!("curl -sf -m 2 http://{endpoint}/v3/kv/{what} -d '{body}'"))
    };
    ask("put", put).unwrap();
    etcd.freeze().unwrap();
    assert!(ask("range", range).is_err(), "a frozen server does not answer");
    etcd.thaw().unwrap();
    etcd.kill().unwrap();
    etcd.restart().unwrap();
    let endpoint = etcd.endpoint();
    let answer =
        fleet.host("a").run(&format!("curl -sf http://{endpoint}/v3/kv/range -d '{range}'")).unwrap();
    assert!(answer.contains(r#""value":"dg==""#), "{answer}");
}

#[test]
fn eight_hosts_start_within_seconds() {
    let took = timed(|| Fleet::up(8).map(drop).unwrap());
    // Other tests run beside this one.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn nothing_is_left_when_a_fleet_is_dropped() {
    let fleet = one_of_each().unwrap();
    let _etcd = fleet.etcd().unwrap();
    let slot = fleet.slot();
    assert!(!traces(slot).is_empty());
    drop(fleet);
    assert_eq!(traces(slot), Vec::<String>::new());
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    let (mut owner, slot) = owner();
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the guardian cleaned up", Duration::from_secs(10), || traces(slot).is_empty());
}

#[test]
fn nothing_is_left_after_a_sweep_when_the_guardian_was_killed_too() {
    let (mut owner, slot) = owner();
    let children = format!("cat /proc/{}/task/*/children", owner.id());
    let children = Command::new("sh").args(["-c", &children]).output().unwrap();
    for pid in std::str::from_utf8(&children.stdout).unwrap().split_whitespace() {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command.contains("strike") {
            Command::new("kill").args(["-9", pid]).status().unwrap();
        }
    }
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(!traces(slot).is_empty(), "nobody has cleaned up yet");
    stage::sweep().unwrap();
    assert_eq!(traces(slot), Vec::<String>::new());
}

/// Not a test of its own: the process that the two above kill.
#[test]
#[ignore = "started by other tests"]
fn makes_a_fleet_and_waits() {
    let fleet = one_of_each().unwrap();
    let _etcd = fleet.etcd().unwrap();
    println!("fleet {}", fleet.slot());
    std::thread::sleep(Duration::from_secs(600));
}

fn one_of_each() -> Result<Fleet, anyhow::Error> {
    Fleet::up_with(&Wish { systemd_hosts: 1, ..Wish::hosts(1) })
}

fn owner() -> (Child, u8) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "fleet::makes_a_fleet_and_waits", "--ignored", "--nocapture"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: String| line.strip_prefix("fleet ")?.parse().ok();
    let slot = lines.map_while(Result::ok).find_map(number).expect("it makes a fleet");
    (child, slot)
}

/// Everything on this machine that carries the number of a fleet.
fn traces(slot: u8) -> Vec<String> {
    let script = format!(
        "ls -d /run/orchestrator-e2e/{slot} 2>/dev/null; ls /run/netns 2>/dev/null | grep '^oe{slot}-'; \
         ls /sys/class/net | grep -x 'oe{slot}\\(h[0-9]*\\)\\?'; grep '/run/orchestrator-e2e/{slot}/' /proc/mounts; \
         pgrep -a 'etcd|nspawn' | grep '/{slot}/'; find /sys/fs/cgroup -maxdepth 2 -name 'oe{slot}-*'"
    );
    let found = Command::new("sh").args(["-c", &script]).output().unwrap();
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_string).collect()
}

fn ssh(fleet: &Fleet, target: &str, command: &str) -> Result<String, String> {
    let output = fleet.desk().try_run(&format!("ssh -o BatchMode=yes {target} '{command}'")).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Tries from this machine, as somebody on the same network.
fn connects(host: &Host, port: u16) -> bool {
    connect(host, port, Duration::from_millis(800)).is_ok()
}

fn is_refused(host: &Host, port: u16) -> bool {
    connect(host, port, Duration::from_secs(20))
        .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn connect(host: &Host, port: u16, limit: Duration) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((host.address(), port)), limit)
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}
