//! What is refused, by what it reaches for.

use libc::c_long;

/// What becomes of one system call. Arguments are compared by their low halves: all of these are ints.
pub enum Rule {
    Never(c_long),
    /// Programs are told that this kernel does not have it, so that they take the older way.
    Missing(c_long),
    WithoutBits {
        call: c_long,
        argument: u32,
        bits: u32,
    },
    Unless {
        call: c_long,
        argument: u32,
        values: &'static [u32],
    },
    Only {
        call: c_long,
        argument: u32,
        values: &'static [u32],
    },
}

use Rule::{Missing, Never, Only, Unless, WithoutBits};

const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;
const SETUID_OR_SETGID: u32 = 0o6000;
/// TIOCSTI, TIOCLINUX, TIOCSETD: typing into somebody else's terminal.
const TERMINAL: &[u32] = &[0x5412, 0x541c, 0x5423];

/// Everything but the sockets, which depend on how the network is cut.
pub const REFUSED: &[Rule] = &[
    // Other processes.
    Never(libc::SYS_ptrace),
    Never(libc::SYS_process_vm_readv),
    Never(libc::SYS_process_vm_writev),
    Never(libc::SYS_process_madvise),
    Never(libc::SYS_process_mrelease),
    Never(libc::SYS_pidfd_getfd),
    Never(libc::SYS_pidfd_open),
    Never(libc::SYS_pidfd_send_signal),
    Never(libc::SYS_kcmp),
    #[cfg(not(target_arch = "arm"))]
    Never(libc::SYS_migrate_pages),
    #[cfg(target_arch = "arm")]
    Never(400),
    Never(libc::SYS_move_pages),
    Never(libc::SYS_rt_tgsigqueueinfo),
    // Its own limits it may lower; a pid names somebody else's.
    Only { call: libc::SYS_prlimit64, argument: 0, values: &[0] },
    // File systems.
    Never(libc::SYS_mount),
    Never(libc::SYS_umount2),
    Never(libc::SYS_pivot_root),
    Never(libc::SYS_chroot),
    Never(libc::SYS_fsopen),
    Never(libc::SYS_fsconfig),
    Never(libc::SYS_fsmount),
    Never(libc::SYS_fspick),
    Never(libc::SYS_move_mount),
    Never(libc::SYS_open_tree),
    Never(libc::SYS_mount_setattr),
    Never(libc::SYS_open_by_handle_at),
    Never(libc::SYS_name_to_handle_at),
    Never(libc::SYS_quotactl),
    Never(libc::SYS_quotactl_fd),
    Never(libc::SYS_swapon),
    Never(libc::SYS_swapoff),
    Never(libc::SYS_acct),
    Never(libc::SYS_fanotify_init),
    // Programs that run as their owner, left behind for others to start.
    #[cfg(target_arch = "x86_64")]
    WithoutBits { call: libc::SYS_chmod, argument: 1, bits: SETUID_OR_SETGID },
    #[cfg(target_arch = "arm")]
    WithoutBits { call: libc::SYS_chmod, argument: 1, bits: SETUID_OR_SETGID },
    WithoutBits { call: libc::SYS_fchmod, argument: 1, bits: SETUID_OR_SETGID },
    WithoutBits { call: libc::SYS_fchmodat, argument: 2, bits: SETUID_OR_SETGID },
    WithoutBits { call: FCHMODAT2, argument: 2, bits: SETUID_OR_SETGID },
    // Namespaces.
    Never(libc::SYS_unshare),
    Never(libc::SYS_setns),
    WithoutBits { call: libc::SYS_clone, argument: 0, bits: NAMESPACES },
    // Its flags lie in memory, where a filter cannot look.
    Missing(libc::SYS_clone3),
    // The kernel itself.
    Never(libc::SYS_init_module),
    Never(libc::SYS_finit_module),
    Never(libc::SYS_delete_module),
    Never(libc::SYS_kexec_load),
    Never(KEXEC_FILE_LOAD),
    Never(libc::SYS_bpf),
    Never(libc::SYS_perf_event_open),
    Never(libc::SYS_userfaultfd),
    Never(libc::SYS_io_uring_setup),
    Never(libc::SYS_io_uring_enter),
    Never(libc::SYS_io_uring_register),
    Never(libc::SYS_syslog),
    Never(libc::SYS_reboot),
    Never(libc::SYS_vhangup),
    Never(libc::SYS_sethostname),
    Never(libc::SYS_setdomainname),
    Never(libc::SYS_add_key),
    Never(libc::SYS_request_key),
    Never(libc::SYS_keyctl),
    Unless { call: libc::SYS_ioctl, argument: 1, values: TERMINAL },
    #[cfg(target_arch = "x86_64")]
    Never(libc::SYS_iopl),
    #[cfg(target_arch = "x86_64")]
    Never(libc::SYS_ioperm),
    #[cfg(target_arch = "x86_64")]
    Never(libc::SYS_modify_ldt),
    #[cfg(target_arch = "x86_64")]
    Never(libc::SYS_lookup_dcookie),
    // The clock.
    Never(libc::SYS_settimeofday),
    Never(libc::SYS_clock_settime),
    Never(libc::SYS_clock_adjtime),
    Never(libc::SYS_adjtimex),
    #[cfg(target_arch = "arm")]
    Never(CLOCK_SETTIME64),
    #[cfg(target_arch = "arm")]
    Never(CLOCK_ADJTIME64),
];

/// Too new for the list of the C library's binding.
const FCHMODAT2: c_long = 452;
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: c_long = libc::SYS_kexec_file_load;
// The bindings of musl do not have it.
#[cfg(target_arch = "aarch64")]
const KEXEC_FILE_LOAD: c_long = 294;
#[cfg(target_arch = "arm")]
const KEXEC_FILE_LOAD: c_long = 401;
#[cfg(target_arch = "arm")]
const CLOCK_SETTIME64: c_long = 404;
#[cfg(target_arch = "arm")]
const CLOCK_ADJTIME64: c_long = 405;
