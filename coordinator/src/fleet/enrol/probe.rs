//! What a machine is, found out in one round trip with nothing but POSIX sh on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::fleet::enrol::binaries::architecture;
use crate::ssh::shell::quote;

/// How commands on the machine become root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    Root,
    Sudo,
    /// sudo is there, but wants a password.
    SudoWithPassword,
    User,
}

/// A machine as the probe found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub arch: String,
    pub os: String,
    pub hostname: String,
    pub privilege: Privilege,
    pub data_dir: PathBuf,
    pub has_systemd: bool,
    pub has_cron: bool,
    pub is_musl: bool,
    /// None where the machine does not say.
    pub has_memory_cgroup: Option<bool>,
    pub disk_free_bytes: Option<u64>,
    pub unix_seconds: Option<i64>,
    pub listening: Vec<u16>,
    /// The installation of an agent that is there already, whole or not.
    pub installed: Installed,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Installed {
    /// sha256 of the agent's binary, hex.
    pub digest: String,
    pub machine: String,
    pub node: String,
    /// The CA of the fleet it belongs to, PEM.
    pub ca_pem: String,
    /// Where its agent listens, or last did.
    pub address: String,
    pub has_unit: bool,
}

/// sha256 of standard input, with whatever the machine has for it.
pub const SHA256: &str = "sum256() { if command -v sha256sum >/dev/null 2>&1; then sha256sum; \
     elif command -v shasum >/dev/null 2>&1; then shasum -a 256; else openssl dgst -sha256 -r; fi | cut -c1-64; }";

const OPEN: &str = r#"
exec 2>/dev/null
say() { printf '%s=%s\n' "$1" "$2"; }
say kernel_arch "$(uname -m)"
say elf "$(od -An -tx1 -j18 -N2 /bin/sh | tr -d ' ')"
say hostname "$(uname -n)"
say os "$(. /etc/os-release; printf %s "$PRETTY_NAME")"
say now "$(date +%s)"
S=
if [ "$(id -u)" = 0 ]; then who=root
elif ! command -v sudo >/dev/null; then who=user
elif sudo -n true; then who=sudo; S='sudo -n'
else who=password; fi
say who "$who"
[ -n "$D" ] || case $who in root|sudo) D=/var/lib/orchestrator;; *) D=$HOME/.local/share/orchestrator/node;; esac
say data_dir "$D"
[ -d /run/systemd/system ] && command -v systemctl >/dev/null && say systemd yes
command -v crontab >/dev/null && { pidof cron || pidof crond; } >/dev/null && say cron yes
# A machine may have another C library besides its own: what this shell runs with counts.
case "$(cat /proc/$$/maps 2>/dev/null)" in
*/ld-musl-*) say libc musl;;
*/libc.so.6*|*/libc-2.*) ;;
*) for f in /lib/ld-musl-*; do [ -e "$f" ] && say libc musl; done;;
esac
if [ -r /sys/fs/cgroup/cgroup.controllers ]; then
  case " $(cat /sys/fs/cgroup/cgroup.controllers) " in *' memory '*) say memory 1;; *) say memory 0;; esac
elif [ -r /proc/cgroups ]; then
  while read -r n _ _ e; do [ "$n" = memory ] && say memory "$e"; done </proc/cgroups
fi
d=$D; while [ ! -d "$d" ]; do d=${d%/*}; [ -n "$d" ] || d=/; done
say disk "$(df -Pk "$d" | { read -r _; read -r _ _ _ a _; echo "$a"; })"
p=; for f in /proc/net/tcp /proc/net/tcp6; do
  [ -r $f ] && while read -r _ l _ s _; do [ "$s" = 0A ] && p="$p ${l##*:}"; done <$f
done
say listening "$p"
"#;

/// Run as root where we may be, since the identity is nobody else's to read.
const PRIVILEGED: &str = r#"
say() { printf '%s=%s\n' "$1" "$2"; }
cd "$1" || exit 0
[ -f bin/node-agent ] && say digest "$(sum256 <bin/node-agent)"
say machine "$(cat machine)"
say node "$(cat identity/node)"
say ca "$(tr '\n' '|' <identity/ca.pem)"
say address "$(cat agent.addr)"
[ -e /etc/systemd/system/orchestrator-agent.service ] && say unit yes
exit 0
"#;

/// The script to run. `data_dir` where it is not for the machine to say.
pub fn script(data_dir: Option<&Path>) -> String {
    let given = data_dir.map_or(String::new(), |dir| quote(&dir.to_string_lossy()));
    let privileged = quote(&format!("{SHA256}\n{PRIVILEGED}"));
    format!("D={given}\n{OPEN}\n$S sh -c {privileged} sh \"$D\"\n")
}

/// Reads what the script printed; start-up files of the login shell may have said something before.
pub fn parse(output: &str) -> Option<Probe> {
    let said: BTreeMap<&str, &str> = output.lines().filter_map(|line| line.split_once('=')).collect();
    let text = |name: &str| said.get(name).copied().unwrap_or_default().trim().to_owned();
    let is_yes = |name: &str| said.get(name) == Some(&"yes");
    let privilege = match *said.get("who")? {
        "root" => Privilege::Root,
        "sudo" => Privilege::Sudo,
        "password" => Privilege::SudoWithPassword,
        _ => Privilege::User,
    };
    Some(Probe {
        arch: arch(&text("kernel_arch"), &text("elf")),
        os: text("os"),
        hostname: text("hostname"),
        privilege,
        data_dir: PathBuf::from(text("data_dir")),
        has_systemd: is_yes("systemd"),
        has_cron: is_yes("cron"),
        is_musl: text("libc") == "musl",
        has_memory_cgroup: said.get("memory").map(|enabled| *enabled == "1"),
        disk_free_bytes: text("disk").parse::<u64>().ok().map(|kib| kib * 1024),
        unix_seconds: text("now").parse().ok(),
        listening: text("listening")
            .split(' ')
            .filter_map(|port| u16::from_str_radix(port, 16).ok())
            .collect(),
        installed: Installed {
            digest: text("digest"),
            machine: text("machine"),
            node: text("node"),
            ca_pem: text("ca").replace('|', "\n"),
            address: text("address"),
            has_unit: is_yes("unit"),
        },
    })
}

/// The programs' architecture, which a 64-bit kernel under 32-bit programs does not tell.
fn arch(kernel: &str, elf: &str) -> String {
    let bytes = [elf.get(..2), elf.get(2..4)].map(|hex| hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()));
    let programs = match bytes {
        [Some(low), Some(high)] => architecture(u16::from_le_bytes([low, high])),
        _ => "",
    };
    match (programs, kernel) {
        ("arm", "armv6l") | ("", "armv6l") => "armv6".to_owned(),
        ("arm", _) | ("", "armv7l" | "armv8l") => "armv7".to_owned(),
        ("x86_64" | "aarch64" | "i686" | "riscv64", _) => programs.to_owned(),
        (_, "amd64") => "x86_64".to_owned(),
        (_, "arm64") => "aarch64".to_owned(),
        (_, kernel) => kernel.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::Host;
    use crate::ssh::local::Local;

    #[test]
    fn the_programs_tell_the_architecture_not_the_kernel() {
        let cases = [
            ("x86_64", "3e00", "x86_64"),
            ("aarch64", "b700", "aarch64"),
            ("aarch64", "2800", "armv7"),
            ("armv7l", "2800", "armv7"),
            ("armv6l", "2800", "armv6"),
            ("x86_64", "0300", "i686"),
            ("armv6l", "", "armv6"),
            ("arm64", "", "aarch64"),
            ("mips", "", "mips"),
        ];
        for (kernel, elf, expected) in cases {
            assert_eq!(arch(kernel, elf), expected, "{kernel} {elf}");
        }
    }

    #[tokio::test]
    async fn this_machine_is_probed_by_sh_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let data = dir.path().join("with space");
        std::fs::create_dir_all(data.join("bin")).expect("made");
        std::fs::write(data.join("bin/node-agent"), "x").expect("written");
        std::fs::write(data.join("agent.addr"), "127.0.0.1:7644\n").expect("written");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let output = Local.run(&script(Some(&data)), b"").await.expect("runs");
        let probe = parse(&String::from_utf8_lossy(&output.stdout)).expect("parses");
        assert_eq!(probe.arch, std::env::consts::ARCH);
        assert_eq!(probe.data_dir, data);
        assert!(probe.disk_free_bytes.is_some() && probe.unix_seconds.is_some(), "{probe:?}");
        assert!(probe.listening.contains(&listener.local_addr().expect("bound").port()), "{probe:?}");
        assert_eq!(probe.installed.address, "127.0.0.1:7644");
        assert_eq!(
            probe.installed.digest,
            "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        );
    }
}
