//! The table of programs that need a closer look.

/// What is known of some programs.
pub(super) enum Hazard {
    Never {
        names: &'static [&'static str],
        why: &'static str,
    },
    /// Only to tell its version.
    OnlyVersion {
        names: &'static [&'static str],
        why: &'static str,
    },
    /// Only with one of these as the first word.
    Only {
        names: &'static [&'static str],
        first: &'static [&'static str],
        why: &'static str,
    },
    /// Without these options and words.
    Options {
        names: &'static [&'static str],
        long: &'static [&'static str],
        letters: Letters,
        words: &'static [&'static str],
        why: &'static str,
    },
    Needs {
        names: &'static [&'static str],
        option: &'static str,
        why: &'static str,
    },
    Wrapper {
        names: &'static [&'static str],
        with_value: &'static [&'static str],
        alone: &'static [&'static str],
        positional: usize,
    },
    Env {
        names: &'static [&'static str],
    },
    Find {
        names: &'static [&'static str],
    },
    Applets {
        names: &'static [&'static str],
    },
    /// Not on a vital folder as a whole.
    Ruin {
        names: &'static [&'static str],
    },
}

/// Options of one letter.
pub(super) struct Letters {
    pub letters: &'static [char],
    /// Only as the first letter: the program does not take them together.
    pub alone: bool,
    /// Also in a first word without a dash.
    pub without_dash: bool,
}

const fn letters(letters: &'static [char]) -> Letters {
    Letters { letters, alone: false, without_dash: false }
}

const fn alone(letters: &'static [char]) -> Letters {
    Letters { letters, alone: true, without_dash: false }
}

impl Hazard {
    pub(super) fn names(&self) -> &'static [&'static str] {
        match self {
            Hazard::Never { names, .. }
            | Hazard::OnlyVersion { names, .. }
            | Hazard::Only { names, .. }
            | Hazard::Options { names, .. }
            | Hazard::Needs { names, .. }
            | Hazard::Wrapper { names, .. }
            | Hazard::Env { names }
            | Hazard::Find { names }
            | Hazard::Applets { names }
            | Hazard::Ruin { names } => names,
        }
    }
}

const RUNS_CODE: &str =
    "runs code that no rule can judge; use exec.shell, which is asked for, or an action of a module";
const RUNS_IT: &str = "makes it run a program";

#[rustfmt::skip]
pub(super) const TABLE: &[Hazard] = &[
    Hazard::OnlyVersion { why: RUNS_CODE, names: &["sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "csh", "tcsh", "busybox-sh",
        "python", "pypy", "perl", "ruby", "irb", "php", "lua", "luajit", "node", "nodejs", "deno", "bun", "tclsh", "wish", "expect", "guile",
        "java", "jshell", "gawk", "mawk", "nawk", "awk", "original-awk", "m4", "dc", "bc", "ed", "ex", "vi", "vim", "vim.basic", "vim.tiny", "view",
        "rview", "rvim", "nvim", "emacs", "nano", "pico", "less", "more", "most", "pg", "man", "info", "gdb", "lldb", "make", "gmake", "cmake", "ninja",
        "gcc", "clang", "cc", "ld", "as", "cargo", "rustc", "go", "tmux", "screen", "script", "scriptreplay", "sqlite3", "mysql", "mariadb",
        "psql", "mongo", "mongosh", "cpan", "gem", "bundle", "rake", "composer", "npx", "yarn", "pnpm", "pipx", "ansible", "salt-call", "puppet"] },
    Hazard::Never { why: "gives other rights than those of the agent", names: &["sudo", "sudoedit", "doas", "su", "pkexec", "runuser", "setpriv", "capsh", "sg",
        "newgrp", "run0", "gosu", "su-exec", "chroot", "unshare", "nsenter", "systemd-run", "systemd-nspawn", "machinectl", "bwrap", "firejail", "chpst",
        "setuidgid", "softlimit", "fakeroot", "fakechroot", "proot", "start-stop-daemon", "daemonize", "cgexec", "prlimit", "aa-exec", "runcon"] },
    Hazard::Never { why: "runs what its input says; use file.list and file.delete, or one step for each", names: &["xargs", "parallel", "rush",
        "entr", "watch", "at", "batch", "atd", "anacron", "run-parts", "flock", "chrt", "unbuffer", "rlwrap", "socat", "inotifywait", "incrontab"] },
    Hazard::Never { why: "runs what its words say; name that program itself", names: &["choom", "uclampset", "schedtool", "numactl", "cpulimit", "timelimit",
        "trickle", "systemd-inhibit", "systemd-cat", "dbus-run-session", "dbus-launch", "xvfb-run", "openvt", "dtach", "abduco", "logsave", "eatmydata",
        "faketime", "torsocks", "torify", "proxychains", "proxychains4", "chronic", "ifne", "pee", "mispipe", "lckdo", "zrun", "hyperfine", "tini",
        "dumb-init", "catatonit", "execlineb", "sem", "getty", "agetty", "login", "sulogin"] },
    Hazard::Never { why: "calls any service of the machine", names: &["busctl", "gdbus", "dbus-send", "qdbus"] },
    Hazard::Never { why: "watches or changes other programs", names: &["strace", "ltrace", "perf", "bpftrace", "valgrind", "rr", "gcore", "ptrace", "memcat",
        "insmod", "modprobe", "rmmod", "kexec", "eject", "debugfs"] },
    Hazard::Never { why: "speaks to the network past the domains of the step; use http.get or http.post", names: &["curl", "wget", "wget2", "aria2c", "nc",
        "ncat", "netcat", "nc.openbsd", "nc.traditional", "telnet", "ftp", "tftp", "lftp", "lynx", "w3m", "links", "elinks", "httpie", "http", "ssh", "scp",
        "sftp", "sshfs", "rsh", "rlogin", "rcp", "mosh", "autossh", "sshpass", "ssh-add", "ssh-agent", "ssh-keygen", "ssh-copy-id", "rclone", "smbclient"] },
    Hazard::Only { names: &["crontab"], first: &["-l"], why: "changes what runs later" },
    Hazard::Applets { names: &["busybox", "toybox", "sbase-box", "ubase-box"] },
    Hazard::Env { names: &["env"] },
    Hazard::Find { names: &["find", "bfs"] },
    Hazard::Wrapper { names: &["nice"], with_value: &["-n", "--adjustment"], alone: &[], positional: 0 },
    Hazard::Wrapper { names: &["ionice"], with_value: &["-c", "-n", "--class", "--classdata"], alone: &["-t", "--ignore"], positional: 0 },
    Hazard::Wrapper { names: &["timeout"], with_value: &["-s", "-k", "--signal", "--kill-after"], alone: &["--preserve-status", "--foreground", "-v", "--verbose"],
        positional: 1 },
    Hazard::Wrapper { names: &["nohup", "catchsegv"], with_value: &[], alone: &[], positional: 0 },
    Hazard::Wrapper { names: &["setsid"], with_value: &[], alone: &["-w", "--wait", "-f", "--fork", "-c", "--ctty"], positional: 0 },
    // Its -o writes a file.
    Hazard::Wrapper { names: &["time"], with_value: &["-f", "--format"], alone: &["-p", "--portability", "-v", "--verbose", "-q", "--quiet"], positional: 0 },
    Hazard::Wrapper { names: &["stdbuf"], with_value: &["-i", "-o", "-e", "--input", "--output", "--error"], alone: &[], positional: 0 },
    Hazard::Wrapper { names: &["taskset"], with_value: &[], alone: &["-a", "--all-tasks"], positional: 1 },
    Hazard::Wrapper { names: &["setarch", "linux32", "linux64"], with_value: &[], alone: &[], positional: 0 },
    Hazard::Needs { names: &["sed"], option: "--sandbox", why: "can run commands and write files; --sandbox keeps it from that" },
    Hazard::Options { names: &["tar", "gtar", "bsdtar"], long: &["checkpoint-action", "to-command", "use-compress-program", "info-script", "new-volume-script",
        "rsh-command", "rmt-command", "index-file", "absolute-names"], letters: Letters { letters: &['I', 'F', 'P'], alone: false, without_dash: true },
        words: &["ext::"], why: RUNS_IT },
    Hazard::Options { names: &["zip", "zipcloak"], long: &["unzip-command", "test"], letters: letters(&['T']), words: &[], why: RUNS_IT },
    Hazard::Options { names: &["git"], long: &["exec-path", "config-env", "upload-pack", "receive-pack", "paginate", "exec", "ext-diff", "textconv", "open-files-in-pager",
        "extcmd", "template", "git-dir", "work-tree", "namespace", "super-prefix"], letters: alone(&['c', 'p', 'O', 'x']),
        words: &["ext::", "fd::", "--upload-pack", "core.", "alias."], why: RUNS_IT },
    Hazard::Only { names: &["git"], first: &["status", "log", "show", "diff", "rev-parse", "branch", "tag", "remote", "ls-files", "describe", "--version"],
        why: "runs hooks and helpers that a repository brings" },
    Hazard::Options { names: &["rsync"], long: &["rsh", "rsync-path"], letters: letters(&['e']), words: &["::", "rsync://"], why: RUNS_IT },
    Hazard::Options { names: &["sort"], long: &["compress-program", "output", "files0-from", "temporary-directory"], letters: letters(&['o', 'T']), words: &[], why: "runs or writes something" },
    Hazard::Options { names: &["split"], long: &["filter"], letters: letters(&[]), words: &[], why: RUNS_IT },
    Hazard::Options { names: &["tcpdump"], long: &["postrotate-command"], letters: letters(&['z', 'w', 'W', 'G']), words: &[], why: RUNS_IT },
    Hazard::Options { names: &["nmap"], long: &["script", "script-args", "datadir", "interactive"], letters: alone(&['i', 'o']), words: &[], why: RUNS_IT },
    Hazard::Options { names: &["openssl"], long: &["engine", "provider", "config"], letters: letters(&[]), words: &["engine", "s_client", "s_server", "-writerand", "-engine", "-provider"], why: "loads code or speaks to the network" },
    Hazard::Options { names: &["ip"], long: &["batch", "force"], letters: alone(&['b', 'n']), words: &["exec", "netns", "vrf"], why: RUNS_IT },
    Hazard::Options { names: &["apt", "apt-get", "apt-cache", "aptitude", "apt-mark"], long: &["option", "config-file", "root", "allow-unauthenticated",
        "allow-insecure-repositories", "allow-downgrades", "force-yes", "target-release"], letters: alone(&['o', 'c', 't']), words: &["/", "::"],
        why: "changes what apt runs or trusts" },
    Hazard::Only { names: &["dpkg"], first: &["-l", "--list", "-s", "--status", "-L", "--listfiles", "-S", "--search", "--get-selections", "-V", "--verify", "-C",
        "--audit", "--print-architecture"], why: "installs what nobody vouches for; use apt-get" },
    Hazard::Only { names: &["pip", "pip3"], first: &["list", "show", "freeze", "check", "--version"], why: "runs the code of packages" },
    Hazard::Only { names: &["npm"], first: &["ls", "list", "outdated", "view", "--version"], why: "runs the code of packages" },
    Hazard::Only { names: &["docker", "podman", "nerdctl"], first: &["ps", "images", "logs", "inspect", "top", "port", "version", "info", "stats", "system", "image",
        "volume", "container", "builder", "network"], why: "can give away the machine; deploy a module instead" },
    Hazard::Options { names: &["docker", "podman", "nerdctl"], long: &["host", "config", "context", "url", "privileged", "volume", "mount", "device"],
        letters: alone(&['H', 'c', 'v']), words: &["exec", "run", "create", "import", "load", "cp"], why: "can give away the machine" },
    Hazard::Never { why: "can give away the machine; deploy a module instead", names: &["ctr", "crictl", "runc", "crun", "lxc", "lxc-attach", "lxc-execute", "lxd", "incus", "kubectl", "k3s", "virsh",
        "docker-compose", "podman-compose", "buildah", "skopeo", "snap", "flatpak"] },
    Hazard::Options { names: &["systemctl"], long: &["host", "machine", "root", "image", "global"], letters: letters(&['H', 'M']), words: &["edit", "link",
        "set-environment", "import-environment", "unset-environment", "set-property", "switch-root", "revert", "/"], why: "changes more than a unit's state" },
    Hazard::Options { names: &["journalctl"], long: &["directory", "file", "root", "image", "machine", "namespace", "setup-keys", "cursor-file", "relinquish-var"],
        letters: letters(&['D', 'M']), words: &[], why: "reads or writes other journals" },
    Hazard::Options { names: &["date"], long: &["file", "set"], letters: letters(&['f', 's']), words: &[], why: "reads a file or sets the clock" },
    Hazard::Options { names: &["hostname", "hostnamectl", "timedatectl", "localectl", "loginctl", "networkctl", "resolvectl"], long: &["file", "host", "machine"], letters: letters(&['F', 'H', 'M']), words: &[], why: "reads a file or another machine" },
    Hazard::Options { names: &["diff", "cmp", "comm", "paste", "wc", "du"], long: &["files0-from", "from-file", "to-file", "exclude-from"], letters: letters(&[]), words: &[], why: "reads a list of files that nobody sees" },
    Hazard::Ruin { names: &["rm", "rmdir", "unlink", "shred", "mv", "chmod", "chown", "chgrp", "chattr", "setfacl", "truncate", "srm", "wipe"] },
];
