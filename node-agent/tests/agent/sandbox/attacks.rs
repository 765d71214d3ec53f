//! What a hostile program tries from inside. It is this very binary, started in the sandbox by the tests.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

/// Each line that it prints is a name and how that went; the tests read them.
pub fn try_all() {
    let data = env("ATTACK_DATA");
    let agent: i32 = env("ATTACK_AGENT").parse().expect("a pid");
    let key = format!("{data}/identity");
    say("reads the agent's key", fs::read_dir(&key).map(drop));
    let link = symlink(&key, "link").and_then(|()| fs::read_dir("link")).map(drop);
    say("reads the key through a link", link);
    say("writes into the agent's folder", write(&format!("{data}/canary")));
    say("writes into /etc", write("/etc/orchestrator-canary"));
    let out = symlink("/etc/orchestrator-canary", "out").and_then(|()| write("out"));
    say("writes out through a link", out);
    say("reads the environment of init", reads_init());
    say("reads the agent's memory", read(&format!("/proc/{agent}/mem")));
    say("reads the agent's environment", read(&format!("/proc/{agent}/environ")));
    say("goes in by the agent's root", fs::read_dir(format!("/proc/{agent}/root/")).map(drop));
    say("kills the agent", call(|| i64::from(unsafe_kill(agent))));
    say("connects to this machine", connect(&env("ATTACK_LISTENER")));
    say("connects to the internet", connect("1.1.1.1:443"));
    say("connects to the metadata service", connect("169.254.169.254:80"));
    say("connects to a socket of root", UnixStream::connect(env("ATTACK_SOCKET")).map(drop));
    say("becomes root by a setuid program", setuid(&env("ATTACK_SETUID")));
    say("dumps core", dumps_core());
    for (name, number) in CALLS {
        // SAFETY: all arguments are nothing; what is refused reads none of them.
        say(name, call(|| unsafe { libc::syscall(*number, 0, 0, 0, 0, 0, 0) }));
    }
    // SAFETY: plain numbers.
    say("ptrace", call(|| unsafe { libc::ptrace(libc::PTRACE_ATTACH, agent, 0, 0) }));
    let many = fs::read_dir("/proc/self/fd").expect("readable").count();
    say("has descriptors of the agent", if many > 4 { Ok(()) } else { Err(io::Error::other("no")) });
    let leaked = std::env::var("ATTACK_SECRET").map_err(io::Error::other).map(drop);
    say("has variables of the agent", leaked);
    println!("done");
}

/// With arguments of nothing: those that would do something are refused before they look at them.
const CALLS: &[(&str, libc::c_long)] = &[
    ("mount", libc::SYS_mount),
    ("umount2", libc::SYS_umount2),
    ("pivot_root", libc::SYS_pivot_root),
    ("chroot", libc::SYS_chroot),
    ("kexec_load", libc::SYS_kexec_load),
    ("init_module", libc::SYS_init_module),
    ("bpf", libc::SYS_bpf),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("keyctl", libc::SYS_keyctl),
    ("add_key", libc::SYS_add_key),
    ("request_key", libc::SYS_request_key),
    ("unshare", libc::SYS_unshare),
    ("setns", libc::SYS_setns),
    ("clone3", libc::SYS_clone3),
    ("swapon", libc::SYS_swapon),
    ("reboot", libc::SYS_reboot),
    ("settimeofday", libc::SYS_settimeofday),
    ("clock_settime", libc::SYS_clock_settime),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("process_vm_readv", libc::SYS_process_vm_readv),
    ("process_vm_writev", libc::SYS_process_vm_writev),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("acct", libc::SYS_acct),
    ("quotactl", libc::SYS_quotactl),
];

/// What ends only with the sandbox that it is in.
pub fn go(attack: &str) {
    match attack {
        "fork bomb" => loop {
            // SAFETY: all do the same, for as long as they are let.
            unsafe { libc::fork() };
        },
        "memory bomb" => take_memory(),
        "disk bomb" => fill_disk(),
        "big file" => {
            let mut file = fs::File::create("big").expect("its own folder");
            while file.write_all(&[1; 1 << 20]).is_ok() {}
        }
        "daemon" => daemon(),
        "way out" => go_out(),
        other => panic!("{other} is no attack"),
    }
}

/// Shared, as a limit on a process's own data does not count it.
fn take_memory() {
    const ALL: usize = 2 << 30;
    // SAFETY: the mapping is as long as what is written to.
    unsafe {
        let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let taken = libc::mmap(std::ptr::null_mut(), ALL, rights, kind, -1, 0);
        assert!(taken != libc::MAP_FAILED);
        for place in (0..ALL).step_by(4096) {
            taken.cast::<u8>().add(place).write_volatile(1);
            // As slow as a small machine, so that a watchdog has its chance there as here.
            if place.is_multiple_of(1 << 20) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    println!("it took all");
}

/// By the proxy to whom it is let, and not by it, nor around it, to anybody else.
fn go_out() {
    let (port, other) = (env("ATTACK_PORT"), env("ATTACK_OTHER"));
    for target in [format!("localhost:{port}"), format!("127.0.0.1:{other}"), "169.254.169.254:80".to_owned()]
    {
        println!("{target}: {}", connect_by_proxy(&target));
    }
    say("around the proxy", connect(&format!("127.0.0.1:{port}")));
    say("around the proxy to the internet", connect("1.1.1.1:443"));
}

fn connect_by_proxy(target: &str) -> String {
    let proxy = env("https_proxy");
    let proxy = proxy.strip_prefix("http://").expect("a proxy");
    let mut stream = TcpStream::connect(proxy).expect("the proxy is there");
    write!(stream, "CONNECT {target} HTTP/1.1\r\n\r\nhello").expect("written");
    stream.shutdown(std::net::Shutdown::Write).expect("shut down");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    answer.replace("\r\n", " ")
}

fn fill_disk() {
    for number in 0.. {
        fs::write(format!("part{number}"), vec![1; 8 << 20]).expect("its own folder");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Leaves its session and its parent, forgets its environment, ignores what can be ignored, and stays.
fn daemon() {
    // SAFETY: both children only call the system.
    unsafe {
        if libc::fork() == 0 {
            libc::setsid();
            if libc::fork() == 0 {
                for signal in 1..=31 {
                    libc::signal(signal, libc::SIG_IGN);
                }
                let program = std::ffi::CString::new("/bin/sleep").expect("no NUL");
                let argv = [program.as_ptr(), c"7654321".as_ptr(), std::ptr::null()];
                libc::execve(program.as_ptr(), argv.as_ptr(), [std::ptr::null()].as_ptr());
            }
            libc::_exit(0);
        }
    }
}

fn say(name: &str, tried: io::Result<()>) {
    match tried {
        Ok(()) => println!("{name}: GOT THROUGH"),
        Err(error) => println!("{name}: stopped ({error})"),
    }
}

fn call(call: impl FnOnce() -> i64) -> io::Result<()> {
    if call() >= 0 { Ok(()) } else { refused(io::Error::last_os_error()) }
}

/// Any other error means that the kernel looked at what was asked.
fn refused(error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::ENOSYS | libc::ESRCH | libc::EACCES) => Err(error),
        _ => Ok(()),
    }
}

fn unsafe_kill(pid: i32) -> i32 {
    // SAFETY: plain numbers.
    unsafe { libc::kill(pid, libc::SIGKILL) }
}

/// In a process namespace of its own, the first process is of the sandbox, too.
fn reads_init() -> io::Result<()> {
    let environ = fs::read("/proc/1/environ")?;
    match String::from_utf8_lossy(&environ).contains("ATTACK_DATA=") {
        true => Err(io::Error::other("that is its own")),
        false => Ok(()),
    }
}

fn read(path: &str) -> io::Result<()> {
    fs::File::open(path).map(drop)
}

fn write(path: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path).map(drop)
}

fn connect(address: &str) -> io::Result<()> {
    let address: SocketAddr = address.parse().expect("an address");
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).map(drop)
}

fn setuid(program: &str) -> io::Result<()> {
    let output = Command::new(program).arg("-u").output()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "0" => Ok(()),
        other => Err(io::Error::other(format!("still {other}"))),
    }
}

fn dumps_core() -> io::Result<()> {
    let status = Command::new("/bin/sh").args(["-c", "kill -ABRT $$"]).status()?;
    if status.core_dumped() { Ok(()) } else { Err(io::Error::other("no core")) }
}

fn env(name: &str) -> String {
    std::env::var(name).expect(name)
}
