//! Reading /proc: who a process is, what it carries, which processes descend from it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use crate::runtime::sock_diag;

/// How long ago a process with this start time was started.
pub fn age(start: u64) -> Duration {
    let uptime = read_small("/proc/uptime").unwrap_or_default();
    let uptime: f64 = uptime.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0.0);
    #[expect(clippy::cast_precision_loss, reason = "ticks since boot stay far below 2^52")]
    let since = uptime - start as f64 / ticks_per_second();
    Duration::try_from_secs_f64(since).unwrap_or_default()
}

/// The fields of /proc/<pid>/stat that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub state: u8,
    pub parent: i32,
    /// User and system time, in clock ticks.
    pub cpu_ticks: u64,
    /// When it started, in clock ticks since boot: with the pid, this names a process.
    pub start: u64,
}

pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&read_small(&format!("/proc/{pid}/stat"))?)
}

impl Stat {
    /// A zombie is not: it only waits for its parent to ask how it ended.
    pub fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X')
    }
}

/// Whether this very process is there and not a zombie.
pub fn is_alive(pid: i32, start: u64) -> bool {
    stat(pid).is_some_and(|stat| stat.start == start && stat.is_alive())
}

/// Whether some process of this pid is there and not a zombie.
pub fn is_anyone(pid: i32) -> bool {
    stat(pid).is_some_and(|stat| stat.is_alive())
}

/// The command name is in parentheses and may itself hold any of ") (".
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let mut fields = fields.skip(9);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let cpu_ticks = ticks()? + ticks()?;
    let start = fields.nth(6)?.parse().ok()?;
    Some(Stat { state, parent, cpu_ticks, start })
}

/// Names this boot of the machine; pids and start times mean nothing across boots.
pub fn boot_id() -> &'static str {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID
        .get_or_init(|| read_small("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned())
}

/// All pids there are.
pub fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Resident memory in bytes.
pub fn resident(pid: i32) -> Option<u64> {
    let statm = read_small(&format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page_size())
}

/// The process and all that descend from it, as far as the kernel still knows.
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        at += 1;
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let path = task.path().join("children");
            let text = path.to_str().and_then(read_small).unwrap_or_default();
            let children = text.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok());
            for child in children {
                if !found.contains(&child) {
                    found.push(child);
                }
            }
        }
    }
    found
}

/// A process's environment, `NAME=value` and a zero byte each; none when it may not be read.
pub fn environ(pid: i32) -> Option<Vec<u8>> {
    read(&format!("/proc/{pid}/environ"), 4 << 10)
}

/// Whether all of the marks (`NAME=value`) are in the environment.
pub fn carries(environ: &[u8], marks: &[&[u8]]) -> bool {
    marks.iter().all(|mark| environ.split(|byte| *byte == 0).any(|variable| variable == *mark))
}

/// The value of a variable in the environment.
pub fn variable(environ: &[u8], name: &str) -> Option<String> {
    let value = environ
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// What a person would call the process: its command name.
pub fn name(pid: i32) -> Option<String> {
    read_small(&format!("/proc/{pid}/comm")).map(|name| name.trim().to_owned())
}

/// The process that has a socket open, by the socket's inode.
pub fn socket_owner(inode: u64) -> Option<i32> {
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    pids().find(|pid| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == wanted))
    })
}

/// A TCP socket that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    pub port: u16,
    pub inode: u64,
}

pub fn listeners() -> Vec<Listener> {
    const LISTEN: &str = "0A";
    sock_diag::listeners().unwrap_or_else(|_| sockets(&["/proc/net/tcp", "/proc/net/tcp6"], LISTEN))
}

pub fn udp_sockets() -> Vec<Listener> {
    const UNCONNECTED: &str = "07";
    sockets(&["/proc/net/udp", "/proc/net/udp6"], UNCONNECTED)
}

fn sockets(files: &[&str], state: &str) -> Vec<Listener> {
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap_or_default();
        found.extend(text.lines().skip(1).filter_map(|line| parse_socket(line, state)));
    }
    found
}

fn parse_socket(line: &str, state: &str) -> Option<Listener> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    if fields.nth(1)? != state {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Listener { port, inode })
}

/// Reads a file of /proc that is expected to be small. Names in it need not be UTF-8: the kernel cuts those of
/// programs after 15 bytes, be it inside of a character.
pub fn read_small(path: &str) -> Option<String> {
    read(path, 512).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a file of /proc whose usual size is known. Asking for its size tells nothing, and each piece of it is made anew
/// by the kernel: without the size it would be read in many small ones.
fn read(path: &str, usual: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usual);
    fs::File::open(path).ok()?.take(u64::MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

pub fn page_size() -> u64 {
    // SAFETY: sysconf has no preconditions.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

pub fn ticks_per_second() -> f64 {
    // SAFETY: sysconf has no preconditions.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    f64::from(i32::try_from(ticks).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_pid() {
        let me = i32::try_from(std::process::id()).expect("a pid");
        let stat = stat(me).expect("we run");
        assert!(is_alive(me, stat.start) && !is_alive(me, stat.start + 1));
        let odd = "7 (a) (b) S 3 7 7 0 -1 4 1 2 3 4 50 60 7 8 20 0 1 0 999 1 2";
        let expected = Stat { state: b'S', parent: 3, cpu_ticks: 110, start: 999 };
        assert_eq!(parse_stat(odd), Some(expected));
    }

    #[test]
    fn a_process_lives_whatever_its_name_is_cut_to() {
        let folder = tempfile::tempdir().expect("a folder");
        // The kernel keeps 15 bytes of a name, which ends this one inside of its last character.
        let program = folder.path().join("fourteen-bytesé");
        std::os::unix::fs::symlink("/bin/sleep", &program).expect("linked");
        let mut child = std::process::Command::new(&program).arg("1000").spawn().expect("spawned");
        let pid = i32::try_from(child.id()).expect("a pid");
        let (lives, name) = (is_anyone(pid), name(pid));
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert!(lives);
        assert_eq!(name.as_deref(), Some("fourteen-bytes\u{fffd}"));
    }

    #[test]
    fn a_listening_socket_is_found_with_its_owner() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("address").port();
        let found = listeners().into_iter().find(|listener| listener.port == port).expect("listed");
        assert_eq!(socket_owner(found.inode), i32::try_from(std::process::id()).ok());
    }
}
