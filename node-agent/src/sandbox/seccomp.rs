//! The seccomp filter: what a program of a step may not ask of the kernel, whatever its rights.
//!
//! It is a list of what is refused, as a step may run any program of the system and an allow-list breaks with each new
//! C library. What makes such lists leak is closed: calls newer than this list do not exist, and calls in the
//! numbering of another architecture end the process.

use libc::{c_long, sock_filter};

use self::table::{REFUSED, Rule};

mod table;

/// Which sockets may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sockets {
    /// None that leads off the machine: the network is cut by this filter.
    Local,
    /// Those of a network namespace without a way out.
    Namespace,
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Where the fields of `seccomp_data` lie.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

/// `mseal`: the last call that was weighed for this list.
const LAST_KNOWN: u32 = 462;

#[cfg(target_arch = "x86_64")]
const OWN_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const OWN_ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "arm")]
const OWN_ARCH: u32 = 0x4000_0028;

/// The filter as the kernel takes it.
#[derive(Debug, Clone)]
pub struct Filter(Vec<sock_filter>);

impl Filter {
    /// `agent` is the process that must not be signalled, even by its own user.
    pub fn new(sockets: Sockets, agent: i32) -> Self {
        let mut filter = Self(Vec::with_capacity(320));
        filter.check_arch();
        for rule in REFUSED {
            filter.add(rule);
        }
        filter.spare(agent);
        filter.add(&Rule::Only { call: libc::SYS_socket, argument: 0, values: sockets.families() });
        filter.put(RETURN, libc::SECCOMP_RET_ALLOW);
        filter
    }

    /// As bytes, for a launcher that loads it itself.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 8);
        for step in &self.0 {
            bytes.extend(step.code.to_ne_bytes());
            bytes.extend([step.jt, step.jf]);
            bytes.extend(step.k.to_ne_bytes());
        }
        bytes
    }

    /// Puts the calling process under the filter, for good.
    ///
    /// # Safety
    /// For a forked child: it only makes a system call. `no_new_privs` must be set.
    pub unsafe fn load(&self) -> i32 {
        let program = libc::sock_fprog { len: self.0.len() as u16, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: the program and its steps are valid for the call.
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) }
    }

    fn check_arch(&mut self) {
        self.put(LOAD, ARCH);
        self.jump(EQUAL, OWN_ARCH, 1, 0);
        self.put(RETURN, libc::SECCOMP_RET_KILL_PROCESS);
        self.put(LOAD, NUMBER);
        if cfg!(target_arch = "x86_64") {
            // The x32 numbering, which would slip past the list.
            self.jump(LEAST, 0x4000_0000, 0, 1);
            self.put(RETURN, libc::SECCOMP_RET_KILL_PROCESS);
        }
        if cfg!(target_arch = "arm") {
            // The few calls of the C library that only this architecture has.
            self.jump(LEAST, 0x000f_0000, 0, 1);
            self.put(RETURN, libc::SECCOMP_RET_ALLOW);
        }
        self.jump(LEAST, LAST_KNOWN + 1, 0, 1);
        self.put(RETURN, refuse(libc::ENOSYS));
    }

    /// The agent, its group, and everybody at once.
    fn spare(&mut self, agent: i32) {
        let values = [agent.cast_unsigned(), (-agent).cast_unsigned(), (-1i32).cast_unsigned()];
        for call in [libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo] {
            self.compare(call, 0, &values, refuse(libc::EPERM), libc::SECCOMP_RET_ALLOW);
        }
    }

    /// Each rule decides for its call, so that the number need not be loaded again.
    fn add(&mut self, rule: &Rule) {
        let (no, yes) = (refuse(libc::EPERM), libc::SECCOMP_RET_ALLOW);
        match *rule {
            Rule::Never(call) => self.decide(call, no),
            Rule::Missing(call) => self.decide(call, refuse(libc::ENOSYS)),
            Rule::WithoutBits { call, argument, bits } => {
                self.jump(EQUAL, number(call), 0, 4);
                self.put(LOAD, ARGUMENTS + 8 * argument);
                self.jump(ANY_BIT, bits, 0, 1);
                self.put(RETURN, no);
                self.put(RETURN, yes);
            }
            Rule::Unless { call, argument, values } => self.compare(call, argument, values, no, yes),
            Rule::Only { call, argument, values } => self.compare(call, argument, values, yes, no),
        }
    }

    fn decide(&mut self, call: c_long, verdict: u32) {
        self.jump(EQUAL, number(call), 0, 1);
        self.put(RETURN, verdict);
    }

    /// One verdict where the argument's low half is one of the values, the other where it is none.
    fn compare(&mut self, call: c_long, argument: u32, values: &[u32], among: u32, otherwise: u32) {
        let count = u8::try_from(values.len()).expect("a handful of values");
        self.jump(EQUAL, number(call), 0, count + 3);
        self.put(LOAD, ARGUMENTS + 8 * argument);
        for (left, value) in (1..=count).rev().zip(values) {
            self.jump(EQUAL, *value, left, 0);
        }
        self.put(RETURN, otherwise);
        self.put(RETURN, among);
    }

    fn put(&mut self, code: u16, k: u32) {
        self.0.push(sock_filter { code, jt: 0, jf: 0, k });
    }

    fn jump(&mut self, code: u16, k: u32, jt: u8, jf: u8) {
        self.0.push(sock_filter { code, jt, jf, k });
    }
}

impl Sockets {
    fn families(self) -> &'static [u32] {
        const UNIX: u32 = libc::AF_UNIX as u32;
        match self {
            Sockets::Local => &[UNIX],
            // Not those that reach past a namespace: the host of a virtual machine, the kernel's ciphers, Bluetooth.
            Sockets::Namespace => {
                &[UNIX, libc::AF_INET as u32, libc::AF_INET6 as u32, libc::AF_NETLINK as u32]
            }
        }
    }
}

fn refuse(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).expect("system calls are small numbers")
}

#[cfg(test)]
mod tests;
