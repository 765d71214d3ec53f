//! The filter is run here as the kernel runs it, call by call.

use super::*;

const AGENT: i32 = 4242;

#[test]
fn what_reaches_beyond_the_program_is_refused_and_the_rest_is_not() {
    let cases: &[(&str, c_long, [u32; 3], &str)] = &[
        ("ptrace", libc::SYS_ptrace, [0; 3], "EPERM"),
        ("mount", libc::SYS_mount, [0; 3], "EPERM"),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0; 3], "EPERM"),
        ("clock_settime", libc::SYS_clock_settime, [0; 3], "EPERM"),
        ("unshare", libc::SYS_unshare, [0; 3], "EPERM"),
        ("clone, as fork does it", libc::SYS_clone, [17, 0, 0], "allow"),
        ("clone of a thread", libc::SYS_clone, [0x003d_0f00, 0, 0], "allow"),
        ("clone into a user namespace", libc::SYS_clone, [libc::CLONE_NEWUSER as u32, 0, 0], "EPERM"),
        ("clone3", libc::SYS_clone3, [0; 3], "ENOSYS"),
        ("a call that is not known yet", 463, [0; 3], "ENOSYS"),
        ("the last known call", 462, [0; 3], "allow"),
        ("kill of the agent", libc::SYS_kill, [AGENT as u32, 9, 0], "EPERM"),
        ("kill of the agent's group", libc::SYS_kill, [(-AGENT).cast_unsigned(), 9, 0], "EPERM"),
        ("kill of everybody", libc::SYS_kill, [u32::MAX, 9, 0], "EPERM"),
        ("kill of its own group", libc::SYS_kill, [0, 9, 0], "allow"),
        ("kill of another", libc::SYS_kill, [77, 9, 0], "allow"),
        ("tgkill of the agent", libc::SYS_tgkill, [AGENT as u32, AGENT as u32, 9], "EPERM"),
        ("chmod to 0755", libc::SYS_fchmod, [3, 0o755, 0], "allow"),
        ("chmod to setuid", libc::SYS_fchmod, [3, 0o4755, 0], "EPERM"),
        ("chmod to setgid", libc::SYS_fchmodat, [3, 0, 0o2755], "EPERM"),
        ("typing into a terminal", libc::SYS_ioctl, [0, 0x5412, 0], "EPERM"),
        ("asking a terminal", libc::SYS_ioctl, [0, 0x5401, 0], "allow"),
        ("its own limits", libc::SYS_prlimit64, [0; 3], "allow"),
        ("the agent's limits", libc::SYS_prlimit64, [AGENT as u32, 0, 0], "EPERM"),
        ("read", libc::SYS_read, [0; 3], "allow"),
        ("openat", libc::SYS_openat, [0; 3], "allow"),
        ("execve", libc::SYS_execve, [0; 3], "allow"),
    ];
    for (what, call, arguments, expected) in cases {
        check(Sockets::Local, *call, *arguments, what, expected);
        check(Sockets::Namespace, *call, *arguments, what, expected);
    }
}

#[test]
fn sockets_lead_nowhere_unless_a_namespace_holds_them() {
    const VSOCK: u32 = 40;
    for (family, local, namespace) in [
        (libc::AF_UNIX as u32, "allow", "allow"),
        (libc::AF_INET as u32, "EPERM", "allow"),
        (libc::AF_INET6 as u32, "EPERM", "allow"),
        (libc::AF_NETLINK as u32, "EPERM", "allow"),
        (libc::AF_PACKET as u32, "EPERM", "EPERM"),
        (libc::AF_ALG as u32, "EPERM", "EPERM"),
        (VSOCK, "EPERM", "EPERM"),
    ] {
        let what = format!("socket of family {family}");
        check(Sockets::Local, libc::SYS_socket, [family, 1, 0], &what, local);
        check(Sockets::Namespace, libc::SYS_socket, [family, 1, 0], &what, namespace);
    }
}

#[test]
fn calls_in_the_numbering_of_another_architecture_end_the_process() {
    let filter = Filter::new(Sockets::Local, AGENT);
    const I386: u32 = 0x4000_0003;
    assert_eq!(run(&filter, I386, 1, [0; 3]), "kill");
    if cfg!(target_arch = "x86_64") {
        assert_eq!(run(&filter, OWN_ARCH, 0x4000_0000 | 101, [0; 3]), "kill");
    }
}

fn check(sockets: Sockets, call: c_long, arguments: [u32; 3], what: &str, expected: &str) {
    let filter = Filter::new(sockets, AGENT);
    assert_eq!(run(&filter, OWN_ARCH, number(call), arguments), expected, "{what}");
}

/// A small machine for the few instructions that are used.
fn run(filter: &Filter, arch: u32, call: u32, arguments: [u32; 3]) -> String {
    let (mut at, mut loaded) = (0, 0);
    loop {
        let step = filter.0[at];
        at += 1;
        let jump = |is_so: bool| usize::from(if is_so { step.jt } else { step.jf });
        match step.code {
            LOAD => {
                loaded = match step.k {
                    NUMBER => call,
                    ARCH => arch,
                    place => arguments[(place as usize - 16) / 8],
                };
            }
            EQUAL => at += jump(loaded == step.k),
            LEAST => at += jump(loaded >= step.k),
            ANY_BIT => at += jump(loaded & step.k != 0),
            RETURN => return verdict(step.k),
            other => panic!("the instruction {other} is not used"),
        }
    }
}

fn verdict(code: u32) -> String {
    match code {
        libc::SECCOMP_RET_ALLOW => "allow".to_owned(),
        libc::SECCOMP_RET_KILL_PROCESS => "kill".to_owned(),
        code if code == refuse(libc::EPERM) => "EPERM".to_owned(),
        code if code == refuse(libc::ENOSYS) => "ENOSYS".to_owned(),
        other => format!("{other:x}"),
    }
}
